"""What `--help` shows: a command's docstring, cut into the sections of a man page.

    The purpose in one sentence. More about it where that helps.

    Changes: what is different afterwards; "nothing" where nothing is.
    JSON: what --json prints, in the notation of fields.py.
    Exit codes: 2, 17
    See also: menshen deadlines

    Examples:
      $ menshen wipe Ann --dry-run

Exit codes get their meanings from host_tools/errors.py and JSON fields theirs from fields.py, each in one place. The
reference page and the man page are made of the same sections (reference.py), and a test runs every example.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from host_tools.cli import fields
from host_tools.errors import EXIT_CODES

_SECTIONS = ("Changes", "JSON", "Exit codes", "See also", "Examples")
_HEAD = re.compile(rf"^({'|'.join(_SECTIONS)}):[ \n]?", re.MULTILINE)
_TYPE = re.compile(r" <(.+)>$")
_TYPED = {"path": "FILE", "int": "N", "float": "N"}  # how options show what follows them
_FUNCTION = TypeVar("_FUNCTION", bound=Callable[..., Any])


@dataclass(frozen=True)
class Page:
    """A docstring's sections; "" or empty for one that is not there."""

    purpose: str
    changes: str = ""
    json: str = ""
    exits: tuple[int, ...] = ()
    see_also: str = ""
    examples: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Page:
        pieces = _HEAD.split(text)
        found = {name: " ".join(body.split()) for name, body in zip(pieces[1::2], pieces[2::2], strict=True)}
        bodies = dict(zip(pieces[1::2], pieces[2::2], strict=True))
        numbers = found.get("Exit codes", "")
        return cls(
            purpose=pieces[0].strip(),
            changes=found.get("Changes", ""),
            json=found.get("JSON", ""),
            exits=tuple(EXIT_CODES) if numbers == "all" else tuple(int(word) for word in numbers.split(",") if word),
            see_also=found.get("See also", ""),
            examples=tuple(line.strip() for line in bodies.get("Examples", "").splitlines() if line.strip()),
        )

    def exit_lines(self) -> list[tuple[str, str]]:
        return [(str(code), EXIT_CODES[code]) for code in self.exits]

    def json_lines(self) -> list[tuple[str, str]]:
        return fields.lines(fields.parse(self.json)) if self.json else []


def commands(app: typer.Typer) -> Iterator[tuple[str, Any]]:
    """(words after `menshen`, click command) of everything that does something, in the order of the help."""
    yield from _walk("", typer.main.get_command(app))


def _walk(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None or command.invoke_without_command:
        yield words, command
    for name, child in (inner or {}).items():
        yield from _walk(f"{words} {name}".strip(), child)


class Command(TyperCommand):
    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.strip("{}").upper() for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _parameters(self, ctx, formatter)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        _purpose(self.help or "", formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _rest(self.help or "", formatter)


class Group(TyperGroup):
    def format_options(self, ctx: Any, formatter: Any) -> None:
        _parameters(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        _purpose(self.help or "", formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _rest(self.help or "", formatter)


class Menu(typer.Typer):
    """A group of commands whose help has the sections above."""

    def __init__(self, help: str | None = None, **more: Any) -> None:
        given: dict[str, Any] = {"no_args_is_help": True, **more, **({"help": help} if help else {})}
        super().__init__(cls=Group, **given)

    def command(self, name: str | None = None, **more: Any) -> Callable[[_FUNCTION], _FUNCTION]:
        return super().command(name, **{"cls": Command, **more})


def _parameters(command: Any, ctx: Any, formatter: Any) -> None:
    """Arguments and options, by what is typed for them and not by the types of the code."""
    for title, kind in (("Arguments", "argument"), ("Options", "option")):
        params = [param for param in command.get_params(ctx) if param.param_type_name == kind]
        rows = [record for param in params if (record := param.get_help_record(ctx))]
        if rows:
            with formatter.section(title):
                formatter.write_dl([(_typed(names, kind), told) for names, told in rows])


def _typed(names: str, kind: str) -> str:
    found = _TYPE.search(names)
    if not found:
        return names
    if kind == "argument":
        return names[: found.start()].upper()
    word = next((word for name, word in _TYPED.items() if name in found[1].lower()), "TEXT")
    return f"{names[: found.start()]} {word}"


def _purpose(text: str, formatter: Any) -> None:
    page = Page.of(text)
    paragraphs = [*page.purpose.split("\n\n"), f"Changes: {page.changes}" if page.changes else ""]
    for paragraph in filter(None, paragraphs):
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(" ".join(paragraph.split()))


def _rest(text: str, formatter: Any) -> None:
    page = Page.of(text)
    if page.examples:
        with formatter.section("Examples"):
            for line in page.examples:
                formatter.write(f"  {line}\n")
    if page.json:
        with formatter.section(f"JSON, with --json: {'a list of' if page.json.startswith('[') else 'one object'}"):
            formatter.write_dl(page.json_lines(), col_max=26)
    if page.exits:
        with formatter.section("Exit codes"):
            formatter.write_dl(page.exit_lines())
    if page.see_also:
        with formatter.section("See also"):
            formatter.write_text(page.see_also)
