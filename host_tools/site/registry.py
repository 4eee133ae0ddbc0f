"""The site registry's file: SQLite in WAL mode, readable by its owner only, brought up to date when opened.

No photo, template or PIN is ever in it. Link keys and the card key are: keep the file as you keep the
master key.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host_tools.errors import RegistryBroken, RegistryNewer
from host_tools.site.schema import MIGRATIONS

_BUSY_S = 10.0


class Registry:
    """Opens, creates or migrates the file at `path`. Raises RegistryBroken, RegistryNewer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            _create_private(path)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        except (sqlite3.Error, OSError) as error:
            raise RegistryBroken(f"The site registry {path} cannot be opened: {error}.") from error
        self._db.row_factory = sqlite3.Row
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise self._broken(error) from error
        except RegistryBroken:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything in the block is written, or nothing of it."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from error

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        try:
            return list(self._db.execute(query, values))
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from error

    def row(self, query: str, *values: object) -> sqlite3.Row | None:
        found = self.rows(query, *values)
        return found[0] if found else None

    def copy_to(self, path: Path) -> None:
        """A consistent copy into the existing file `path`, while this one is in use."""
        try:
            copy = sqlite3.connect(path)
            try:
                self._db.backup(copy)
            finally:
                copy.close()
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from error

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise RegistryNewer(
                f"The site registry {self.path} was written by a newer menshen (schema {version}, "
                f"this one knows {len(MIGRATIONS)}). Update menshen; nothing was changed."
            )
        # Before anything that writes: another program's file stays as it is.
        tables = [row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        if (version or tables) and (not version or "site" not in tables):
            raise RegistryBroken(f"{self.path} is another program's database. Choose another file.")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.execute("PRAGMA secure_delete = ON")
        if version < len(MIGRATIONS):
            self._migrate()
        if self._db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise RegistryBroken(f"The site registry {self.path} is damaged. Restore it from a backup.")

    def _migrate(self) -> None:
        with self.transaction() as db:
            # Read again inside the transaction: another process may have migrated meanwhile.
            version = db.execute("PRAGMA user_version").fetchone()[0]
            for step in MIGRATIONS[version:]:
                for statement in _statements(step):
                    db.execute(statement)
            if version == 0:
                db.execute("INSERT INTO site VALUES (1, ?, ?, ?)", (os.urandom(8), os.urandom(16), int(time.time())))
            db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _broken(self, error: sqlite3.DatabaseError) -> RegistryBroken:
        return RegistryBroken(
            f"The site registry {self.path} cannot be used ({error}). Restore it from a backup; nothing was changed."
        )


def _create_private(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.close(descriptor)


def _statements(script: str) -> Iterator[str]:
    """`executescript` would commit the transaction that the migration runs in. A trigger holds semicolons itself."""
    statement = ""
    for part in script.split(";")[:-1]:
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
