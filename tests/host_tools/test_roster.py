"""Lists of residents: every encoding and table that managers have, no row taken over from a file with a bad one."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from host_tools import residents, roster
from host_tools.errors import LinkFailed, Usage, VaultIsFull
from host_tools.roster import BadRoster
from host_tools.site import Panel, Site

TODAY = date(2026, 11, 25)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site.open(tmp_path / "site.db") as site:
        yield site


class Door(Panel):
    """A panel that keeps what it is told; `breaks` after so many residents."""

    def __init__(self, site: Site, name: str, capacity: int = 100) -> None:
        panel_id = os.urandom(8)
        with site.registry.transaction() as db:
            db.execute(
                "INSERT INTO panels (panel_id, name, device_pub, link_key, port, state, added) "
                "VALUES (?, ?, ?, ?, 'none', 'active', 0)",
                (panel_id, name, bytes(32), bytes(32)),
            )
        super().__init__(next(r for r in site.panel_records() if r.panel_id == panel_id), lambda least: least)
        self.told: dict[bytes, dict[str, Any]] = {}
        self.capacity = capacity
        self.breaks: int | None = None
        site._panels[panel_id] = self  # what site.link gives

    def request(self, op: str, timeout_s: float | None = None, **fields: Any) -> dict[str, Any]:
        if op == "status":
            return {"residents": len(self.told), "faces": 0, "face_capacity": self.capacity}
        assert op == "resident_put"
        if self.breaks is not None and len(self.told) >= self.breaks:
            raise LinkFailed("The cable was pulled.")
        self.told[fields["handle"]] = fields
        return {}


def write(folder: Path, content: str | bytes, name: str = "list.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def sheet(folder: Path, *rows: list[Any]) -> Path:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(folder / "list.xlsx")
    return folder / "list.xlsx"


def take_over(site: Site, door: Door, path: Path) -> roster.Plan:
    plan = roster.compare(site, [door], roster.read(path, TODAY))
    roster.check_room([door], plan)
    for change in [*plan.added, *plan.changed]:
        roster.apply(site, [door], change)
    return plan


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_chinese_tables_in_every_encoding_and_with_every_delimiter(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    text = "姓名,房号,出生日期\r\n王芳,301,1980-05-01\r\n\r\n小明,\uff13\uff10\uff11,2019-06-30\r\n".replace(
        ",", delimiter
    )
    wang, ming = roster.read(write(tmp_path, text, encoding=encoding), TODAY)
    assert (wang.name, wang.flat, wang.under_14, wang.doors, wang.line) == ("王芳", "301", False, None, 2)
    assert (ming.name, ming.flat, ming.under_14, ming.line) == ("小明", "301", True, 4)


def test_an_excel_sheet_with_numbers_and_dates(tmp_path: Path) -> None:
    rows = [["Name", "Flat", "Doors", "Until"], ["Ann", 301, "0 1", datetime(2027, 6, 30)], ["Bob", 302.0, 1, None]]
    ann, bob = roster.read(sheet(tmp_path, *rows), TODAY)
    assert (ann.flat, ann.doors, ann.valid_until) == ("301", 3, residents.end_of("2027-06-30"))
    assert (bob.flat, bob.doors, bob.valid_until) == ("302", 2, 0)


def test_every_bad_row_is_told_with_its_line_and_column(tmp_path: Path) -> None:
    text = "name,flat,doors,until\nAnn,301,0,\n,302,0,\nBob,3a,0,\nCy,303,40,\nDi,304,0,soon\nAnn,301,1,\n=1+1,305,0,\n"
    with pytest.raises(BadRoster) as caught:
        roster.read(write(tmp_path, text), TODAY)
    told = [(problem.line, problem.column) for problem in caught.value.problems]
    assert told == [(3, "name"), (4, "flat"), (5, "doors"), (6, "until"), (7, "name"), (8, "name")]
    assert "line 2" in str(caught.value.problems[4]) and "formula" in str(caught.value.problems[5])


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", '"\t=1"', "Ann\x07", "Ann\u202e"])
def test_what_a_spreadsheet_would_run_or_hide_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadRoster):
        roster.read(write(tmp_path, f"name,flat\n{text},301\n"), TODAY)


def test_formulas_in_excel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRoster, match="1 problems"):
        roster.read(sheet(tmp_path, ["name", "flat"], ["=A2", 301]), TODAY)


def test_files_that_are_no_list(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (65 << 20))
    many = "name,flat\n" + "".join(f"Resident {n},{n}\n" for n in range(roster.MAX_ROWS + 1))
    for content, what in (
        (b"", "empty"),
        (b"name,flat\n", "no row"),
        (b"name\nAnn\n", "flat"),
        (b"name,flat,salary\nAnn,1,2\n", "salary"),
        (b"name,name,flat\nAnn,Ann,1\n", "Two columns"),
        (b"\x81" * 9, "neither"),
        (b"name,flat\n\0\0,1\n", "neither"),
        (b'name,flat\n"Ann,301\n', "CSV"),
        (b"PK\3\4 no archive", "cannot be read"),
        (b"\xd0\xcf\x11\xe0old", "old Excel"),
        (bomb.getvalue(), "unpacks"),
        (bytes(roster.MAX_BYTES + 1), "MB"),
        (many.encode(), "more than"),
    ):
        with pytest.raises(Usage, match=what):
            roster.read(write(tmp_path, content), TODAY)
    with pytest.raises(Usage, match="cannot be read"):
        roster.read(tmp_path / "none.csv")


def test_what_a_file_changes_is_planned_done_and_done_only_once(site: Site, tmp_path: Path) -> None:
    door = Door(site, "door")
    first = take_over(site, door, write(tmp_path, "name,flat,doors\nAnn,301,0\nBob,302,0\n"))
    assert [change.entry.name for change in first.added] == ["Ann", "Bob"] and len(door.told) == 2
    again = take_over(site, door, write(tmp_path, "name,flat,doors\nAnn,301,0\nBob,302,0\n"))
    assert not again and again.unchanged == 2
    plan = take_over(site, door, write(tmp_path, "name,flat,doors,until\nAnn,301,0 2,2027-06-30\nCarla,303,,\n"))
    assert [change.entry.name for change in plan.added] == ["Carla"]
    assert plan.changed[0].becomes["doors"] == (1, 5) and [r.name for r in plan.missing] == ["Bob"]
    ann = site.resident("Ann")
    assert door.told[ann.handle]["doors"] == ann.doors == 5
    assert door.told[ann.handle]["valid_until"] == residents.end_of("2027-06-30")
    kept = take_over(site, door, write(tmp_path, "name,flat\nAnn,301\n"))
    assert kept.unchanged == 1 and site.resident("Ann").doors == 5  # a column that is not there changes nothing
    assert not any(name.encode() in repr(door.told).encode() for name in ("Ann", "Bob", "Carla"))


def test_a_cut_in_between_is_finished_by_the_same_file(site: Site, tmp_path: Path) -> None:
    door = Door(site, "door")
    path = write(tmp_path, "name,flat,doors\nAnn,301,0\nBob,302,0\nCarla,303,0\n")
    door.breaks = 1
    with pytest.raises(LinkFailed):
        take_over(site, door, path)
    door.breaks = None
    plan = take_over(site, door, path)
    assert plan.unchanged == 1 and len(door.told) == 3
    path = write(tmp_path, "name,flat,doors\nAnn,301,0 1\nBob,302,0\nCarla,303,0\n")
    door.breaks = 0
    with pytest.raises(LinkFailed):
        take_over(site, door, path)
    door.breaks = None
    plan = take_over(site, door, path)
    ann = site.resident("Ann")
    assert [change.was for change in plan.changed] == [ann] and door.told[ann.handle]["doors"] == 3
    assert take_over(site, door, path).unchanged == 3


def test_a_list_that_does_not_fit_changes_nothing(site: Site, tmp_path: Path) -> None:
    door = Door(site, "door", capacity=1)
    with pytest.raises(VaultIsFull, match="room for 2"):
        take_over(site, door, write(tmp_path, "name,flat\nAnn,301\nBob,302\nCarla,303\n"))
    assert not door.told and not site.residents()


def test_the_template_is_a_list_once_filled_in(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "template.xlsx"
    roster.write_template(path)
    with pytest.raises(Usage, match="no row"):
        roster.read(path)
    book = load_workbook(path)
    for column, value in enumerate(("王芳", "0301", "0", "", "2027-06-30", "1980-05-01"), 1):
        book["residents"].cell(2, column).value = value
    book.save(path)
    (wang,) = roster.read(path, TODAY)
    assert (wang.name, wang.flat, wang.valid_until) == ("王芳", "0301", residents.end_of("2027-06-30"))
