"""Residents: who they are stays in the registry, a panel learns a random handle, the flat and the rights."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from host_tools import ledger
from host_tools.errors import Usage
from host_tools.site import Panel, Resident, Site, deadlines
from host_tools.site.database import Connection
from host_tools.site.sending import sending
from host_tools.site.tombstones import ANYWHERE, Tombstone

Window = tuple[int, int, int]  # weekdays (bit 0 is Monday), first minute, minute after the last
ALWAYS: tuple[Window, ...] = ((127, 0, 1440),)


def add(
    site: Site,
    panel: Panel,
    name: str,
    flat: str,
    *,
    doors: int = 1,
    schedule: Sequence[Window] = ALWAYS,
    valid_from: int = 0,
    valid_until: int = 0,
    under_14: bool = False,
) -> Resident:
    """A new resident on `panel`, or one that the site knows on one more panel. `doors` has a bit a door."""
    _check(name, flat)
    handle = _register(site, panel, name, flat, (doors, tuple(schedule), valid_from, valid_until), under_14)
    resident = site.resident(handle.hex())
    with sending(site, lambda db: _unregister(db, panel, handle)):
        panel.request(
            "resident_put",
            handle=handle,
            flat=resident.flat,
            doors=resident.doors,
            schedule=[dict(zip(("days", "start", "end"), window, strict=True)) for window in resident.schedule],
            valid_from=resident.valid_from,
            valid_until=resident.valid_until,
        )
    _set_placement(site, panel, handle, "active")
    site.note("resident_added", handle, panel.panel_id)
    return resident


def move_out(site: Site, resident: Resident, reference: str = "", days: int | None = None) -> list[ledger.Outcome]:
    """Drops the resident from every panel: rights, credentials, and a face with a receipt.

    The name is forgotten once every panel has confirmed; one that cannot be reached is asked at the next contact.
    """
    site.bury(Tombstone("resident", resident.handle, ANYWHERE, site.now(), 0, "move_out"))
    site.note("resident_removed", resident.handle)
    rows = site.registry.rows(
        "SELECT panel_id FROM placements WHERE handle = ? AND state != 'removed' "
        "UNION SELECT panel_id FROM enrolments WHERE handle = ? AND state != 'wiped'",
        resident.handle,
        resident.handle,
    )
    for row in rows:
        deadlines.open_(site, resident.handle, row["panel_id"], "move_out", reference, days)
    owing = {row["panel_id"] for row in rows}
    panels = [site.link(record) for record in site.panel_records() if record.panel_id in owing]
    return [ledger.attempt(site, panel, resident.handle) for panel in panels]


def under_14(born: str, today: date) -> bool:
    """Of a birth date, YYYY-MM-DD; the date itself is not kept."""
    try:
        birth = date.fromisoformat(born)
    except ValueError as error:
        raise Usage("A birth date is written YYYY-MM-DD.") from error
    years = today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day))
    if not 0 <= years < 150:
        raise Usage("Nobody alive was born on that day.")
    return years < 14


def start_of(day: str) -> int:
    """The first second of a day, YYYY-MM-DD, in this computer's time zone; 0 of ""."""
    return _midnight(day) if day else 0


def end_of(day: str) -> int:
    """The second after a day, YYYY-MM-DD, in this computer's time zone; 0 of ""."""
    return _midnight(day, 1) if day else 0


def _midnight(day: str, later: int = 0) -> int:
    try:
        wanted = date.fromisoformat(day) + timedelta(days=later)
        seconds = int(datetime(wanted.year, wanted.month, wanted.day).timestamp())
    except (ValueError, OverflowError) as error:
        raise Usage(f"A day is written YYYY-MM-DD, not {day}.") from error
    if not 0 < seconds <= 0xFFFFFFFF:
        raise Usage(f"{day} is no day that a panel can keep.")
    return seconds


def placements(site: Site, resident: Resident) -> dict[str, str]:
    """Panel name to state: pending, active or removed."""
    rows = site.registry.rows(
        "SELECT name, placements.state FROM placements JOIN panels USING (panel_id) WHERE handle = ?",
        resident.handle,
    )
    return {row["name"]: row["state"] for row in rows}


def _check(name: str, flat: str) -> None:
    if not name.strip() or len(name) > 100:
        raise Usage("A resident's name has 1 to 100 characters.")
    if not re.fullmatch("[0-9]{1,6}", flat):
        raise Usage("A flat is 1 to 6 digits, as typed on the panel's keypad.")


def _register(
    site: Site, panel: Panel, name: str, flat: str, rights: tuple[int, tuple[Window, ...], int, int], under_14: bool
) -> bytes:
    doors, schedule, valid_from, valid_until = rights
    with site.registry.transaction() as db:
        row = db.execute(
            "SELECT handle FROM residents WHERE name = ? AND flat = ? AND state = 'active'", (name, flat)
        ).fetchone()
        handle = bytes(row["handle"]) if row else os.urandom(8)
        if row is None:
            db.execute(
                "INSERT INTO residents (handle, name, flat, doors, schedule, valid_from, valid_until, state, added, "
                "under_14) VALUES (?, ?, ?, ?, ?, ?, ?, 'active', ?, ?)",
                (handle, name, flat, doors, json.dumps(schedule), valid_from, valid_until, site.now(), under_14),
            )
        placed = db.execute(
            "SELECT state FROM placements WHERE handle = ? AND panel_id = ?", (handle, panel.panel_id)
        ).fetchone()
        if placed and placed["state"] == "active":
            raise Usage(f"{name} of flat {flat} is already on {panel.name}.")
        db.execute(
            "INSERT INTO placements VALUES (?, ?, 'pending') "
            "ON CONFLICT (handle, panel_id) DO UPDATE SET state = excluded.state",
            (handle, panel.panel_id),
        )
    return handle


def _unregister(db: Connection, panel: Panel, handle: bytes) -> None:
    db.execute("DELETE FROM placements WHERE handle = ? AND panel_id = ?", (handle, panel.panel_id))
    db.execute("DELETE FROM residents WHERE handle = ? AND handle NOT IN (SELECT handle FROM placements)", (handle,))


def _set_placement(site: Site, panel: Panel, handle: bytes, state: str) -> None:
    with site.registry.transaction() as db:
        db.execute(
            "UPDATE placements SET state = ? WHERE handle = ? AND panel_id = ?",
            (state, handle, panel.panel_id),
        )
