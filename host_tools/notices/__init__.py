"""Notices: what a resident is told before being asked. Each has a version, and its text's hash.

A file opens with `name:`, `version:`, `language:` and `title:`, then holds what the panel shows under
[screen] and the full text under [text]. The hash is SHA-256 over the whole file in UTF-8 with LF line ends,
so that whoever consented to one wording never consented to another.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from firmware.link.ops import MAX_LINE, MAX_LINES, MAX_TITLE
from host_tools.errors import Usage

_FIELDS = ("name", "version", "language", "title")


@dataclass(frozen=True)
class Notice:
    name: str
    version: int
    language: str
    title: str
    screen: str
    text: str
    hash: bytes

    @property
    def label(self) -> str:
        return f"{self.name}.{self.language}"

    def lines(self) -> list[str]:
        """The screen's text by paragraphs; the panel breaks them as its font needs."""
        return self.screen.split("\n")


def load(wanted: str = "face-door.en") -> Notice:
    """A notice that ships with menshen, by name and language, or a file of one's own. Raises Usage."""
    shipped = resources.files("host_tools.notices")
    path = Path(wanted)
    try:
        if path.suffix == ".txt":
            text = path.read_text(encoding="utf-8")
        else:
            text = shipped.joinpath(f"{wanted}.txt").read_text(encoding="utf-8")
        return parse(text)
    except (OSError, UnicodeError) as error:
        raise Usage(f"The notice {wanted} cannot be read. These ship with menshen: {', '.join(names())}.") from error


def names() -> list[str]:
    files = resources.files("host_tools.notices").iterdir()
    return sorted(file.name.removesuffix(".txt") for file in files if file.name.endswith(".txt"))


def parse(text: str) -> Notice:
    text = text.replace("\r\n", "\n")
    head, screen_mark, rest = text.partition("\n[screen]\n")
    screen, text_mark, full = rest.partition("\n[text]\n")
    fields = dict(line.split(": ", 1) for line in head.strip().split("\n") if ": " in line)
    if not (screen_mark and text_mark) or sorted(fields) != sorted(_FIELDS) or not fields["version"].isdigit():
        raise Usage("A notice needs name, version, language and title, then [screen] and [text].")
    notice = Notice(
        fields["name"],
        int(fields["version"]),
        fields["language"],
        fields["title"],
        screen.strip(),
        full.strip(),
        hashlib.sha256(text.encode()).digest(),
    )
    lines = notice.lines()
    if len(lines) > MAX_LINES or max(map(len, lines)) > MAX_LINE or len(notice.title) > MAX_TITLE:
        raise Usage(
            f"The notice does not fit the panel: a title of {MAX_TITLE} characters and {MAX_LINES} paragraphs "
            f"of {MAX_LINE} at most."
        )
    return notice
