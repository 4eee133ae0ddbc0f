"""What goes wrong with a registry is said in a sentence, has its exit code, and changes nothing."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from places import content
from postgres_server import PASSWORD, Server
from test_cli_commands import run

from host_tools import backup
from host_tools.errors import (
    HostError,
    RegistryBusy,
    RegistryForeign,
    RegistryNewer,
    RegistryUnreachable,
    Usage,
)
from host_tools.site import Site
from host_tools.site import postgres as postgres_
from host_tools.site.place import Place
from host_tools.site.schema import MIGRATIONS

NOWHERE = "postgresql://menshen:secret%20word@127.0.0.1:1/site"


@pytest.fixture(autouse=True)
def alone(data_home: Path) -> None:
    """Nothing of the user's own site is touched."""


@pytest.fixture
def database(postgres: Server) -> str:
    return postgres.new_database()


@pytest.fixture
def url(postgres: Server, database: str) -> str:
    return postgres.url(database)


def objects(postgres: Server, database: str) -> list[tuple[object, ...]]:
    """Everything in the database that is not the server's own."""
    with postgres.sql(database) as db:
        query = "SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
        mine = "WHERE nspname !~ '^pg_' AND nspname != 'information_schema' "
        schemas = db.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1").fetchall()
        return [*schemas, *db.execute(query.encode() + mine.encode() + b"ORDER BY 1, 2").fetchall()]


def refused(place: str, kind: type[HostError], *told: str) -> None:
    with pytest.raises(kind) as failed:
        Site.open(place)
    for word in told:
        assert word in str(failed.value)
    for secret in (PASSWORD, PASSWORD.replace(" ", "%20"), "secret"):
        assert secret not in str(failed.value)


def test_a_server_that_does_not_answer(postgres: Server) -> None:
    refused(NOWHERE, RegistryUnreachable, "postgresql://menshen@127.0.0.1:1/site", "Is the server running?")
    refused("postgresql://nobody@no-such-host.invalid/site", RegistryUnreachable, "no-such-host.invalid")


def test_a_wrong_password_user_or_database(postgres: Server, database: str) -> None:
    Site.open(postgres.tcp(database)).close()
    refused(postgres.tcp(database, "secret word"), RegistryUnreachable, "does not let this user in", "PGPASSWORD")
    refused(postgres.tcp(database).replace("menshen:", "nobody:"), RegistryUnreachable, "does not let this user in")
    refused(postgres.tcp("not_there"), RegistryUnreachable, "createdb")


def test_another_program_s_database(postgres: Server, database: str, url: str) -> None:
    with postgres.sql(database) as db:
        db.execute("CREATE TABLE somebody_elses (x int)")
    before = objects(postgres, database)
    refused(url, RegistryForeign, "another program's")
    assert objects(postgres, database) == before
    with postgres.sql(database) as db:
        db.execute("CREATE SCHEMA menshen")  # whoever owns it lets the site share it
    Site.open(url).close()


def test_another_program_s_schema_of_the_same_name(postgres: Server, database: str, url: str) -> None:
    with postgres.sql(database) as db:
        db.execute("CREATE SCHEMA menshen")
        db.execute("CREATE TABLE menshen.site (x int)")
    before = objects(postgres, database)
    refused(url, RegistryForeign, "another program's")
    assert objects(postgres, database) == before


def test_a_newer_schema(postgres: Server, database: str, url: str) -> None:
    Site.open(url).close()
    with postgres.sql(database) as db:
        db.execute("UPDATE menshen.registry SET version = version + 1")
    before = content(url)
    refused(url, RegistryNewer, f"schema {len(MIGRATIONS) + 1}", "Update menshen")
    assert content(url) == before


def test_a_user_without_rights(postgres: Server, database: str, url: str) -> None:
    with postgres.sql(database) as db:
        db.execute("DROP ROLE IF EXISTS guest")
        db.execute("CREATE ROLE guest LOGIN")
    guest = url.replace("user=menshen", "user=guest")
    before = objects(postgres, database)
    refused(guest, HostError, "permission denied", "othing was changed")
    assert objects(postgres, database) == before
    Site.open(url).close()
    refused(guest, HostError, "permission denied")


def test_a_connection_that_breaks_is_said_so_and_opened_again(postgres: Server, database: str, url: str) -> None:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'menshen'"
    with Site.open(url) as site, postgres.sql(database) as db:
        db.execute(cut)
        with pytest.raises(RegistryUnreachable, match="broke"):
            site.residents()
        assert site.residents() == []
        with pytest.raises(RegistryUnreachable), site.registry.transaction() as inside:
            inside.execute("UPDATE site SET created = 0")
            db.execute(cut)
            inside.execute("UPDATE site SET created = 1")
        assert site.registry.row("SELECT created FROM site")[0] > 1  # type: ignore[index]
        site.note("goes on")


