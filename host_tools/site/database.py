"""What the registry asks of a database. SQL is written once, in what SQLite and PostgreSQL both understand.

That is: `?` or `:name` marks, `ON CONFLICT (...) DO ...`, `RETURNING`, `greatest(a, b)`; values are int, str, bytes,
None. Rows are read by name or by place, and bytes come back as bytes. Tables are ordered by `rowid` only where
dialect.py gives PostgreSQL one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol

from host_tools.errors import HostError


class Row(Protocol):
    def __getitem__(self, at: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...

    def keys(self) -> list[str]: ...


class Cursor(Protocol):
    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """What a transaction gives."""

    def execute(self, sql: str, values: Any = (), /) -> Cursor: ...


class Database(ABC):
    """One connection. Methods raise the driver's own errors, which `explain` turns into the host's."""

    kind: ClassVar[str]
    error: ClassVar[type[Exception]]

    @abstractmethod
    def execute(self, sql: str, values: Any = (), /) -> Cursor: ...

    @abstractmethod
    def begin(self, alone: bool = True) -> None:
        """`alone`: no other writer until the end, so that what is read here stays true when it is acted upon."""

    @abstractmethod
    def commit(self) -> None: ...

    @abstractmethod
    def rollback(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def version(self) -> int:
        """Of the schema; 0 where there is none yet. RegistryBroken: the database is another program's."""

    @abstractmethod
    def set_up(self) -> None:
        """After version() has found nothing wrong: what must hold before the first write."""

    @abstractmethod
    def migrate(self, step: str) -> None:
        """Runs one of MIGRATIONS inside the caller's transaction."""

    @abstractmethod
    def set_version(self, version: int) -> None: ...

    @abstractmethod
    def columns(self, table: str) -> list[str]: ...

    @abstractmethod
    def damage(self, full: bool) -> list[str]:
        """A sentence for each thing that is not as it was written."""

    @abstractmethod
    def unguarded(self) -> AbstractContextManager[None]:
        """Inside a transaction: the triggers that keep rows from being changed do not act."""

    @abstractmethod
    def fill(self, table: str, columns: list[str], rows: Iterable[Any]) -> None:
        """Adds rows, with their own ids where the table has them."""

    @abstractmethod
    def forget(self) -> None:
        """Erases what was overwritten or deleted from the disk as well, as far as this can be done from here."""

    @abstractmethod
    def explain(self, error: Exception) -> HostError: ...
