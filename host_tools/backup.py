"""Backup and restore of the site registry. A backup cannot bring back who was deleted after it was made.

A backup is a whole registry, with the site's keys in it: keep it as you keep the registry. What was deleted since is
known from three places: the registry being replaced, the file of tombstones beside it, and the panels' receipts.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from host_tools import ledger
from host_tools.errors import RegistryBroken, Usage
from host_tools.site import Site, deadlines, history, tombstones
from host_tools.site.registry import Registry
from host_tools.site.tombstones import ANYWHERE, Tombstone

# What came after the backup stays. Parents before children.
_KEPT = (
    *("panels", "residents", "placements", "consents", "enrolments", "credentials", "receipts", "deadlines"),
    *("notices", "settings", "approvers", "reports", "panel_log", "lost_cards", "visitors"),
)


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
            for table in _KEPT:
                _copy_missing(running, db, table)
            _continue_history(running, db)
            _raise_counters(running, db)
            running.close()
        db.execute("UPDATE panels SET receipts_next = 0")  # the panels give again what they still have
        history.append_restored(db, restored.now(), restored.actor, history.read_head(path))
    for stone in owed:
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


def _copy_missing(running: sqlite3.Connection, db: sqlite3.Connection, table: str) -> None:
    names = [row["name"] for row in running.execute(f"PRAGMA table_info({table})")]
    marks = ", ".join("?" * len(names))
    how = "REPLACE" if table == "deadlines" else "IGNORE"
    for row in running.execute(f"SELECT * FROM {table}"):
        db.execute(f"INSERT OR {how} INTO {table} ({', '.join(names)}) VALUES ({marks})", tuple(row))


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
    """Asked of the panel once more: it may have been restored from an old copy as well."""
    if stone.panel_id == ANYWHERE:
        rows = site.registry.rows("SELECT DISTINCT panel_id FROM enrolments WHERE handle = ?", stone.handle)
        panels = [row["panel_id"] for row in rows]
    else:
        panels = [stone.panel_id]
    for panel_id in panels:
        cause = "move_out" if stone.what == "resident" else "request"
        deadlines.open_(site, stone.handle, panel_id, cause, "deleted before the restore")


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", ".head", ".tombstones"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