def test_somebody_who_does_not_let_go(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Site.open(url) as site, site.registry.transaction():
        monkeypatch.setattr(postgres_, "_BUSY_S", 1)
        with Site(site.registry.__class__(url)) as other, pytest.raises(RegistryBusy, match="try again"):
            other.set_setting("days.request", 1)
    with Site.open(url) as site:
        assert site.setting("days.request", 5) == 5


def test_places_are_named_without_their_password() -> None:
    for named, shown in {
        NOWHERE: "postgresql://menshen@127.0.0.1:1/site",
        "postgres://u@h/d?sslmode=require&password=secret": "postgres://u@h/d?sslmode=require&password=...",
        "postgresql:///d?host=/run": "postgresql:///d?host=/run",
        "a/file.db": "a/file.db",
    }.items():
        assert str(Place.of(named)) == shown
        assert "secret" not in repr(Place.of(named))
    for named in ("mysql://u@h/d", "http://somewhere", "postgresql://h:port/d"):
        with pytest.raises(Usage, match="Nothing was changed"):
            Place.of(named)


def test_the_command_line_s_exit_codes(
    postgres: Server, database: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres.sql(database) as db:
        db.execute("CREATE TABLE somebody_elses (x int)")
    for place, code, kind in (
        (NOWHERE, 24, "registry_unreachable"),
        (postgres.tcp(database, "wrong"), 24, "registry_unreachable"),
        (url, 10, "registry_foreign"),
        ("mysql://u@h/d", 2, "usage"),
    ):
        done = run(monkeypatch, "resident", "list", "--site", place, "--json")
        assert (done.code, json.loads(done.out)["error"]) == (code, kind) and done.err.strip().endswith(".")


# Restores into places that are not the site's


def test_a_site_moves_to_postgresql_and_back(url: str, tmp_path: Path) -> None:
    with Site.open(tmp_path / "here.db") as site:
        add_door(site, b"panel-01")
        site.set_setting("days.request", 2)
        site.safe.lock("correct horse battery")
        identity = site.site_id, site.card_key, site.panel_records()[0].link_key
        backup.backup(site, tmp_path / "move.db")
    backup.restore(tmp_path / "move.db", url)
    with Site.open(url) as site:
        assert (site.site_id, site.card_key, site.panel_records()[0].link_key) == identity
        assert site.setting("days.request", 5) == 2 and site.safe.protection() is not None
        assert site.registry.damage(full=True) == []
        add_door(site, b"panel-02")
        backup.backup(site, tmp_path / "back.db")
    backup.restore(tmp_path / "back.db", tmp_path / "there.db")
    with Site.open(tmp_path / "there.db") as site:
        assert (site.site_id, site.card_key, site.panel_records()[0].link_key) == identity
        assert [record.panel_id for record in site.panel_records()] == [b"panel-01", b"panel-02"]


def test_a_backup_of_another_site_is_not_mixed_in(place: str, tmp_path: Path) -> None:
    with Site.open(tmp_path / "another.db") as another:
        add_door(another, b"panel-99")
        backup.backup(another, tmp_path / "backup.db")
    with Site.open(place) as site:
        add_door(site, b"panel-01")
        identity = site.site_id
    with pytest.raises(Usage, match="another site"):
        backup.restore(tmp_path / "backup.db", place)
    with Site.open(place) as site:
        assert site.site_id == identity and [record.name for record in site.panel_records()] == ["panel-01"]


def test_a_restore_does_not_overwrite_what_it_must_not(tmp_path: Path) -> None:
    with Site.open(tmp_path / "site.db") as site:
        backup.backup(site, tmp_path / "backup.db")
    foreign, newer = tmp_path / "foreign.db", tmp_path / "newer.db"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE somebody_elses (x)")
    db.close()
    Site.open(newer).close()
    with sqlite3.connect(newer) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    for place, kind in ((foreign, RegistryForeign), (newer, RegistryNewer)):
        before = place.read_bytes()
        with pytest.raises(kind):
            backup.restore(tmp_path / "backup.db", place)
        assert place.read_bytes() == before
    (tmp_path / "garbage.db").write_bytes(b"no backup at all" * 300)
    for bad in ("garbage.db", "not-there.db"):
        with pytest.raises(HostError):
            backup.restore(tmp_path / bad, tmp_path / "new.db")
        assert not (tmp_path / "new.db").exists()


def add_door(site: Site, panel_id: bytes) -> None:
    with site.registry.transaction() as db:
        db.execute(
            "INSERT INTO panels (panel_id, name, device_pub, link_key, port, state, added) "
            "VALUES (?, ?, ?, ?, 'socket://127.0.0.1:9', 'active', 0)",
            (panel_id, panel_id.decode(), bytes(32), panel_id * 4),
        )
