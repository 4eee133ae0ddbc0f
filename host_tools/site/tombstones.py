"""Tombstones: what was erased, kept so that no backup brings it back.

They stand in the registry, hence in every later backup, and also in `<beside>.tombstones` (Registry.beside), one
JSON object a line, which outlives the registry itself. `sequence` is the panel's own number of the erasure (its
receipt's counter, 0 where only the host decided): a panel that gets the tombstone refuses older records of that handle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from host_tools.site.database import Connection

ANYWHERE = bytes(8)  # as a panel: of every one

# The enrolments that a stone lies on: by the panel's own numbers, whatever its clock said, or by the host's clock,
# since what is owed has no number yet.
UNDER = (
    "handle = :handle AND (:anywhere = 1 OR panel_id = :panel_id) AND "
    "(sequence > 0 AND sequence <= :sequence OR enrolled <= :wiped)"
)


@dataclass(frozen=True)
class Tombstone:
    """`what`: face, consent or resident."""

    what: str
    handle: bytes
    panel_id: bytes
    wiped: int
    sequence: int
    reason: str

    def values(self) -> dict[str, object]:
        """For a query with UNDER."""
        return {**vars(self), "anywhere": self.panel_id == ANYWHERE}


def bury(db: Connection, stone: Tombstone) -> None:
    """The later of two stones for the same thing stays."""
    db.execute(
        "INSERT INTO tombstones VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (what, handle, panel_id) DO UPDATE SET "
        "reason = excluded.reason, wiped = greatest(tombstones.wiped, excluded.wiped), "
        "sequence = greatest(tombstones.sequence, excluded.sequence)",
        (stone.what, stone.handle, stone.panel_id, stone.wiped, stone.sequence, stone.reason),
    )


def of(db: Connection) -> list[Tombstone]:
    return [Tombstone(*row) for row in db.execute("SELECT * FROM tombstones ORDER BY wiped, what, handle")]


def file_of(beside: Path) -> Path:
    return beside.with_name(beside.name + ".tombstones")


def write(beside: Path, stones: Iterable[Tombstone]) -> None:
    """Adds lines beside the registry; on the disk when this returns."""
    lines = [
        json.dumps([stone.what, stone.handle.hex(), stone.panel_id.hex(), stone.wiped, stone.sequence, stone.reason])
        for stone in stones
    ]
    if not lines:
        return
    descriptor = os.open(file_of(beside), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())


def read(beside: Path) -> list[Tombstone]:
    """Lines cut off by a crash are skipped: what they say stands in the registry."""
    try:
        lines = file_of(beside).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    stones = []
    for line in lines:
        try:
            what, handle, panel_id, wiped, sequence, reason = json.loads(line)
            stones.append(Tombstone(what, bytes.fromhex(handle), bytes.fromhex(panel_id), wiped, sequence, reason))
        except (ValueError, TypeError):
            continue
    return stones


def lay(db: Connection, stones: Iterable[Tombstone]) -> None:
    """Takes what lies under `stones` out of a registry that may be older than they are."""
    for stone in stones:
        bury(db, stone)
        at = (stone.handle, stone.panel_id == ANYWHERE, stone.panel_id, stone.wiped)
        where = "handle = ? AND (? = 1 OR panel_id = ?)"
        if stone.what in ("face", "resident"):
            db.execute(f"UPDATE enrolments SET state = 'wiped' WHERE {UNDER}", stone.values())
        if stone.what in ("consent", "resident"):
            db.execute(
                f"UPDATE consents SET state = 'withdrawn', withdrawn = ? WHERE {where} AND asked <= ? "
                "AND state IN ('asked', 'given')",
                (stone.wiped, *at),
            )
        if stone.what == "resident":
            db.execute("UPDATE residents SET state = 'removed', name = '', flat = '' WHERE handle = ?", (stone.handle,))
            db.execute("UPDATE placements SET state = 'removed' WHERE handle = ?", (stone.handle,))
            db.execute("UPDATE credentials SET state = 'revoked' WHERE handle = ?", (stone.handle,))
