"""The site's keys at rest: nobody reads them from the registry or a backup without what they are sealed by."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import keyring
import psycopg
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError
from places import content, lose

from host_tools import backup, checkup, panels
from host_tools.errors import Locked, RegistryBroken, RegistryConflict, Usage, WrongPassphrase
from host_tools.site import Site, safe
from host_tools.site.safe import Safe

PASSPHRASE = "correct horse battery"
LINK_KEY = bytes(range(100, 132))


class Keys(KeyringBackend):
    """A keyring in memory, of one computer."""

    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError(username)


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe, "_COST", 1 << 10)
    monkeypatch.delenv("MENSHEN_PASSPHRASE", raising=False)
    another_program()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    before = keyring.get_keyring()
    computer = Keys()
    keyring.set_keyring(computer)
    yield computer
    keyring.set_keyring(before)


@pytest.fixture
def site(place: str) -> Iterator[Site]:
    with Site.open(place) as site:
        add_panel(site, b"panel-01", LINK_KEY)
        yield site


def add_panel(site: Site, panel_id: bytes, link_key: bytes) -> None:
    site.safe.prepare()
    with site.registry.transaction() as db:
        kept = site.safe.seal(safe.link_secret(panel_id, link_key))
        db.execute(
            "INSERT INTO panels (panel_id, name, device_pub, link_key, port, state, added) "
            "VALUES (?, ?, ?, ?, 'socket://127.0.0.1:9', 'active', 0)",
            (panel_id, panel_id.decode(), bytes(32), kept),
        )


def another_program() -> None:
    """What one program has opened, the next has not."""
    Safe._opened.clear()


def keys_of(site: Site) -> list[bytes]:
    return [site.card_key, *(record.link_key for record in site.panel_records(retired=True))]


def forms(secrets: list[bytes]) -> list[bytes]:
    return [form for secret in secrets for form in (secret, secret.hex().encode())]


def test_sealed_keys_are_not_in_the_registry_and_open_by_the_passphrase_alone(
    place: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_keys = keys_of(site)
    assert all(any(form in content(place) for form in forms([key])) for key in open_keys)
    site.safe.lock(PASSPHRASE)
    assert not any(form in content(place) for form in forms(open_keys))
    site.close()
    another_program()
    with Site.open(place) as again:
        assert [record.name for record in again.panel_records()] == ["panel-01"]  # what needs no key works without
        with pytest.raises(Locked, match="MENSHEN_PASSPHRASE"):
            again.card_key  # noqa: B018
        monkeypatch.setenv("MENSHEN_PASSPHRASE", "incorrect horse battery")
        with pytest.raises(WrongPassphrase):
            again.panel_records()[0].link_key  # noqa: B018
        monkeypatch.setenv("MENSHEN_PASSPHRASE", PASSPHRASE)
        assert keys_of(again) == open_keys
        add_panel(again, b"panel-02", b"2" * 32)
        panels.retire(again, "panel-01")
        assert [record.link_key for record in again.panel_records(retired=True)] == [bytes(32), b"2" * 32]
        assert b"2" * 32 not in content(place) and (b"2" * 32).hex().encode() not in content(place)
        assert checkup.look(again) == []


def test_the_passphrase_is_changed_and_taken_away_by_who_knows_it(
    place: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_keys = keys_of(site)
    with pytest.raises(Usage, match="at least"):
        site.safe.lock("short")
    site.safe.lock(PASSPHRASE)
    another_program()
    for forbidden in (lambda: site.safe.lock("another passphrase"), site.safe.unlock):
        with pytest.raises(Locked):
            forbidden()
    monkeypatch.setenv("MENSHEN_PASSPHRASE", PASSPHRASE)
    site.safe.lock("another passphrase")
    another_program()
    with pytest.raises(WrongPassphrase):
        site.card_key  # noqa: B018
    monkeypatch.setenv("MENSHEN_PASSPHRASE", "another passphrase")
    assert keys_of(site) == open_keys
    site.safe.unlock()
    monkeypatch.delenv("MENSHEN_PASSPHRASE")
    another_program()
    assert keys_of(site) == open_keys and site.safe.protection() is None


def test_a_keyring_opens_by_itself_and_the_recovery_code_elsewhere(
    site: Site, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_keys = keys_of(site)
    code = site.safe.lock_by_keyring()
    another_program()
    assert keys_of(site) == open_keys and list(keys.kept.values()) == [code]
    mine, keys.kept = keys.kept, {}  # another computer, or this one installed anew
    another_program()
    with pytest.raises(Locked, match="recovery code"):
        site.card_key  # noqa: B018
    monkeypatch.setenv("MENSHEN_PASSPHRASE", code.upper())
    assert keys_of(site) == open_keys
    site.safe.lock_by_keyring()  # lets this computer in, and keeps the other in
    assert {**keys.kept, **mine}.keys() == mine.keys()
    monkeypatch.delenv("MENSHEN_PASSPHRASE")
    another_program()
    assert keys_of(site) == open_keys
    assert site.safe.lock_by_keyring() != code and len(keys.kept) == 1  # made anew where it was known
    site.safe.lock(PASSPHRASE)
    assert keys.kept == {}


def test_no_keyring_is_said_so_and_nothing_changes(site: Site) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[attr-defined]
    try:
        with pytest.raises(Locked, match="--passphrase"):
            site.safe.lock_by_keyring()
    finally:
        keyring.set_keyring(before)
    assert site.safe.protection() is None and keys_of(site)[1] == LINK_KEY


def test_two_who_protect_a_site_at_once_do_not_shut_it(place: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    open_keys = keys_of(site)
    derived = safe._derived

    def meanwhile(*values: object) -> bytes:
        monkeypatch.setattr(safe, "_derived", derived)
        with Site.open(place) as other:
            other.safe.lock("the other's passphrase")
        return derived(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(safe, "_derived", meanwhile)
    with pytest.raises(RegistryConflict, match="Somebody else"):
        site.safe.lock(PASSPHRASE)
    another_program()
    monkeypatch.setenv("MENSHEN_PASSPHRASE", "the other's passphrase")
    assert keys_of(site) == open_keys


def test_a_key_that_was_altered_or_put_in_another_s_place_does_not_open(site: Site) -> None:
    add_panel(site, b"panel-02", b"2" * 32)
    site.safe.lock(PASSPHRASE)
    with site.registry.transaction() as db:
        db.execute("UPDATE panels SET link_key = (SELECT link_key FROM panels WHERE panel_id = ?)", (b"panel-02",))
    first, second = site.panel_records()
    assert second.link_key == b"2" * 32
    with pytest.raises(RegistryBroken, match="altered"):
        first.link_key  # noqa: B018
    with site.registry.transaction() as db:
        db.execute("UPDATE panels SET link_key = ? WHERE panel_id = ?", (b"2" * 32, b"panel-02"))
    assert [found for found in checkup.look(site) if "lies open" in found]


@pytest.mark.parametrize("state", ["kept", "lost"])
@pytest.mark.parametrize("then", [PASSPHRASE, "another passphrase", ""])
@pytest.mark.parametrize("now", [PASSPHRASE, "another passphrase", ""])
def test_backups_carry_sealed_keys_and_a_restore_leaves_none_open_that_was_sealed(
    then: str, now: str, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`then` and `now` are the passphrases at the backup and at the restore, "" for none."""
    place = tmp_path / "site.db"
    file = tmp_path / "backup.db"
    typed: list[str] = []

    def ask(what: str) -> str:
        typed.append(what)
        return then if "backup" in what else now

    monkeypatch.setattr(Safe, "ask", staticmethod(ask))
    with Site.open(place) as site:
        add_panel(site, b"panel-01", LINK_KEY)
        if then:
            site.safe.lock(then)
        card_key = site.card_key
        backup.backup(site, file)
        assert bool(then) != any(form in content(file) for form in (LINK_KEY, card_key))
        if now and now != then:
            site.safe.lock(now)
        elif not now and then:
            site.safe.unlock()
        add_panel(site, b"panel-02", b"2" * 32)
    another_program()
    if state == "lost":
        lose(place)
    backup.restore(file, place)
    sealed_by = now if now and state == "kept" else then
    assert bool(sealed_by) != any(form in content(place) for form in (LINK_KEY, b"2" * 32, card_key))
    another_program()
    now = sealed_by
    with Site.open(place) as site:
        assert keys_of(site) == [card_key, LINK_KEY, *([b"2" * 32] if state == "kept" else [])]
        assert checkup.look(site) == []


