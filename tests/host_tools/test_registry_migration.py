"""Registries of earlier versions are brought up to date with nothing lost: fixtures written by their own code."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from host_tools.errors import RegistryBroken
from host_tools.site import Site, deadlines, history
from host_tools.site.registry import Registry
from host_tools.site.schema import MIGRATIONS

FIXTURES = Path(__file__).resolve().parents[1] / "golden" / "registry"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    file = tmp_path / "site.db"
    db = sqlite3.connect(file)
    db.executescript((FIXTURES / "version-1.sql").read_text("utf-8"))
    db.close()
    return file


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
