"""A list of residents from a table file: read, checked as a whole, compared with the site, then taken over.

A file with one bad row changes nothing. What a good one would change is shown before (`Plan`). Between panels and the
registry a cut can come anywhere: the same file again finishes the work, since what is done already is unchanged then.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from host_tools import residents
from host_tools.errors import Usage, VaultIsFull
from host_tools.site import Panel, Resident, Site

MAX_BYTES = 4 << 20
MAX_ROWS = 5000
_MAX_UNPACKED = 64 << 20
_MAX_CELL = 1000
_MAX_DOOR = 31
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute instead of show

# column: (words for it at the head of a table, the first being the template's; what stands in it)
COLUMNS: dict[str, tuple[tuple[str, ...], str]] = {
    "name": (("name", "姓名", "住户", "住户姓名"), "1 to 100 characters; stays on this computer"),
    "flat": (("flat", "房号", "房间号", "门牌号", "室号"), "1 to 6 digits, as typed on the keypad"),
    "doors": (("doors", "门", "可开的门"), "door numbers, such as 0 or 0 1; empty: 0"),
    "from": (("from", "生效日期", "起始日期"), "first day of the rights, YYYY-MM-DD; empty: at once"),
    "until": (("until", "到期日期", "有效期至"), "last day of the rights, YYYY-MM-DD; empty: no end"),
    "born": (("born", "出生日期"), "YYYY-MM-DD; kept is only whether it is under 14 years ago"),
}
_NEEDED = ("name", "flat")


@dataclass(frozen=True)
class Problem:
    """What is wrong in one row; `line` as a spreadsheet or an editor numbers it."""

    line: int
    column: str
    what: str

    def __str__(self) -> str:
        return f"Line {self.line}, {self.column}: {self.what}"


class BadRoster(Usage):
    """Rows that cannot be taken over; nothing was changed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(
            f"{len(problems)} problems in the file; nothing was changed. Correct them and import it again."
        )
        self.problems = list(problems)


@dataclass(frozen=True)
class Entry:
    """One row. A column that the file does not have is None: what is on record stays."""

    line: int
    name: str
    flat: str
    doors: int | None = None
    valid_from: int | None = None
    valid_until: int | None = None
    under_14: bool | None = None


