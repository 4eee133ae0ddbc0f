"""Residents: who they are stays in the registry, a panel learns a random handle, the flat and the rights."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from host_tools import ledger
from host_tools.errors import RegistryConflict, Usage
from host_tools.fleet import crowd
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
    check_name(name)
    check_flat(flat)
    handle = _register(site, panel, name, flat, (doors, tuple(schedule), valid_from, valid_until), under_14)
    resident = site.resident(handle.hex())
    with sending(site, lambda db: _unregister(db, panel, handle)):
        _put(panel, resident)
    _set_placement(site, panel, handle, "active")
    site.note("resident_added", handle, panel.panel_id)
    return resident


def change(
    site: Site,
    resident: Resident,
    *,
    doors: int | None = None,
    valid_from: int | None = None,
    valid_until: int | None = None,
    under_14: bool | None = None,
) -> Resident:
    """Other rights, on every panel that knows the resident; credentials and consent stay as they are.

    Until a panel has taken them over its placement is "pending"; the same again, or no change at all, finishes it.
    RegistryConflict: somebody else has changed the resident since `resident` was read.
    """
    wanted = {"doors": doors, "valid_from": valid_from, "valid_until": valid_until, "under_14": under_14}
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    changed = replace(resident, **given)
    if given:
        with site.registry.transaction() as db:
            if site.resident(resident.handle.hex(), removed=True) != resident:
                raise RegistryConflict(f"Somebody else has changed {resident.name} meanwhile. Look, and say it again.")
            db.execute(
                "UPDATE residents SET doors = ?, valid_from = ?, valid_until = ?, under_14 = ? WHERE handle = ?",
                (changed.doors, changed.valid_from, changed.valid_until, int(changed.under_14), changed.handle),
            )
            db.execute(
                "UPDATE placements SET state = 'pending' WHERE handle = ? AND state = 'active'", (changed.handle,)
            )
    placed = placements(site, changed)
    for record in site.panel_records():
        if placed.get(record.name) == "pending":
            _bring(site, site.link(record), changed)
    site.note("resident_changed", changed.handle, **given)
    return changed


def _bring(site: Site, panel: Panel, resident: Resident) -> None:
    """Until the panel has what the registry has: somebody else's later change may have reached it before this one."""
    while True:
        _put(panel, resident)
        with site.registry.transaction() as db:
            now = site.resident(resident.handle.hex(), removed=True)
            if now == resident or now.state == "removed":
                db.execute(
                    "UPDATE placements SET state = 'active' WHERE handle = ? AND panel_id = ? AND state = 'pending'",
                    (resident.handle, panel.panel_id),
                )
                return
        resident = now


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
    owing = [bytes(row["panel_id"]) for row in rows]
    deadlines.open_on(site, resident.handle, owing, "move_out", reference, days)
    records = [record for record in site.panel_records() if record.panel_id in owing]
    return crowd.each(site, records, lambda site, panel: ledger.attempt(site, panel, resident.handle))


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


def check_name(name: str) -> None:
    if not name.strip() or len(name) > 100:
        raise Usage("A resident's name has 1 to 100 characters.")


def check_flat(flat: str) -> None:
    if not re.fullmatch("[0-9]{1,6}", flat):
        raise Usage("A flat is 1 to 6 digits, as typed on the panel's keypad.")


def _put(panel: Panel, resident: Resident) -> None:
    panel.request(
        "resident_put",
        handle=resident.handle,
        flat=resident.flat,
        doors=resident.doors,
        schedule=[dict(zip(("days", "start", "end"), window, strict=True)) for window in resident.schedule],
        valid_from=resident.valid_from,
        valid_until=resident.valid_until,
    )


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
