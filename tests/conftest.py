"""A registry's place, for tests that must hold for SQLite and for PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import postgres_server
import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    found = postgres_server.binaries()
    if found is None:
        pytest.skip("PostgreSQL's initdb is not installed (Debian: postgresql)")
    with postgres_server.running(found) as server:
        yield server


@pytest.fixture
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this computer keeps what outlives a registry on a server."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "menshen"


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, data_home: Path) -> str:
    """A registry that does not exist yet, as --site names it."""
    if request.param == "sqlite":
        return str(tmp_path / "data" / "site.db")
    server = request.getfixturevalue("postgres")
    return server.url(server.new_database())