@dataclass(frozen=True)
class Change:
    """`was`: who it is now, None for somebody new; `becomes`: by field, old and new value."""

    entry: Entry
    was: Resident | None
    becomes: dict[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What a file means for the panels: new residents, changed ones, and who is on a panel but not in the file."""

    added: list[Change]
    changed: list[Change]
    unchanged: int
    missing: list[Resident]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed)


def read(path: Path, today: date | None = None) -> list[Entry]:
    """The rows of a .csv or .xlsx file. Raises Usage for a file that is no table, BadRoster for bad rows."""
    data = _bytes_of(path)
    rows = list(_sheet(data) if data[:2] == b"PK" else _text(data))
    head = next(((line, cells) for line, cells in rows if any(cells)), None)
    if head is None:
        raise Usage(f"{path.name} is empty. A template: menshen resident template residents.xlsx.")
    columns = _columns(head[1])
    entries: list[Entry] = []
    problems: list[Problem] = []
    for line, cells in rows:
        if line > head[0] and any(cells):
            values = {name: cells[at] if at < len(cells) else "" for name, at in columns.items()}
            entry = _entry(line, values, problems, today or date.today())
            if entry:
                entries.append(entry)
    problems += _twice(entries)
    if problems:
        raise BadRoster(sorted(problems, key=lambda problem: problem.line))
    if not entries:
        raise Usage(f"{path.name} has a head and no row below it.")
    return entries


def compare(site: Site, panels: Sequence[Panel], entries: Iterable[Entry]) -> Plan:
    """Against the registry; a resident is known by flat and name."""
    known = {(resident.flat, resident.name): resident for resident in site.residents()}
    placed = {resident.handle: residents.placements(site, resident) for resident in known.values()}
    names = {panel.name for panel in panels}
    added, changed, unchanged, seen = [], [], 0, set()
    for entry in entries:
        seen.add((entry.flat, entry.name))
        was = known.get((entry.flat, entry.name))
        on = {name: state for name, state in placed[was.handle].items() if state != "removed"} if was else {}
        becomes = _differences(entry, was) if was else {}
        if was is None or not names <= set(on):
            added.append(Change(entry, was, becomes))
        elif becomes or "pending" in on.values():
            changed.append(Change(entry, was, becomes))
        else:
            unchanged += 1
    missing = [
        resident
        for key, resident in known.items()
        if key not in seen and any(placed[resident.handle].get(name) not in (None, "removed") for name in names)
    ]
    return Plan(added, changed, unchanged, missing)


def check_room(panels: Sequence[Panel], plan: Plan) -> None:
    """Asks each panel whether all of it fits, before anything is changed. Raises VaultIsFull, NoPanel."""
    for panel in panels:
        status = panel.request("status")
        free = 2 * status["face_capacity"] - status["residents"] - status["faces"]
        new = len([change for change in plan.added if change.was is None])
        if new > free:
            room = f"{panel.name} has room for {max(free, 0)} more residents, not for {new}."
            raise VaultIsFull(f"{room} Nothing was changed.")


def apply(site: Site, panels: Sequence[Panel], change: Change) -> Resident:
    """One row: idempotent, and whole on each panel when it returns."""
    entry = change.entry
    rights = {
        "doors": entry.doors,
        "valid_from": entry.valid_from,
        "valid_until": entry.valid_until,
        "under_14": entry.under_14,
    }
    given: dict[str, Any] = {name: value for name, value in rights.items() if value is not None}
    resident = residents.change(site, change.was, **(given if change.becomes else {})) if change.was else None
    for panel in panels:
        if resident is None or residents.placements(site, resident).get(panel.name) in (None, "removed"):
            resident = residents.add(site, panel, entry.name, entry.flat, **given)
    assert resident is not None
    return resident


def write_template(path: Path) -> None:
    """A sheet with the columns' heads, in both languages, and one that explains them."""
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet, notes = book.active, book.create_sheet("how")
    sheet.title = "residents"
    sheet.append([f"{words[0]} {words[1]}" for words, _ in COLUMNS.values()])
    notes.append(["column", "what stands in it"])
    for words, what in COLUMNS.values():
        notes.append([" / ".join(words), what])
    for page, widths in ((sheet, [20] * len(COLUMNS)), (notes, [40, 60])):
        for number, width in enumerate(widths, 1):
            page.column_dimensions[get_column_letter(number)].width = width
            page.cell(1, number).font = Font(bold=True)
        page.freeze_panes = "A2"
    for row in range(2, 502):  # Excel must not turn 0301 into 301, nor a date into a number of its own
        for number in range(1, len(COLUMNS) + 1):
            sheet.cell(row, number).number_format = "@"
    try:
        book.save(path)
    except OSError as error:
        raise Usage(f"{path} cannot be written: {error.strerror}.") from error


def _bytes_of(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror}.") from error
    if size > MAX_BYTES:
        raise Usage(f"{path.name} has {size >> 20} MB, more than {MAX_BYTES >> 20}. Split it.")
    if data[:4] == b"\xd0\xcf\x11\xe0":
        raise Usage(f"{path.name} is an old Excel file (.xls), or a locked one. Save it as .xlsx or .csv.")
    return data


def _sheet(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of an Excel file's first sheet."""
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(item.file_size for item in archive.infolist()) > _MAX_UNPACKED:
                raise Usage("The Excel file unpacks to more than it should. Save the first sheet as .csv.")
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
        sheet = book.worksheets[0]
        for line, row in enumerate(sheet.iter_rows(max_col=64), 1):
            cells = [_cell_text(cell.value, cell.data_type) for cell in row]
            _mind_the_cap(line, any(cells))
            yield line, cells
    except Usage:
        raise
    except Exception as error:  # openpyxl raises what its XML parser, zipfile or its own code happens to raise
        raise Usage(f"The Excel file cannot be read ({type(error).__name__}). Save it again, or as .csv.") from error


def _cell_text(value: Any, data_type: str) -> str:
    if value is None:
        return ""
    if data_type == "f":
        return "=" + str(value).lstrip("=")
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _clean(str(value))


def _text(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of a CSV file: comma, semicolon or tab, whichever its head has."""
    text = _decoded(data)
    head = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            _mind_the_cap(line, any(cells))
            yield line, [_clean(cell) for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise Usage(f"Line {line} is no line of a CSV file: {error}.") from error


def _decoded(data: bytes) -> str:
    """UTF-8, with or without its mark, UTF-16 with it, or GB18030, which older Chinese tables are in."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        candidates: tuple[str, ...] = ("utf-16",)
    else:
        candidates = ("utf-8-sig", "gb18030")
    for encoding in candidates:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise Usage("The file is neither .xlsx nor text in UTF-8 or GB18030. Save it as .xlsx, or as CSV in UTF-8.")


def _mind_the_cap(line: int, filled: bool) -> None:
    if line > MAX_ROWS + 1 and filled:
        raise Usage(f"The file has more than {MAX_ROWS} rows. Split it.")
    if line > 20 * MAX_ROWS:
        raise Usage("The file has endless empty rows. Delete them, or save the sheet as .csv.")


def _clean(text: str) -> str:
    """Composed characters, single spaces; a tab or line break at the beginning stays, to be refused."""
    text = unicodedata.normalize("NFC", text)
    return text if text[:1] in ("\t", "\r") and text.strip() else " ".join(text.split())


def _columns(head: list[str]) -> dict[str, int]:
    """Column to its place. A head may have both languages, as the template's do."""
    names = {word: name for name, (words, _) in COLUMNS.items() for word in words}
    found: dict[str, int] = {}
    for at, cell in enumerate(head):
        words = [cell.lower(), *cell.lower().split()]
        column = next((names[word] for word in words if word in names), None)
        if column is None:
            if cell:
                raise Usage(f'The column "{cell[:40]}" is not known. Known are: {", ".join(COLUMNS)}.')
        elif column in found:
            raise Usage(f"Two columns hold {column}. Leave one out.")
        else:
            found[column] = at
    lacking = [name for name in _NEEDED if name not in found]
    if lacking:
        heads = ", ".join(f"{COLUMNS[name][0][0]} ({COLUMNS[name][0][1]})" for name in lacking)
        raise Usage(f"The first row must name the columns; {heads} is missing. See: menshen resident template.")
    return found


def _entry(line: int, values: dict[str, str], problems: list[Problem], today: date) -> Entry | None:
    found: dict[str, Any] = {}
    before = len(problems)
    for column, text in values.items():
        try:
            found |= _READERS[column](_safe(text), today)
        except Usage as error:
            problems.append(Problem(line, column, str(error)))
    return Entry(line, **found) if len(problems) == before else None


def _safe(text: str) -> str:
    if text.startswith(_FORMULA):
        raise Usage("This looks like a formula. Write the value itself.")
    if len(text) > _MAX_CELL or not text.isprintable():
        raise Usage("This is too long or holds characters that cannot be printed.")
    return text


def _name(text: str, today: date) -> dict[str, Any]:
    residents.check_name(text)
    return {"name": text}


def _flat(text: str, today: date) -> dict[str, Any]:
    flat = unicodedata.normalize("NFKC", text)
    residents.check_flat(flat)
    return {"flat": flat}


def _doors(text: str, today: date) -> dict[str, Any]:
    words = re.split(r"[ ,;、]+", unicodedata.normalize("NFKC", text)) if text else ["0"]
    if not all(word.isascii() and word.isdigit() and len(word) <= 2 and int(word) <= _MAX_DOOR for word in words):
        raise Usage(f"Doors are numbers from 0 to {_MAX_DOOR}, such as 0 1.")
    return {"doors": sum({1 << int(word) for word in words})}


def _from(text: str, today: date) -> dict[str, Any]:
    return {"valid_from": residents.start_of(text)}


def _until(text: str, today: date) -> dict[str, Any]:
    return {"valid_until": residents.end_of(text)}


def _born(text: str, today: date) -> dict[str, Any]:
    return {"under_14": residents.under_14(text, today) if text else False}


_READERS = {"name": _name, "flat": _flat, "doors": _doors, "from": _from, "until": _until, "born": _born}


def _twice(entries: list[Entry]) -> list[Problem]:
    first: dict[tuple[str, str], int] = {}
    problems = []
    for entry in entries:
        line = first.setdefault((entry.flat, entry.name), entry.line)
        if line != entry.line:
            problems.append(Problem(entry.line, "name", f"The same name and flat stand in line {line}."))
    return problems


def _differences(entry: Entry, was: Resident) -> dict[str, tuple[Any, Any]]:
    found = {}
    for name in ("doors", "valid_from", "valid_until", "under_14"):
        wanted, present = getattr(entry, name), getattr(was, name)
        if wanted is not None and wanted != present:
            found[name] = (present, wanted)
    return found
