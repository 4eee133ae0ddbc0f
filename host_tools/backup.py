"""Backup and restore of the site registry. A backup cannot bring back who was deleted after it was made.

A backup is a whole registry in a SQLite file, wherever the registry itself lives, with the site's keys in it: keep it
as you keep the registry. Restored into another place, it moves the site there. What was deleted since is known from
three places: the registry being replaced, the file of tombstones beside it, and the panels' receipts.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools import ledger
from host_tools.errors import RegistryBroken, Usage
from host_tools.site import Site, deadlines, history, safe, tombstones
from host_tools.site.database import Connection
from host_tools.site.place import Place
from host_tools.site.registry import Registry
from host_tools.site.schema import TABLES
from host_tools.site.tombstones import ANYWHERE, Tombstone

# What the registry being replaced knows stays, parents before children: rows that the backup lacks, by what makes a row
# the same one (two registries that went apart give the same number to different things). Of a row in both, the facts
# of the world since the backup are kept; what managers decide themselves is taken from the backup.
SAME = {
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
# Who is at work now is the running registry's alone.
PASSING = ("leases",)
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
    try:
        site.registry.copy_to(file)
    except BaseException:
        file.unlink()
        raise


def restore(file: Path, named: Place | Path | str | None) -> Restored:
    """Puts the backup in the place of the registry named, without what was deleted since.

    Whoever else works with that registry sees it replaced between two of his changes. The panels that can be reached
    are asked for receipts that neither knows, and told what must stay deleted.
    """
    place = Place.of(named)
    if not file.is_file():
        raise Usage(f"There is no backup {file}.")
    with tempfile.TemporaryDirectory(prefix="menshen-") as folder:
        staged = Path(folder) / "site.db"
        staged.touch(0o600)
        staged.write_bytes(file.read_bytes())
        with Site(Registry(staged)) as restored:  # checked, and brought up to this version's schema
            target = _target(place)
            try:
                safe.prepare_together(restored.registry, target)
                with target.transaction() as running:
                    _check_same(restored, running, file)
                    safe.bring_together(restored.registry, target)
                    buried = _take_over(restored, running, place.beside(restored.site_id))
                    safe.seal_all(restored.registry)
                    target.take_from(restored.registry)
            finally:
                target.close()
    with Site.open(place) as site:
        site.keep_head()
        site.keep_stones()
        return Restored(buried, ledger.retry(site, restored=True))


def _target(place: Place) -> Registry:
    """The registry to be replaced: a new one where there is none, or where a file is damaged beyond reading."""
    try:
        return Registry(place)
    except RegistryBroken as error:
        if place.file is None or not place.file.is_file() or type(error) is not RegistryBroken:
            raise
        for suffix in ("", "-wal", "-shm"):
            place.file.with_name(place.file.name + suffix).unlink(missing_ok=True)
        return Registry(place)


def _check_same(restored: Site, running: Connection, file: Path) -> None:
    """A registry in use is not mixed with that of other doors."""
    here = [bytes(row["panel_id"]) for row in running.execute("SELECT panel_id FROM panels")]
    known = {record.panel_id for record in restored.panel_records(retired=True)}
    same = running.execute("SELECT 1 FROM site WHERE site_id = ?", (restored.site_id,)).fetchone()
    if here and not same and not known & set(here):
        raise Usage(f"{file} is a backup of another site. Restore it into a place of its own; nothing was changed.")


def _take_over(restored: Site, running: Connection, beside: Path) -> int:
    """What the registry being replaced, and the file beside it, know to be deleted."""
    stones = tombstones.read(beside)
    with restored.registry.transaction() as db:
        stones += tombstones.of(running)
        before = _stored(db)
        owed = [stone for stone in stones if _brings_back(db, stone)]
        tombstones.lay(db, stones)
        buried = before - _stored(db)
        for table in SAME:
            _merge(running, db, table, restored.registry.columns(table))
        for table in PASSING:
            if table in TABLES:
                db.execute(f"DELETE FROM {table}")
                _merge(running, db, table, restored.registry.columns(table))
        tombstones.lay(db, stones)  # the file beside it may know more than it does
        _continue_history(running, db)
        _raise_counters(running, db)
        db.execute("UPDATE panels SET receipts_next = 0")  # the panels give again what they still have
        history.append_restored(db, restored.now(), restored.actor, history.read_head(beside))
    for stone in sorted(owed, key=lambda stone: stone.what != "resident"):  # moving out includes the face
        _owe(restored, stone)
    return buried


def _merge(running: Connection, db: Connection, table: str, columns: list[str]) -> None:
    same = SAME.get(table, tuple(columns))
    everything = f"SELECT {', '.join(columns)} FROM {table}"
    known = {tuple(row[name] for name in same): dict(row) for row in db.execute(everything)}
    for row in map(dict, running.execute(everything).fetchall()):
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


def _make_room(db: Connection, table: str, row: dict[str, Any]) -> None:
    """Names are unique among those in use: who or what bears it in the backup, and is another, steps aside."""
    unique, ended = (("name",), "retired") if table == "panels" else (("name", "flat"), "removed")
    if row["state"] != ended:
        where = " AND ".join(f"{name} = ?" for name in unique)
        db.execute(
            f"UPDATE {table} SET name = name || ' (from the backup)' WHERE {where} AND state != '{ended}'",
            tuple(row[name] for name in unique),
        )


def _continue_history(running: Connection, db: Connection) -> None:
    """The running chain wins where it goes on from the backup's; else the backup's stays as it is."""
    old, new = history.entries(db), history.entries(running)
    if [entry.hash for entry in new[: len(old)]] == [entry.hash for entry in old]:
        for entry in new[len(old) :]:
            values = tuple(getattr(entry, name) for name in entry.__dataclass_fields__)
            db.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def _raise_counters(running: Connection, db: Connection) -> None:
    """No counter of the link is used twice."""
    for row in running.execute("SELECT panel_id, counter, state, link_key FROM panels"):
        db.execute(
            "UPDATE panels SET counter = greatest(counter, ?), state = ?, link_key = ? WHERE panel_id = ?",
            (row["counter"], row["state"], row["link_key"], row["panel_id"]),
        )


def _stored(db: Connection) -> int:
    row = db.execute(
        "SELECT (SELECT count(*) FROM enrolments WHERE state != 'wiped') + "
        "(SELECT count(*) FROM residents WHERE state != 'removed')"
    ).fetchone()
    return int(row[0])


def _brings_back(db: Connection, stone: Tombstone) -> bool:
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
