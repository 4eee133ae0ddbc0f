"""The site registry, SQLite and PostgreSQL alike, and what it holds after a command was refused or cut off."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from link_rig import Rig

from host_tools import credentials, residents
from host_tools.errors import LinkFailed, NoPanel, RegistryBroken, RegistryConflict, RegistryNewer, Usage, VaultIsFull
from host_tools.link.carrier import SerialCarrier
from host_tools.link.client import PanelClient
from host_tools.panels import provision, retire
from host_tools.site import Panel, Site
from host_tools.site.registry import Registry
from host_tools.site.schema import MIGRATIONS


@pytest.fixture
def site(place: str) -> Iterator[Site]:
    with Site.open(place) as site:
        yield site


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def panel(rig: Rig, site: Site) -> Panel:
    return provision(site, rig.port, "door")


def insert_panel(site: Site, panel_id: bytes, name: str = "door") -> None:
    with site.registry.transaction() as db:
        db.execute(
            "INSERT INTO panels (panel_id, name, device_pub, link_key, port, state, added) "
            "VALUES (?, ?, ?, ?, 'socket://127.0.0.1:1', 'active', 0)",
            (panel_id, name, bytes(32), bytes(32)),
        )


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    with Site.open(tmp_path / "data" / "site.db") as site:
        for path in (tmp_path / "data").iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert site.registry.row("PRAGMA journal_mode")[0] == "wal"  # type: ignore[index]
        assert site.registry.row("PRAGMA foreign_keys")[0] == 1  # type: ignore[index]


def test_it_keeps_its_identity_and_knows_its_version(place: str, site: Site) -> None:
    identity = site.site_id, site.card_key
    assert len(site.site_id) == 8 and len(site.card_key) == 16
    site.close()
    with Site.open(place) as again:
        assert (again.site_id, again.card_key) == identity
        assert again.registry.version() == len(MIGRATIONS) and again.registry.damage(full=True) == []


def test_rows_are_read_by_name_and_by_place_and_bytes_stay_bytes(site: Site) -> None:
    insert_panel(site, b"\x00'%s?:x\xff")
    row = site.registry.row("SELECT panel_id, name, counter, '50%' AS told FROM panels WHERE name LIKE '%oo%'")
    assert row is not None and row.keys() == ["panel_id", "name", "counter", "told"] and len(row) == 4
    assert tuple(row) == (row["panel_id"], row[1], row["counter"], "50%") == (b"\x00'%s?:x\xff", "door", 0, "50%")
    assert dict(row)["name"] == "door" and isinstance(row["panel_id"], bytes)
    (total,) = site.registry.row("SELECT sum(counter) FROM panels") or ()
    assert total == 0 and isinstance(total, int)
    with pytest.raises(IndexError):
        row["nothing"]
    query = "SELECT ?1, ?2 WHERE ?2 IS NULL OR ?2 = ?1"
    assert [tuple(found) for found in site.registry.rows(query, 7, None)] == [(7, None)]
    assert site.registry.rows(query, 7, 8) == []


def test_rows_are_sorted_alike(site: Site) -> None:
    for number, name in enumerate(("b", "B", "a", "\u00e4", "_")):
        insert_panel(site, bytes([number] * 8), name)
    names = [row["name"] for row in site.registry.rows("SELECT name FROM panels ORDER BY name")]
    assert names == ["B", "_", "a", "b", "\u00e4"]
    assert [record.name for record in site.panel_records()] == ["b", "B", "a", "\u00e4", "_"]  # as they came


def test_a_change_that_the_registry_does_not_take_is_said_so(site: Site) -> None:
    insert_panel(site, b"a" * 8)
    site.note("tried")
    for attack in (
        "INSERT INTO panels SELECT * FROM panels",
        "UPDATE panels SET state = 'unheard of'",
        "INSERT INTO placements VALUES (NULL, NULL, 'active')",
        "DELETE FROM history",
        "UPDATE history SET actor = 'nobody'",
    ):
        with pytest.raises(RegistryConflict, match="Nothing was changed"), site.registry.transaction() as db:
            db.execute("UPDATE panels SET name = 'half'")
            db.execute(attack)
    assert [record.name for record in site.panel_records()] == ["door"]
    with pytest.raises(RegistryBroken):
        site.registry.rows("SELECT nothing FROM nowhere")
    assert site.registry.row("SELECT count(*) FROM history")[0] == 1  # type: ignore[index]


def test_a_registry_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "site.db"
    Site.open(file).close()
    db = sqlite3.connect(file)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    before = file.read_bytes()
    with pytest.raises(RegistryNewer, match="newer menshen"):
        Site.open(file)
    assert file.read_bytes() == before


def test_what_is_no_registry_is_left_alone(tmp_path: Path) -> None:
    garbage, truncated, foreign = (tmp_path / name for name in ("garbage", "truncated", "foreign"))
    garbage.write_bytes(b"not a database at all" * 100)
    with Site.open(tmp_path / "whole"):
        pass
    truncated.write_bytes((tmp_path / "whole").read_bytes()[:5000])
    db = sqlite3.connect(foreign)
    db.execute("CREATE TABLE somebody_elses (x)")
    db.close()
    for path in (garbage, truncated, foreign):
        before = path.read_bytes()
        with pytest.raises(RegistryBroken):
            Site.open(path)
        assert path.read_bytes() == before, path
    with pytest.raises(RegistryBroken):
        Site.open(tmp_path)  # a folder


def test_a_failed_transaction_leaves_nothing(site: Site) -> None:
    with pytest.raises(RuntimeError), site.registry.transaction() as db:
        db.execute("UPDATE site SET created = 0")
        raise RuntimeError
    assert site.registry.row("SELECT created FROM site")[0] > 0  # type: ignore[index]


def test_no_counter_is_handed_out_twice(place: str, site: Site) -> None:
    insert_panel(site, bytes(8))

    def count(_: int) -> list[int]:
        with Site.open(place) as mine:
            return [mine._next_counters(bytes(8), 1) for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        reserved = [counters for found in pool.map(count, range(4)) for counters in found]
    counters = sorted(counter for some in reserved for counter in some)
    assert counters == list(range(1, len(counters) + 1)) and len(reserved) == 80
    assert site._next_counters(bytes(8), 5000)[0] == 5000
    assert site._next_counters(bytes(8), 1)[0] == site._next_counters(bytes(8), 1)[0] - 8 == 5008


def test_which_panel_and_which_resident_is_meant(site: Site) -> None:
    with pytest.raises(NoPanel, match="menshen panel provision"):
        site.panel()
    insert_panel(site, b"a" * 8)
    assert site.panel().name == "door"
    insert_panel(site, b"b" * 8, "garage")
    with pytest.raises(Usage, match="door, garage"):
        site.panel()
    assert site.panel("garage").panel_id == b"b" * 8
    with pytest.raises(NoPanel):
        site.panel("attic")
    with pytest.raises(Usage, match="no resident called Ann"):
        site.resident("Ann")


def test_a_refused_resident_leaves_no_trace(rig: Rig, site: Site, panel: Panel) -> None:
    with pytest.raises(VaultIsFull):
        residents.add(site, panel, "Ann", "666")
    assert site.residents() == []
    for name, flat in (("", "1"), ("Ann", "3a"), ("Ann", ""), ("Ann", "1234567")):
        with pytest.raises(Usage):
            residents.add(site, panel, name, flat)
    assert "resident_put" in rig.calls and rig.calls.count("resident_put") == 1


def test_an_absent_panel_leaves_no_trace(rig: Rig, site: Site, panel: Panel) -> None:
    panel.close()
    with site.registry.transaction() as db:
        db.execute("UPDATE panels SET port = 'socket://127.0.0.1:1'")
    with pytest.raises(NoPanel):
        residents.add(site, site.panel(), "Ann", "301")
    assert site.residents() == []


def test_a_command_cut_off_is_finished_by_the_same_command(rig: Rig, place: str) -> None:
    class Cut(SerialCarrier):
        """Breaks off once the panel has done it, before the host has heard so."""

        def read(self) -> bytes:
            if "resident_put" in rig.calls:
                raise LinkFailed("the line broke")
            return super().read()

    with Site(Registry(place), open_carrier=Cut) as site:
        panel = provision(site, rig.port, "door")
        with pytest.raises(LinkFailed):
            residents.add(site, panel, "Ann", "301")
        (resident,) = site.residents()
        assert residents.placements(site, resident) == {"door": "pending"}
    with Site.open(place) as site:
        panel = site.panel()
        assert residents.add(site, panel, "Ann", "301").handle == resident.handle
        assert residents.placements(site, resident) == {"door": "active"}
        with pytest.raises(Usage, match="already on door"):
            residents.add(site, panel, "Ann", "301")


def test_pins_that_anybody_would_try_are_refused_before_the_panel_hears_of_them(
    rig: Rig, site: Site, panel: Panel
) -> None:
    resident = residents.add(site, panel, "Ann", "301")
    before = rig.calls
    weak = ("123456", "987654", "890123", "777777", "121212", "314314", "301301", "112233", "843017")
    for pin in (*weak, "12345", "1" * 13, "12a456", "\u0663" * 6, ""):
        with pytest.raises(Usage):
            credentials.set_pin(site, panel, resident, pin)
    assert rig.calls == before and site.credentials(resident) == []
    assert len({credentials.generate_pin() for _ in range(50)}) > 45
    assert not credentials.weak("735192")


def test_retiring_a_panel_forgets_its_key_and_frees_its_name(site: Site) -> None:
    insert_panel(site, b"a" * 8)
    retire(site, "door")
    assert site.panel_records() == []
    insert_panel(site, b"b" * 8)
    assert [record.panel_id for record in site.panel_records()] == [b"b" * 8]


def test_a_name_that_somebody_takes_meanwhile_does_not_cost_a_panel(
    rig: Rig, site: Site, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A panel takes its keys once only: it must be in the registry, under whatever name."""
    plain = PanelClient.plain

    def meanwhile(client: PanelClient, op: str, timeout_s: float | None = None, **fields: Any) -> dict[str, Any]:
        reply = plain(client, op, timeout_s, **fields)
        if op == "provision":
            with Site.open(place) as other:
                insert_panel(other, b"a" * 8)
        return reply

    monkeypatch.setattr(PanelClient, "plain", meanwhile)
    panel = provision(site, rig.port, "door")
    assert panel.name == f"door {panel.panel_id.hex()[:4]}" and site.panel(panel.name).record.state == "active"
