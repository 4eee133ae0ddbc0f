"""`menshen panel update` and what it needs: keys, bundles, and the key that a panel trusts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from host_tools import update as library
from host_tools.cli.common import DryRun, Json, PanelName, SiteFile, Yes, confirm, on_panel, result, talk, waiting
from host_tools.image import bundle as bundles

BundleFile = Annotated[Path, typer.Argument(help="The bundle.", metavar="BUNDLE")]


def update(
    file: BundleFile,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Install a signed update of firmware and models over the link.

    It is staged beside the firmware that runs while the door works, checked file by file, switched to at once, and
    tried: the panel goes back by itself when the new firmware does not come up or fails its self-test. Broken off
    anywhere, the same command goes on. Where the new models cannot compare with stored faces, it is said beforehand
    whose faces must be enrolled again; their cards and PINs go on.

    Changes: firmware and models of the panel; residents, keys, settings and log stay.
    JSON: {panel, board, running, version:text, bytes, models:changed[], enrol[], unknown, slot?, trial?}
    Exit codes: 2, 3, 4, 9, 32, 33
    See also: menshen image bundle, menshen panel update-key, menshen panel diagnose

    Examples:
      $ menshen panel update update.zip --dry-run
      $ menshen panel update update.zip --yes
    """
    bundle = bundles.read(file)
    with on_panel(site, panel) as (opened, door):
        plan = library.plan(opened, door, bundle)
        confirm(plan.sentence(), bundle.manifest.version, yes, dry_run, json, **plan.public())
        with _bar(f"Updating {door.name}") as progress:
            done = library.apply(door, bundle, progress)
        opened.note("panel_updated", panel=door.panel_id, version=done.version)
    sentence = f"{plan.panel} runs {done.version}, confirmed after its self-test."
    if plan.enrol:
        sentence += f" Enrol again: {', '.join(plan.enrol)}."
    result(json, {**plan.public(), "slot": done.slot, "trial": False}, sentence)


def update_key(
    file: Annotated[Path, typer.Argument(help="The public key, as `menshen image key` writes it.", metavar="FILE.pub")],
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Pin the key whose updates a panel takes.

    A panel that trusts one already takes another only in maintenance, with somebody standing before it.

    Changes: whose firmware can be installed on the panel.
    JSON: {panel, key}
    Exit codes: 2, 3, 4, 9
    See also: menshen image key, menshen panel maintenance

    Examples:
      $ menshen panel update-key house.key.pub
    """
    key = bundles.read_public(file)
    with on_panel(site, panel) as (opened, door):
        library.pin(opened, door, key)
        name = door.name
    result(json, {"panel": name, "key": key.hex()}, f"{name} takes updates that are signed with {key.hex()[:16]}....")


def key(
    file: Annotated[Path, typer.Argument(help="Where the private key goes.", metavar="FILE")],
    json: Json = False,
) -> None:
    """Make a key that signs updates; its public half goes beside it, as FILE.pub.

    Whoever holds FILE can change the firmware of every panel that trusts it: keep it off the computers of every day.

    Changes: the files FILE and FILE.pub, which must not be there yet.
    JSON: {file, key}
    Exit codes: 2
    See also: menshen image bundle, menshen panel update-key

    Examples:
      $ menshen image key house.key
    """
    public = bundles.make_key(file)
    result(json, {"file": str(file), "key": public}, f"{file} signs updates; panels are given {file}.pub.")


def bundle(
    board: Annotated[str, typer.Option("--board", help="A folder of boards/, or virtual.")],
    key: Annotated[Path, typer.Option("--key", help="The private key, of `menshen image key`.")],
    out: Annotated[Path, typer.Option("--out", help="Where the bundle goes.")],
    version: Annotated[str, typer.Option("--version", help="What it calls itself.")] = bundles.VERSION,
    needs: Annotated[str, typer.Option("--needs", help="The lowest version that it may replace.")] = "0.0.0",
    downgrade: Annotated[
        bool, typer.Option("--downgrade", help="Let it replace newer firmware too; panels believe only this.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a signed update of this firmware and these models, for one kind of board.

    Changes: the file OUT.
    JSON: {file, board, version:text, needs, downgrade, models:ids{}, files:sizes{}}
    Exit codes: 2, 21, 32
    See also: menshen image key, menshen panel update

    Examples:
      $ menshen image bundle --board virtual --key house.key --version 0.2.0 --out update.zip
    """
    secret = bundles.read_key(key)
    with waiting("Compiling the firmware"):
        made = bundles.build(board, secret, version, needs, downgrade)
    bundles.write(made, out)
    size = sum(len(content) for content in made.files.values()) // 1024
    sentence = f"{out}: {version} for {board}, {size} KB, signed with {key}."
    result(json, {"file": str(out), **made.public()}, sentence)


@contextmanager
def _bar(text: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, a line for each kind of work elsewhere."""
    if not sys.stderr.isatty():
        said: set[str] = set()

        def tell(what: str, done: int, total: int) -> None:
            if what not in said:
                said.add(what)
                talk(f"{text}: {what}")

        yield tell
        return
    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(text, total=None)

        def step(what: str, done: int, total: int) -> None:
            shown.update(task, description=f"{text}: {what}", completed=done, total=total or None)

        yield step
