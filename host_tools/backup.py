"""Backup and restore of the site registry. A backup cannot bring back who was deleted after it was made.

A backup is a whole registry, with the site's keys in it: keep it as you keep the registry. What was deleted since is
known from three places: the registry being replaced, the file of tombstones beside it, and the panels' receipts.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools import ledger
from host_tools.errors import RegistryBroken, Usage
from host_tools.site import Site, deadlines, history, tombstones
from host_tools.site.registry import Registry
from host_tools.site.tombstones import ANYWHERE, Tombstone

# What the registry being replaced knows stays, parents before children: rows that the backup lacks, by what makes a row
# the same one (two registries that went apart give the same number to different things). Of a row in both, the facts
# of the world since the backup are kept; what managers decide themselves is taken from the backup.
_SAME = {
    "panels": ("panel_id",),
    "residents": ("handle",),
    "placements": ("handle", "panel_id"),
    "consents": ("consent_id",),
    "enrolments": ("handle", "panel_id", "consent_id", "enrolled"),
    "credentials": ("handle", "panel_id", "kind", "uid", "issued"),
    "receipts": ("digest",),
    "deadlines": ("handle", "panel_id", "cause", "reference", "opened"),
    "notices": ("name", "version"),
    "settings": ("name",),
    "approvers": ("name",),
    "reports": ("kind", "made", "sha256"),
    "panel_log": ("panel_id", "seq"),
    "lost_cards": ("uid", "panel_id"),
    "visitors": ("flat", "panel_id", "number", "until"),
}
_FACTS = ("placements", "consents", "enrolments", "credentials", "deadlines", "lost_cards", "visitors")


@dataclass(frozen=True)
class Restored:
    """`buried`: how many deletions were applied to the backup; `panels`: what each one answered."""

    buried: int
    outcomes: list[ledger.Outcome]


def backup(site: Site, file: Path) -> None:
    """Writes a consistent copy while the registry is in use. Usage: the file exists."""
    site.note("backup_made")
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        raise Usage(f"{file} exists already. Choose another name.") from error
    except OSError as error:
        raise Usage(f"The backup cannot be written to {file}: {error.strerror}.") from error
    site.registry.copy_to(file)


def restore(file: Path, path: Path) -> Restored:
    """Puts the backup in the place of the registry at `path`, without what was deleted since.

    The panels that can be reached are asked for receipts that neither knows, and told what must stay deleted.
    """
    if not file.is_file():
        raise Usage(f"There is no backup {file}.")
    staged = path.with_name(path.name + ".restoring")
    _remove(staged)
    path.parent.mkdir(parents=True, exist_ok=True)
    staged.touch(0o600)
    staged.write_bytes(file.read_bytes())
    try:
        with Site(Registry(staged)) as restored:  # checked, and brought up to this version's schema
            buried = _take_over(restored, path)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        os.replace(staged, path)
    finally:
        _remove(staged)
    with Site.open(path) as site:
        head = site.registry.row("SELECT seq, hash FROM history ORDER BY seq DESC LIMIT 1")
        if head:
            history.write_head(path, head["seq"], head["hash"])
        return Restored(buried, ledger.retry(site, restored=True))


def _take_over(restored: Site, path: Path) -> int:
    """What the registry being replaced, and the file beside it, know to be deleted."""
    stones = tombstones.read(path)
    running = _open_running(path)
    with restored.registry.transaction() as db:
        stones += tombstones.of(running) if running else []
        before = _stored(db)
        owed = [stone for stone in stones if _brings_back(db, stone)]
        tombstones.lay(db, stones)
        buried = before - _stored(db)
        if running:
            for table in _SAME:
                _merge(running, db, table)
            tombstones.lay(db, stones)  # the file beside it may know more than it does
            _continue_history(running, db)
            _raise_counters(running, db)
            running.close()
        db.execute("UPDATE panels SET receipts_next = 0")  # the panels give again what they still have
        history.append_restored(db, restored.now(), restored.actor, history.read_head(path))
    for stone in sorted(owed, key=lambda stone: stone.what != "resident"):  # moving out includes the face
        _owe(restored, stone)
    return buried


def _open_running(path: Path) -> sqlite3.Connection | None:
    """The registry to be replaced, where it can be read at all."""
    if not path.is_file():
        return None
    try:
        Registry(path).close()
        running = sqlite3.connect(path, isolation_level=None)
        running.row_factory = sqlite3.Row
        return running
    except (RegistryBroken, sqlite3.DatabaseError):
        return None


def _merge(running: sqlite3.Connection, db: sqlite3.Connection, table: str) -> None:
    same = _SAME[table]
    known = {tuple(row[name] for name in same): dict(row) for row in db.execute(f"SELECT * FROM {table}")}
    for row in map(dict, running.execute(f"SELECT * FROM {table}").fetchall()):
        found = known.get(tuple(row[name] for name in same))
        values = {name: value for name, value in row.items() if name != "id"}
        if found is None:
            if table in ("panels", "residents"):
                _make_room(db, table, row)
            marks = ", ".join("?" * len(values))
            db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
        elif table in _FACTS:
            sets = ", ".join(f"{name} = ?" for name in values)
            key = ("id",) if "id" in found else same
            where = " AND ".join(f"{name} = ?" for name in key)
            db.execute(f"UPDATE {table} SET {sets} WHERE {where}", (*values.values(), *(found[name] for name in key)))


def _make_room(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    """Names are unique among those in use: who or what bears it in the backup, and is another, steps aside."""
    unique, ended = (("name",), "retired") if table == "panels" else (("name", "flat"), "removed")
    if row["state"] != ended:
        where = " AND ".join(f"{name} = ?" for name in unique)
        db.execute(
            f"UPDATE {table} SET name = name || ' (from the backup)' WHERE {where} AND state != '{ended}'",
            tuple(row[name] for name in unique),
        )


def _continue_history(running: sqlite3.Connection, db: sqlite3.Connection) -> None:
    """The running chain wins where it goes on from the backup's; else the backup's stays as it is."""
    old, new = history.entries(db), history.entries(running)
    if [entry.hash for entry in new[: len(old)]] == [entry.hash for entry in old]:
        for entry in new[len(old) :]:
            values = tuple(getattr(entry, name) for name in entry.__dataclass_fields__)
            db.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def _raise_counters(running: sqlite3.Connection, db: sqlite3.Connection) -> None:
    """No counter of the link is used twice."""
    for row in running.execute("SELECT panel_id, counter, state, link_key FROM panels"):
        db.execute(
            "UPDATE panels SET counter = max(counter, ?), state = ?, link_key = ? WHERE panel_id = ?",
            (row["counter"], row["state"], row["link_key"], row["panel_id"]),
        )


def _stored(db: sqlite3.Connection) -> int:
    row = db.execute(
        "SELECT (SELECT count(*) FROM enrolments WHERE state != 'wiped') + "
        "(SELECT count(*) FROM residents WHERE state != 'removed')"
    ).fetchone()
    return int(row[0])


def _brings_back(db: sqlite3.Connection, stone: Tombstone) -> bool:
    query = f"SELECT 1 FROM enrolments WHERE state != 'wiped' AND {tombstones.UNDER}"
    return stone.what != "consent" and db.execute(query, stone.values()).fetchone() is not None


def _owe(site: Site, stone: Tombstone) -> None:
    """Asked of the panel once more: it may have been restored from an old copy as well.

    Not where the deletion is pending already, nor where the person has enrolled again since.
    """
    rows = site.registry.rows(
        "SELECT panel_id, min(CASE state WHEN 'wiped' THEN 1 ELSE 0 END) AS gone FROM enrolments WHERE handle = ? "
        "GROUP BY panel_id",
        stone.handle,
    )
    for row in rows:
        panel_id = bytes(row["panel_id"])
        here = stone.panel_id in (ANYWHERE, panel_id)
        if here and row["gone"] and not deadlines.pending(site, stone.handle, panel_id):
            cause = "move_out" if stone.what == "resident" else "request"
            deadlines.open_(site, stone.handle, panel_id, cause, "deleted before the restore")


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", ".head", ".tombstones"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
