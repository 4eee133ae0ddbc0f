"""What the commands share: options, output, confirmation. stdout is data, stderr is talk."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from host_tools.errors import Usage
from host_tools.site import Panel, Site

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
SiteFile = Annotated[
    Path | None,
    typer.Option("--site", envvar="MENSHEN_SITE", help="The site registry.", show_default="the user's data folder"),
]
PanelName = Annotated[str | None, typer.Option("--panel", help="The panel's name or id.", show_default="the only one")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for a typed word.")]
Who = Annotated[str, typer.Argument(help="A resident: name, flat/name, or handle in hex.", metavar="RESIDENT")]


@contextmanager
def on_panel(site: Path | None, panel: str | None) -> Iterator[tuple[Site, Panel]]:
    with Site.open(site) as opened:
        yield opened, opened.panel(panel)


def result(json: bool, data: Any, sentence: str) -> None:
    """`data` as JSON, or the sentence that says the same to a person."""
    print(json_.dumps(data, ensure_ascii=False) if json else sentence)


def listing(json: bool, items: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """A table on a terminal, tab-separated lines elsewhere; JSON holds every field, not only `columns`."""
    if json:
        print(json_.dumps(list(items), ensure_ascii=False))
    elif sys.stdout.isatty():
        table = Table(*columns)
        for item in items:
            table.add_row(*(_cell(item[column]) for column in columns))
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


def confirm(what: str, word: str, yes: bool) -> None:
    """Says what is about to happen and lets it happen when `word` is typed, or at once with --yes."""
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
    if isinstance(value, (list, dict)):
        return json_.dumps(value, ensure_ascii=False)
    return str(value)
