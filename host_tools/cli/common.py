"""What the commands share: options, output, confirmation. stdout is data, stderr is talk."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from host_tools.cli import completion
from host_tools.errors import Usage
from host_tools.site import Panel, Site

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
SiteFile = Annotated[
    str | None,
    typer.Option(
        "--site",
        envvar="MENSHEN_SITE",
        metavar="FILE|URL",
        help="The site registry: a file, or postgresql://USER@HOST/DATABASE.",
        show_default="the user's data folder",
    ),
]
PanelName = Annotated[
    str | None,
    typer.Option(
        "--panel", help="The panel's name or id.", show_default="the only one", autocompletion=completion.panels
    ),
]
NamedPanel = Annotated[str, typer.Argument(help="The panel's name.", autocompletion=completion.panels)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for a typed word.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
_RESIDENT = typer.Argument(
    help="A resident: name, flat/name, or handle in hex.", metavar="RESIDENT", autocompletion=completion.residents
)
Who = Annotated[str, _RESIDENT]
MaybeWho = Annotated[str | None, _RESIDENT]

_T = TypeVar("_T")


@contextmanager
def on_panel(site: str | None, panel: str | None) -> Iterator[tuple[Site, Panel]]:
    with Site.open(site) as opened:
        yield opened, opened.panel(panel)


class Stdout:
    """What has gone to stdout: with --json exactly one document, so that an error after it stays on stderr."""

    documents = 0

    @classmethod
    def document(cls, data: Any) -> None:
        print(json_.dumps(data, ensure_ascii=False))
        cls.documents += 1


def result(json: bool, data: Any, sentence: str) -> None:
    """`data` as JSON, or the sentence that says the same to a person."""
    if json:
        Stdout.document(data)
    else:
        print(sentence)


def listing(json: bool, items: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """A table on a terminal, tab-separated lines elsewhere; JSON holds every field, not only `columns`."""
    if json:
        Stdout.document(list(items))
    elif not items:
        talk("None.")
    elif sys.stdout.isatty():
        table = Table(*columns)
        for item in items:
            table.add_row(*(Text(_cell(item[column])) for column in columns))
        Console().print(table)
    else:
        for item in items:
            print("\t".join(_cell(item[column]) for column in columns))


def talk(text: str) -> None:
    print(text, file=sys.stderr)


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """A spinner on a terminal, a line elsewhere."""
    if sys.stderr.isatty():
        with Console(stderr=True).status(text):
            yield
    else:
        talk(text)
        yield


def progress(items: Sequence[_T], what: str) -> Iterator[_T]:
    """Each of `items`, with a bar on a terminal and a line elsewhere; nothing where there is one item or none."""
    if len(items) < 2:
        yield from items
    elif sys.stderr.isatty():
        with Progress(console=Console(stderr=True), transient=True) as shown:
            yield from shown.track(items, description=what)
    else:
        talk(f"{what}: {len(items)}")
        yield from items


@contextmanager
def steps(text: str) -> Iterator[Callable[[str], None]]:
    """Gives a function that says what is being done now: beside a spinner on a terminal, a line each elsewhere."""
    if sys.stderr.isatty():
        with Console(stderr=True).status(text) as status:
            yield lambda what: status.update(f"{text}: {what}")
    else:
        talk(text)
        yield lambda what: talk(f"{what} ...")


def confirm(what: str, word: str, yes: bool, dry_run: bool = False, json: bool = False, **plan: Any) -> None:
    """Says what is about to happen and lets it happen when `word` is typed, or at once with --yes.

    With --dry-run the command ends here, having changed nothing; `plan` is what JSON says of it besides.
    """
    if dry_run:
        result(json, {"dry_run": True, "would": what, **plan}, f"{what} Nothing was changed: this was a dry run.")
        raise typer.Exit
    talk(what)
    if yes:
        return
    if not sys.stdin.isatty():
        raise Usage("Nobody is here to confirm this. Add --yes to do it; nothing was changed.")
    if typer.prompt(f'Type "{word}" to go on', err=True, default="", show_default=False) != word:
        raise Usage("The word was not typed. Nothing was changed.")


def when(seconds: int) -> str:
    """Local time."""
    if not seconds:
        return "-"
    return datetime.fromtimestamp(seconds, timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(inner)}" for name, inner in value.items())
    return str(value)


def secret(what: str, again: bool = False) -> str:
    """Typed unseen on a terminal; elsewhere a line of stdin."""
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True, confirmation_prompt=again, err=True))
    line = sys.stdin.readline().strip()
    if not line:
        raise Usage(f"{what}: nothing was given on stdin. Nothing was changed.")
    return line


def goes_on(context: typer.Context) -> bool:
    """Does a subcommand follow? Usage for an option said before it, where it would be lost."""
    inner = context.invoked_subcommand
    if inner is None:
        return False
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source and source.name == "COMMANDLINE":
            raise Usage(f"Say {parameter.opts[0]} after {inner}. Nothing was changed.")
    return True
