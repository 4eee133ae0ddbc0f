"""Residents: who they are stays in the registry, a panel learns a random handle, the flat and the rights."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Sequence

from host_tools.errors import RefusedByPanel, Usage
from host_tools.receipts import collect, store
from host_tools.site import Panel, Resident, Site
from host_tools.site.sending import sending

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
) -> Resident:
    """A new resident on `panel`, or one that the site knows on one more panel. `doors` has a bit a door."""
    _check(name, flat)
    handle = _register(site, panel, name, flat, (doors, tuple(schedule), valid_from, valid_until))
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
    return resident


def remove(site: Site, resident: Resident) -> list[bytes]:
    """Drops the resident from every panel and forgets the name; the receipts of faces wiped."""
    receipts = []
    for row in site.registry.rows(
        "SELECT panel_id FROM placements WHERE handle = ? AND state != 'removed'", resident.handle
    ):
        panel = site.panel(row["panel_id"].hex())
        receipts += _drop(site, panel, resident)
        _set_placement(site, panel, resident.handle, "removed")
    with site.registry.transaction() as db:
        db.execute(
            "UPDATE residents SET state = 'removed', name = '', flat = '' WHERE handle = ?",
            (resident.handle,),
        )
        db.execute("UPDATE credentials SET state = 'revoked' WHERE handle = ?", (resident.handle,))
        db.execute("UPDATE enrolments SET state = 'wiped' WHERE handle = ?", (resident.handle,))
    return receipts


def placements(site: Site, resident: Resident) -> dict[str, str]:
    """Panel name to state: pending, active or removed."""
    rows = site.registry.rows(
        "SELECT name, placements.state FROM placements JOIN panels USING (panel_id) WHERE handle = ?",
        resident.handle,
    )
    return {row["name"]: row["state"] for row in rows}


def _drop(site: Site, panel: Panel, resident: Resident) -> list[bytes]:
    try:
        reply = panel.request("resident_drop", handle=resident.handle)
    except RefusedByPanel as error:
        if error.panel_code != "not_found":
            raise
        # Dropped by an earlier run that was cut short: its receipt is still on the panel.
        return [receipt for receipt in collect(site, panel) if receipt[32:40] == resident.handle]
    if "receipt" not in reply:
        return []
    store(site, panel, reply["receipt"], resident.handle)
    return [reply["receipt"]]


def _check(name: str, flat: str) -> None:
    if not name.strip() or len(name) > 100:
        raise Usage("A resident's name has 1 to 100 characters.")
    if not re.fullmatch("[0-9]{1,6}", flat):
        raise Usage("A flat is 1 to 6 digits, as typed on the panel's keypad.")


def _register(
    site: Site, panel: Panel, name: str, flat: str, rights: tuple[int, tuple[Window, ...], int, int]
) -> bytes:
    doors, schedule, valid_from, valid_until = rights
    with site.registry.transaction() as db:
        row = db.execute(
            "SELECT handle FROM residents WHERE name = ? AND flat = ? AND state = 'active'", (name, flat)
        ).fetchone()
        handle = bytes(row["handle"]) if row else os.urandom(8)
        if row is None:
            db.execute(
                "INSERT INTO residents VALUES (?, ?, ?, ?, ?, ?, ?, 'active', ?)",
                (handle, name, flat, doors, json.dumps(schedule), valid_from, valid_until, site.now()),
            )
        placed = db.execute(
            "SELECT state FROM placements WHERE handle = ? AND panel_id = ?", (handle, panel.panel_id)
        ).fetchone()
        if placed and placed["state"] == "active":
            raise Usage(f"{name} of flat {flat} is already on {panel.name}.")
        db.execute("INSERT OR REPLACE INTO placements VALUES (?, ?, 'pending')", (handle, panel.panel_id))
    return handle


def _unregister(db: sqlite3.Connection, panel: Panel, handle: bytes) -> None:
    db.execute("DELETE FROM placements WHERE handle = ? AND panel_id = ?", (handle, panel.panel_id))
    db.execute("DELETE FROM residents WHERE handle = ? AND handle NOT IN (SELECT handle FROM placements)", (handle,))


def _set_placement(site: Site, panel: Panel, handle: bytes, state: str) -> None:
    with site.registry.transaction() as db:
        db.execute(
            "UPDATE placements SET state = ? WHERE handle = ? AND panel_id = ?",
            (state, handle, panel.panel_id),
        )