def test_two_data_keys_are_brought_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protected, opened, protected anew: the backup's keys are sealed under a data key that is gone here."""
    words = {"the backup's keys": "the first passphrase", "the site's keys": "the second passphrase"}
    monkeypatch.setattr(Safe, "ask", staticmethod(lambda what: words[what.partition(" of ")[2]]))
    place, file = tmp_path / "site.db", tmp_path / "backup.db"
    with Site.open(place) as site:
        add_panel(site, b"panel-01", LINK_KEY)
        site.safe.lock("the first passphrase")
        backup.backup(site, file)
        site.safe.unlock()
        site.safe.lock("the second passphrase")
        open_keys = keys_of(site)
    another_program()
    backup.restore(file, place)
    another_program()
    with Site.open(place) as site:
        assert keys_of(site) == open_keys and checkup.look(site) == []


def test_what_is_wrong_is_found(place: str, site: Site) -> None:
    assert checkup.look(site) == []
    site.note("tried")
    site.note("tried again")
    attack = [
        "UPDATE history SET detail = '{}', actor = 'nobody' WHERE seq = 1",
        "INSERT INTO placements VALUES ('resident', 'panel-01', 'active')",
    ]
    if "://" in place:
        with psycopg.connect(place, autocommit=True) as db:
            db.execute("SET search_path = menshen")
            db.execute("SET session_replication_role = replica")
            for statement in attack:
                db.execute(statement.encode())
    else:
        with sqlite3.connect(place) as file:
            file.execute("DROP TRIGGER history_is_not_changed")
            for statement in attack:
                file.execute(statement.replace("'resident', 'panel-01'", "x'7265736964656e74', x'70616e656c2d3031'"))
        file.close()
    found = " ".join(checkup.look(site))
    assert "altered from entry 1" in found and "placements" in found and "residents" in found


