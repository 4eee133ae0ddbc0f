"""A registry in a PostgreSQL database: in a schema of its own, `menshen`, for managers at several computers.

A writer holds one advisory lock until its end, as SQLite's one writer does; link counters are taken under their
row's lock alone. A connection that broke is opened again at the next use, never inside a transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.adapt import Dumper, Loader

from host_tools.errors import (
    HostError,
    RegistryBroken,
    RegistryBusy,
    RegistryConflict,
    RegistryForeign,
    RegistryUnreachable,
)
from host_tools.site import dialect
from host_tools.site.database import Cursor, Database
from host_tools.site.place import Place
from host_tools.site.sqlite import statements

SCHEMA = "menshen"
_WRITERS = 0x6D656E7368656E  # "menshen": the advisory lock's number
_CONNECT_S = 10
_BUSY_S = 30
_STUCK_S = 60  # a host that vanished in a transaction gives the lock back after so long

_OTHERS_TABLES = (
    "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
    "WHERE relkind IN ('r', 'p') AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'menshen')"
)
_OWN_TABLES = "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = ?"
_COLUMNS = (
    "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = ? "
    "AND column_name != 'rowid' ORDER BY ordinal_position"
)
_REFERENCES = (
    "SELECT conrelid::regclass::text AS child, confrelid::regclass::text AS parent, "
    "(SELECT array_agg(attname ORDER BY n) FROM unnest(conkey) WITH ORDINALITY AS k (num, n) "
    "JOIN pg_attribute ON attrelid = conrelid AND attnum = num) AS own, "
    "(SELECT array_agg(attname ORDER BY n) FROM unnest(confkey) WITH ORDINALITY AS k (num, n) "
    "JOIN pg_attribute ON attrelid = confrelid AND attnum = num) AS theirs "
    "FROM pg_constraint WHERE contype = 'f' AND connamespace = 'menshen'::regnamespace"
)
_INDEXES = (
    "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_am a ON a.oid = c.relam "
    "WHERE relnamespace = 'menshen'::regnamespace AND relkind = 'i' AND amname = 'btree'"
)


class Row(tuple[Any, ...]):
    """Read by name or by place, as sqlite3.Row."""

    _names: tuple[str, ...]

    def __getitem__(self, at: Any, /) -> Any:
        if isinstance(at, str):
            try:
                return tuple.__getitem__(self, self._names.index(at))
            except ValueError:
                raise IndexError(f"no column {at}") from None
        return tuple.__getitem__(self, at)

    def keys(self) -> list[str]:
        return list(self._names)


class Postgres(Database):
    kind = "PostgreSQL"
    error = psycopg.Error

    def __init__(self, place: Place) -> None:
        self._place = place
        self._db = self._connect()
        self._inside = False

    def execute(self, sql: str, values: Any = (), /) -> Cursor:
        if self._db.closed and not self._inside:
            self._db = self._connect()
        text, numbered = dialect.query(sql)
        if numbered:
            values = {f"p{at}": value for at, value in enumerate(values, 1)}
        return self._db.execute(text.encode(), values)

    def begin(self, alone: bool = True) -> None:
        self.execute("BEGIN")
        self._inside = True
        if alone:
            self.execute("SELECT pg_advisory_xact_lock(?)", (_WRITERS,))

    def commit(self) -> None:
        self.execute("COMMIT")
        self._inside = False

    def rollback(self) -> None:
        self._inside = False
        with suppress(psycopg.Error):  # a broken connection has rolled back already
            self._db.rollback()

    def close(self) -> None:
        self._db.close()

    def version(self) -> int:
        # Tables are read here, not names resolved: a connection that waited for the lock may resolve what was before.
        if not self.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", (SCHEMA,)).fetchone():
            if self.execute(_OTHERS_TABLES).fetchone()[0]:
                raise RegistryForeign(
                    f"{self._place} is another program's database. Make one for the site (createdb menshen), or let "
                    f"it share this one (CREATE SCHEMA {SCHEMA}). Nothing was changed."
                )
            return 0
        tables = [row["relname"] for row in self.execute(_OWN_TABLES, (SCHEMA,))]
        if "registry" in tables:
            return int(self.execute(f"SELECT version FROM {SCHEMA}.registry").fetchone()[0])
        if tables:
            raise RegistryForeign(f"The schema {SCHEMA} in {self._place} is another program's. Nothing was changed.")
        return 0

    def set_up(self) -> None:
        """Each connection is set up as it is made."""

    def migrate(self, step: str) -> None:
        if "registry" not in [row["relname"] for row in self.execute(_OWN_TABLES, (SCHEMA,))]:
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            self.execute("CREATE TABLE registry (version bigint NOT NULL)")
            self.execute("INSERT INTO registry VALUES (0)")
        for statement in statements(step):
            for own in dialect.schema(statement):
                self._db.execute(own.encode())

    def set_version(self, version: int) -> None:
        self.execute("UPDATE registry SET version = ?", (version,))

    def columns(self, table: str) -> list[str]:
        return [row[0] for row in self.execute(_COLUMNS, (SCHEMA, table))]

    def damage(self, full: bool) -> list[str]:
        """In full: every row read, every reference followed, and every index where the server has amcheck."""
        if not full:
            return []  # the server checks what it reads
        for (table,) in self.execute("SELECT tablename FROM pg_tables WHERE schemaname = ?", (SCHEMA,)).fetchall():
            self.execute(f"SELECT count(md5(t::text)) FROM {table} t").fetchone()
        return [*self._lost_references(), *self._bad_indexes()]

    def _lost_references(self) -> Iterator[str]:
        for row in self.execute(_REFERENCES).fetchall():
            same = " AND ".join(f"p.{theirs} = c.{own}" for own, theirs in zip(row["own"], row["theirs"], strict=True))
            lost = self.execute(
                f"SELECT count(*) FROM {row['child']} c WHERE c.{row['own'][0]} IS NOT NULL "
                f"AND NOT EXISTS (SELECT 1 FROM {row['parent']} p WHERE {same})"
            ).fetchone()[0]
            if lost:
                yield f"{lost} rows of {row['child']} refer to rows of {row['parent']} that are not there"

    def _bad_indexes(self) -> Iterator[str]:
        if self.execute("SELECT 1 FROM pg_proc WHERE proname = 'bt_index_check'").fetchone():
            for (index,) in self.execute(_INDEXES).fetchall():
                try:
                    self.execute("SELECT bt_index_check(?::text::regclass)", (index,))
                except (psycopg.errors.IndexCorrupted, psycopg.errors.DataCorrupted) as error:
                    yield str(error).splitlines()[0]

    @contextmanager
    def unguarded(self) -> Iterator[None]:
        tables = [
            row[0]
            for row in self.execute(
                "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid "
                "WHERE NOT tgisinternal AND relnamespace = to_regnamespace(?)",
                (SCHEMA,),
            )
        ]
        for table in tables:
            self.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        for table in tables:
            self.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    def fill(self, table: str, columns: list[str], rows: Iterable[Any]) -> None:
        with (
            self._db.cursor() as cursor,
            cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()) as copy,
        ):
            for row in rows:
                copy.write_row(tuple(row))
        if "id" in columns:
            self.execute(
                f"SELECT setval(pg_get_serial_sequence('{SCHEMA}.{table}', 'id'), (SELECT max(id) FROM {table})) "
                f"WHERE EXISTS (SELECT 1 FROM {table})"
            )

    def forget(self) -> None:
        for table in ("site", "panels"):
            self.execute(f"VACUUM (FULL) {table}")

    def explain(self, error: Exception) -> HostError:
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        if isinstance(error, psycopg.errors.IntegrityError):
            return RegistryConflict(
                f"The site registry does not take this change ({text}): perhaps somebody made one at the same moment. "
                "Nothing was changed; look again."
            )
        if isinstance(error, psycopg.errors.LockNotAvailable):
            return RegistryBusy(
                f"The site registry {self._place} is in use by somebody else for more than {_BUSY_S} s. "
                "Nothing was changed; try again."
            )
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return RegistryBroken(
                f"The site registry {self._place} does not let this user do that ({text}). "
                "Let the database's owner open it once, or grant the rights; nothing was changed."
            )
        if self._db.closed or isinstance(error, (psycopg.errors.OperationalError, psycopg.InterfaceError)):
            return RegistryUnreachable(
                f"The connection to the site registry {self._place} broke ({text}). The last change may have been "
                "made: look, then run the command again."
            )
        return RegistryBroken(f"The site registry {self._place} cannot be used ({text}). Nothing was changed.")

    def _connect(self) -> psycopg.Connection[Row]:
        try:
            db: psycopg.Connection[Row] = psycopg.connect(
                self._place.url,
                autocommit=True,
                cursor_factory=psycopg.ClientCursor,
                row_factory=_rows,
                **_unless_named(self._place.url),
            )
        except psycopg.Error as error:
            raise self._no_connection(error) from error
        db.adapters.register_dumper(bool, _Flag)
        db.adapters.register_loader("numeric", _Whole)
        db.execute(
            f"SET search_path = {SCHEMA}; SET lock_timeout = '{_BUSY_S}s'; "
            f"SET idle_in_transaction_session_timeout = '{_STUCK_S}s'".encode()
        )
        return db

    def _no_connection(self, error: psycopg.Error) -> HostError:
        text = str(error).strip().splitlines()[0].removeprefix("connection failed: ")
        state = error.sqlstate or ""
        if state.startswith("28") or "authentication failed" in text or "no password supplied" in text:
            return RegistryUnreachable(
                f"The PostgreSQL server does not let this user in to {self._place} ({text}). Check user and password: "
                "in the URL, in PGPASSWORD, or in ~/.pgpass. Nothing was changed."
            )
        if "does not exist" in text:
            return RegistryUnreachable(
                f"The site registry {self._place} is not there ({text}). Make it: createdb. Nothing was changed."
            )
        return RegistryUnreachable(
            f"The site registry {self._place} cannot be reached ({text}). Is the server running? Nothing was changed."
        )


def _unless_named(url: str) -> dict[str, Any]:
    named = psycopg.conninfo.conninfo_to_dict(url)
    own = {"connect_timeout": _CONNECT_S, "application_name": "menshen", "client_encoding": "utf8"}
    return {name: value for name, value in own.items() if name not in named}


def _rows(cursor: psycopg.Cursor[Any]) -> Any:
    names = tuple(column.name for column in cursor.description or ())

    def make(values: Any) -> Row:
        row = Row(values)
        row._names = names
        return row

    return make


class _Flag(Dumper):
    """Flags are 0 and 1 in the registry."""

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"

    def quote(self, obj: bool) -> bytes:
        return self.dump(obj)


class _Whole(Loader):
    """Sums of whole numbers are whole numbers."""

    def load(self, data: Any) -> int | float:
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdigit() else float(text)
