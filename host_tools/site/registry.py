"""The site registry: opened, created or brought up to date; read and changed in transactions.

It is a SQLite file, or a PostgreSQL database for those who outgrow one; everything else knows no difference. No photo,
template or PIN is ever in it. Link keys and the card key are: see safe.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host_tools.errors import RegistryBroken, RegistryNewer
from host_tools.site.database import Connection, Database, Row
from host_tools.site.dialect import LISTED
from host_tools.site.place import Place
from host_tools.site.schema import MIGRATIONS, TABLES
from host_tools.site.sqlite import Sqlite


class Registry:
    """Raises RegistryBroken, RegistryNewer, RegistryUnreachable; the same while it is used, and RegistryConflict."""

    def __init__(self, named: Place | Path | str | None = None) -> None:
        self.place = Place.of(named)
        self._db = _database(self.place)
        try:
            with self._told():
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    @property
    def kind(self) -> str:
        return self._db.kind

    @property
    def site_id(self) -> bytes:
        row = self.row("SELECT site_id FROM site")
        assert row is not None
        return bytes(row["site_id"])

    @property
    def beside(self) -> Path:
        """The start of the names of files that outlive the registry: tombstones, and the head of its history."""
        return self.place.beside(self.site_id)

    @contextmanager
    def transaction(self, alone: bool = True) -> Iterator[Connection]:
        """Everything in the block is written, or nothing of it.

        `alone`: what is read in the block stays so until its end. Without it, single statements are still whole.
        """
        with self._told():
            try:
                self._db.begin(alone)
                yield self._db
                self._db.commit()
            except BaseException:
                self._db.rollback()
                raise

    def rows(self, query: str, *values: object) -> list[Row]:
        with self._told():
            return list(self._db.execute(query, values))

    def row(self, query: str, *values: object) -> Row | None:
        found = self.rows(query, *values)
        return found[0] if found else None

    def version(self) -> int:
        with self._told():
            return self._db.version()

    def columns(self, table: str) -> list[str]:
        with self._told():
            return self._db.columns(table)

    def damage(self, full: bool = False) -> list[str]:
        """A sentence for each thing that is not as it was written."""
        with self._told():
            return self._db.damage(full)

    def copy_to(self, file: Path) -> None:
        """A consistent copy, as a SQLite registry in the existing empty file, while this one is in use."""
        copy = Registry(file)
        try:
            with self.transaction(), copy.transaction():
                copy.take_from(self)
        finally:
            copy.close()

    def take_from(self, other: Registry) -> None:
        """Inside a transaction: every row here gives way to the other's, in one stroke for all who look."""
        with self._db.unguarded():
            for table in reversed(TABLES):
                self._db.execute(f"DELETE FROM {table}")
            for table in TABLES:
                names = other.columns(table)
                order = "ORDER BY rowid" if table in LISTED else ""
                self._db.fill(table, names, other.rows(f"SELECT {', '.join(names)} FROM {table} {order}"))

    def forget(self) -> None:
        """Erases what was overwritten from the disk too, as far as the database can."""
        with self._told():
            self._db.forget()

    def _prepare(self) -> None:
        version = self._db.version()  # before anything that writes: another program's data stay as they are
        if version > len(MIGRATIONS):
            raise RegistryNewer(
                f"The site registry {self.place} was written by a newer menshen (schema {version}, "
                f"this one knows {len(MIGRATIONS)}). Update menshen; nothing was changed."
            )
        self._db.set_up()
        if version < len(MIGRATIONS):
            self._migrate()
        if self._db.damage(full=False):
            raise RegistryBroken(f"The site registry {self.place} is damaged. Restore it from a backup.")

    def _migrate(self) -> None:
        with self.transaction() as db:
            version = self._db.version()  # again: another process may have migrated meanwhile
            for step in MIGRATIONS[version:]:
                self._db.migrate(step)
            if version == 0:
                db.execute(
                    "INSERT INTO site (id, site_id, card_key, created) VALUES (1, ?, ?, ?)",
                    (os.urandom(8), os.urandom(16), int(time.time())),
                )
            self._db.set_version(len(MIGRATIONS))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The driver's errors become the host's."""
        try:
            yield
        except self._db.error as error:
            raise self._db.explain(error) from error


def _database(place: Place) -> Database:
    if place.file is not None:
        return Sqlite(place.file)
    from host_tools.site.postgres import Postgres  # the driver is loaded for those who use it

    return Postgres(place)