def test_the_commands_say_plainly_what_is_protected(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from test_cli_commands import run

    def menshen(*words: str, stdin: str = "") -> tuple[int, str, str]:
        another_program()
        done = run(monkeypatch, *words, stdin=stdin)
        return done.code, done.out, done.err

    monkeypatch.setenv("MENSHEN_SITE", place)
    assert "NOT protected" in menshen("site")[1]
    assert menshen("site", "lock", "--passphrase", stdin=PASSPHRASE + "\n")[0] == 0
    shown = json.loads(menshen("site", "--json")[1])
    assert shown["protection"] == "passphrase" and shown["database"] == ("PostgreSQL" if "://" in place else "SQLite")
    assert menshen("site", "unlock", "--yes")[0] == 26
    monkeypatch.setenv("MENSHEN_PASSPHRASE", "wrong passphrase")
    code, out, err = menshen("site", "unlock", "--yes", "--json")
    assert (code, json.loads(out)["error"]) == (26, "wrong_passphrase") and "not the passphrase" in err
    monkeypatch.setenv("MENSHEN_PASSPHRASE", PASSPHRASE)
    assert menshen("site", "lock", "--passphrase", stdin="a new passphrase\n")[0] == 0
    assert menshen("site", "check")[0] == 0
    monkeypatch.setenv("MENSHEN_PASSPHRASE", "a new passphrase")
    assert menshen("site", "unlock", "--yes")[0] == 0
    assert "NOT protected" in menshen("site")[1]
    assert menshen("site", "--site", "elsewhere.db", "check")[0] == 2
    assert menshen("log", "--site", "elsewhere.db", "verify")[0] == 2
