"""Registries of earlier versions are brought up to date with nothing lost: fixtures written by their own code.

Before a migration is added, tests/golden/registry/make.py writes the fixture of the schema that it will change.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import postgres_server
import pytest

from host_tools.errors import RegistryBroken
from host_tools.site import Site, deadlines, history, registry
from host_tools.site.registry import Registry
from host_tools.site.safe import Safe
from host_tools.site.schema import MIGRATIONS, TABLES

FIXTURES = Path(__file__).resolve().parents[1] / "golden" / "registry"
OLDER = range(1, len(MIGRATIONS))
PASSPHRASE = "correct horse battery"  # of the fixtures that are protected
PROTECTED = 5  # the first version that can be

Content = dict[str, list[dict[str, Any]]]


def load(version: int, file: Path) -> Path:
    db = sqlite3.connect(file)
    db.executescript((FIXTURES / f"version-{version}.sql").read_text("utf-8"))
    db.close()
    return file


def content(file: Path) -> Content:
    """Rows by table, each by column."""
    db = sqlite3.connect(file)
    db.row_factory = sqlite3.Row
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")]
    found = {table: [dict(row) for row in db.execute(f"SELECT * FROM {table}")] for table in tables}
    db.close()
    return found


def lost(before: Content, site: Site) -> list[str]:
    """What stood in an old registry and does not stand in the one that became of it."""
    missing = []
    for table, rows in before.items():
        now = [dict(row) for row in site.registry.rows(f"SELECT * FROM {table}")]
        for row in rows:
            if not any(all(other.get(name) == value for name, value in row.items()) for other in now):
                missing.append(f"{table}: {row}")
    return missing


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return load(1, tmp_path / "site.db")


def test_there_is_a_registry_of_every_older_version() -> None:
    found = {int(path.stem.partition("-")[2]) for path in FIXTURES.glob("version-*.sql")}
    assert set(OLDER) <= found, "run python -m tests.golden.registry.make before you add a migration"


@pytest.mark.parametrize("version", OLDER)
def test_a_file_of_an_older_version_loses_nothing(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENSHEN_PASSPHRASE", PASSPHRASE)
    Safe._opened.clear()
    old = load(version, tmp_path / "site.db")
    before = content(old)
    assert all(before[table] for table in before if table != "protection" or version >= PROTECTED)
    with Site.open(old) as site:
        assert site.registry.version() == len(MIGRATIONS)
        assert lost(before, site) == [] and site.registry.damage(full=True) == []
        assert site.card_key == bytes(range(16)) and site.panel_records()[0].link_key == b"\t" * 32
        site.safe.lock("another passphrase")


@pytest.mark.parametrize("version", OLDER)
def test_a_postgresql_registry_of_an_older_version_loses_nothing(
    version: int,
    postgres: postgres_server.Server,
    tmp_path: Path,
    data_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MENSHEN_PASSPHRASE", PASSPHRASE)
    Safe._opened.clear()
    before = content(load(version, tmp_path / "site.db"))
    place = postgres.url(postgres.new_database())
    monkeypatch.setattr(registry, "MIGRATIONS", MIGRATIONS[:version])
    old = Registry(place)
    with old.transaction() as db, old._db.unguarded():
        db.execute("DELETE FROM site")
        for table in TABLES:
            if before.get(table):
                names = list(before[table][0])
                old._db.fill(table, names, ([row[name] for name in names] for row in before[table]))
    assert old.version() == version
    old.close()
    monkeypatch.setattr(registry, "MIGRATIONS", MIGRATIONS)
    with Site.open(place) as site:
        assert site.registry.version() == len(MIGRATIONS)
        assert lost(before, site) == [] and site.registry.damage(full=True) == []
        assert site.card_key == bytes(range(16))
        deadlines.open_(site, b"resid-01", b"panel-01", "notice")  # ids go on where they were
        new = Registry(postgres.url(postgres.new_database()))
        assert all(set(site.registry.columns(table)) == set(new.columns(table)) for table in TABLES)
        new.close()


def test_version_1_keeps_everything_and_gains_what_is_new(old: Path) -> None:
    with Site.open(old) as site:
        assert site.registry.version() == len(MIGRATIONS)
        assert site.site_id == bytes(range(8)) and site.card_key == bytes(range(16))
        assert [(p.name, p.state) for p in site.panel_records(retired=True)] == [
            ("front door", "active"),
            ("old door", "retired"),
        ]
        fang = site.resident("301/王芳")
        assert not fang.under_14 and fang.schedule == ((127, 0, 1440),)
        assert [resident.state for resident in site.residents(removed=True)] == ["removed", "active"]
        (consent,) = site.consents(fang)
        assert consent.state == "given" and consent.evidence["file"] == "scan.pdf"
        assert site.enrolments(fang)[0].templates == 4 and site.credentials(fang)[0].kind == "card"
        assert len(site.receipts()) == 1 and deadlines.of(site) == []
        site.note("tried")
        deadlines.open_(site, fang.handle, b"panel-01", "withdrawal")
        with site.registry.transaction() as db:
            assert [entry.action for entry in history.entries(db)] == ["tried", "deletion_owed"]


def test_a_migrated_registry_has_the_schema_of_a_new_one(old: Path, tmp_path: Path) -> None:
    def schema(path: Path) -> dict[str, list[tuple[object, ...]]]:
        registry = Registry(path)
        tables = [row["name"] for row in registry.rows("SELECT name FROM sqlite_master ORDER BY name")]
        columns = {name: [tuple(row) for row in registry.rows(f"PRAGMA table_info({name})")] for name in tables}
        registry.close()
        return columns

    assert schema(old) == schema(tmp_path / "new.db")


def test_a_migration_that_fails_leaves_the_file_as_it_was(old: Path) -> None:
    db = sqlite3.connect(old)
    db.execute("CREATE TABLE history (somebody_elses)")
    db.close()
    with pytest.raises(RegistryBroken):
        Site.open(old)
    db = sqlite3.connect(old)
    assert db.execute("PRAGMA user_version").fetchone()[0] == 1
    assert "under_14" not in [row[1] for row in db.execute("PRAGMA table_info(residents)")]
    db.close()
