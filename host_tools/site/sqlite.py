"""A registry in a SQLite file: WAL mode, readable by its owner only, deleted content overwritten."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from host_tools.errors import HostError, RegistryBroken, RegistryBusy, RegistryConflict, RegistryForeign
from host_tools.site.database import Database

_BUSY_S = 30.0


class Sqlite(Database):
    kind = "SQLite"
    error = sqlite3.Error

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            _create_private(file)
            self._db = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None)
        except (sqlite3.Error, OSError) as error:
            raise RegistryBroken(f"The site registry {file} cannot be opened: {error}.") from error
        self._db.row_factory = sqlite3.Row
        self._db.create_function("greatest", 2, max, deterministic=True)

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
        return self._db.execute(sql, values)

    def begin(self, alone: bool = True) -> None:
        self._db.execute("BEGIN IMMEDIATE")  # SQLite has one writer at a time anyway

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def close(self) -> None:
        self._db.close()

    def version(self) -> int:
        # In one statement: somebody else may make the registry at this moment.
        row = self._db.execute(
            "SELECT (SELECT user_version FROM pragma_user_version) AS version, count(*) AS tables, "
            "coalesce(sum(name = 'site'), 0) AS ours FROM sqlite_master WHERE type = 'table'"
        ).fetchone()
        version = int(row["version"])
        if (version or row["tables"]) and not (version and row["ours"]):
            raise RegistryForeign(f"{self._file} is another program's database. Choose another file.")
        return version

    def set_up(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.execute("PRAGMA secure_delete = ON")

    def migrate(self, step: str) -> None:
        for statement in statements(step):
            self._db.execute(statement)

    def set_version(self, version: int) -> None:
        self._db.execute(f"PRAGMA user_version = {version}")

    def columns(self, table: str) -> list[str]:
        return [row["name"] for row in self._db.execute(f"PRAGMA table_info({table})")]

    def damage(self, full: bool) -> list[str]:
        how = "integrity_check" if full else "quick_check"
        found = [str(row[0]) for row in self._db.execute(f"PRAGMA {how}") if row[0] != "ok"]
        for row in self._db.execute("PRAGMA foreign_key_check") if full else ():
            found.append(f"a row of {row['table']} refers to a row of {row['parent']} that is not there")
        return found

    @contextmanager
    def unguarded(self) -> Iterator[None]:
        guards = self._db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for guard in guards:
            self._db.execute(f"DROP TRIGGER {guard['name']}")
        yield
        for guard in guards:
            self._db.execute(guard["sql"])

    def fill(self, table: str, columns: list[str], rows: Iterable[Any]) -> None:
        marks = ", ".join("?" * len(columns))
        insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        self._db.executemany(insert, (tuple(row) for row in rows))

    def forget(self) -> None:
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def explain(self, error: Exception) -> HostError:
        if isinstance(error, sqlite3.IntegrityError):
            return RegistryConflict(
                f"The site registry does not take this change ({error}): perhaps somebody made one at the same moment. "
                "Nothing was changed; look again."
            )
        if "locked" in str(error):
            return RegistryBusy(
                f"The site registry {self._file} is in use by another program for more than {_BUSY_S:.0f} s. "
                "Nothing was changed; try again."
            )
        return RegistryBroken(
            f"The site registry {self._file} cannot be used ({error}). Restore it from a backup; nothing was changed."
        )


def statements(script: str) -> Iterator[str]:
    """`executescript` would commit the transaction that the migration runs in. A trigger holds semicolons itself."""
    statement = ""
    for part in script.split(";")[:-1]:
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""


def _create_private(file: Path) -> None:
    """A file that is there is not opened: closing it would drop the locks of this program's other connections to it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
