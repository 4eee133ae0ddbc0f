"""`menshen site`: the registry's backup, who may delete in bulk, and how long things are kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from host_tools import approval, chains, impact
from host_tools import backup as backups
from host_tools.cli.common import Json, SiteFile, Yes, confirm, listing, result, talk
from host_tools.errors import Usage
from host_tools.site import Site
from host_tools.site.site import default_path

app = typer.Typer(help="Backup, restore, approvers and retention.", no_args_is_help=True)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="A new file. It holds the site's keys: keep it safe.")],
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Copy the registry while it is in use."""
    with Site.open(site) as opened:
        backups.backup(opened, file)
    result(json, {"file": str(file)}, f"Saved as {file}. Keep it as you keep the registry: the site's keys are in it.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    yes: Yes = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Put a backup in the registry's place. Who was deleted since stays deleted, here and on the panels."""
    path = site or default_path()
    confirm(f"This puts {file} in the place of {path}.", "restore", yes)
    done = backups.restore(file, path)
    for outcome in done.outcomes:
        if outcome.problem:
            talk(f"{outcome.panel}: {outcome.problem}")
    data = {"buried": done.buried, "unreached": [outcome.panel for outcome in done.outcomes if outcome.problem]}
    result(json, data, f"Restored. Records that were deleted since the backup and stay so: {done.buried}.")


@app.command()
def approver(
    name: Annotated[str | None, typer.Argument(help="Whose passphrase to set; none: list them.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take this approver out.")] = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Name who may approve bulk deletions; two of them are needed for each."""
    with Site.open(site) as opened:
        if name and remove:
            approval.remove_approver(opened, name)
        elif name:
            approval.add_approver(opened, name, secret(f"Passphrase of {name}", again=True))
        names = approval.approvers(opened)
    listing(json, [{"name": known} for known in names], ("name",))


@app.command()
def key(
    replace: Annotated[bool, typer.Option("--replace", help="Asks for the present key first.")] = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Make the site key, which approves a bulk deletion together with a typed word. It is shown once."""
    with Site.open(site) as opened:
        made = approval.new_site_key(opened, secret("The present site key") if replace else None)
    result(json, {"site_key": made}, f"The site key is {made}. It is not kept: write it down and lock it away.")


@app.command()
def retention(
    purge: Annotated[
        bool, typer.Option("--purge", help="Forget fetched log entries that are older than that.")
    ] = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Show how long what is kept."""
    with Site.open(site) as opened:
        if purge:
            talk(f"Purged: {chains.purge(opened)}.")
        rules = impact.retention(opened)
    listing(json, [{"what": what, "kept": kept} for what, kept in rules.items()], ("what", "kept"))


def approved(site: Site, names: list[str], what: str, word: str, yes: bool) -> approval.Approval:
    """Two approvers' passphrases, or the typed word and the site key."""
    if names:
        talk(what)
        return approval.by_two(site, [(name, secret(f"Passphrase of {name}")) for name in names])
    confirm(what, word, yes)
    return approval.by_site_key(site, secret("Site key"))


def secret(what: str, again: bool = False) -> str:
    """Typed unseen on a terminal; elsewhere a line of stdin."""
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True, confirmation_prompt=again, err=True))
    line = sys.stdin.readline().strip()
    if not line:
        raise Usage(f"{what}: nothing was given on stdin. Nothing was changed.")
    return line
