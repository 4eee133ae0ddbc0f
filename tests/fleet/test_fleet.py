"""The fleet's campaign in small, leases, and a service that is told to stop; `make fleet` runs the campaign in full."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools.errors import NoPanel
from host_tools.fleet import crowd, leases
from host_tools.fleet.service import Service
from host_tools.site import PanelRecord, Site
from tests.fleet.campaign import Fleet


@pytest.fixture
def site(place: str) -> Iterator[Site]:
    with Site.open(place) as site:
        yield site


def panels_on(site: Site, *ports: str) -> list[PanelRecord]:
    with site.registry.transaction() as db:
        for number, port in enumerate(ports):
            db.execute(
                "INSERT INTO panels (panel_id, name, device_pub, link_key, port, state, added) "
                "VALUES (?, ?, ?, ?, ?, 'active', 0)",
                (bytes([number]) * 8, f"door-{number}", os.urandom(32), os.urandom(32), port),
            )
    return site.panel_records()


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)  # on SQLite: make fleet
def test_a_face_goes_from_every_panel_of_a_small_fleet(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENSHEN_BROKER_LOGIN", str(tmp_path / "login.json"))
    with Fleet(tmp_path, 18, 0, place, processes=1, talk=lambda text: None) as fleet:
        assert {house.late for house in fleet.houses} == {house.twice for house in fleet.houses} == {True, False}
        assert [house.cut_at for house in fleet.houses].count("before") == 1
        outcome = fleet.run()
    assert outcome.faults == []
    told = outcome.public()
    assert (told["panels"], told["receipts"], told["missing"], told["duplicates_applied"]) == (18, 18, 0, 0)
    assert outcome.restarts == 1 and len(outcome.late_seconds) == 10


def test_a_panel_is_in_one_hand_until_it_is_given_back_or_forgotten(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (record.panel_id for record in panels_on(site, "mqtt://a/x", "mqtt://a/y"))
    assert leases.take(site, [first], "one") == {first}
    assert leases.take(site, [first, second], "two") == {second}
    assert leases.take(site, [first], "one") == {first}  # again
    leases.give_back(site, [first], "two")  # not its own
    assert leases.take(site, [first], "two") == set()
    leases.give_back(site, [first], "one")
    assert leases.take(site, [first], "two") == {first}
    later = site.now() + 1000
    monkeypatch.setattr(Site, "now", staticmethod(lambda: later))  # that service has died
    assert leases.take(site, [first, second], "one") == {first, second}


def test_two_commands_at_once_share_the_panels_out(place: str, site: Site) -> None:
    records = panels_on(site, *(f"mqtt://127.0.0.1:1/menshen/s/{number}" for number in range(24)))
    done: list[int] = []
    under_way: set[bytes] = set()

    def work(_site: Site, panel: crowd.Panel) -> bytes:
        assert panel.panel_id not in under_way
        under_way.add(panel.panel_id)
        time.sleep(0.005)
        under_way.remove(panel.panel_id)
        done.append(1)
        return panel.panel_id

    def run() -> None:
        with Site.open(place) as mine:
            assert crowd.each(mine, records, work) == [record.panel_id for record in records]

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 48 and not site.registry.row("SELECT 1 FROM leases")


def test_work_that_fails_is_told_and_its_panel_given_back(site: Site) -> None:
    records = panels_on(site, "mqtt://127.0.0.1:1/a/b/c", "mqtt://127.0.0.1:1/a/b/d")

    def work(_site: Site, panel: crowd.Panel) -> None:
        panel.request("status")

    with pytest.raises(NoPanel, match="cannot be reached"):
        crowd.each(site, records, work)
    assert not site.registry.row("SELECT 1 FROM leases")


def test_a_service_without_panels_behind_brokers_has_nothing_to_do_and_can_be_stopped(place: str, site: Site) -> None:
    panels_on(site, "socket://127.0.0.1:9")
    opened = lambda carrier: Site.open(place, carrier)  # noqa: E731
    assert Service(opened).run(once=True).visits == 0
    service = Service(opened)
    running = threading.Thread(target=service.run)
    running.start()
    service.stop()
    running.join(30)
    assert not running.is_alive()


def test_a_service_outlives_a_broker_that_is_not_there(
    place: str, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    panels_on(site, "mqtt://127.0.0.1:1/menshen/s/p", "mqtt://127.0.0.1:1/menshen/s/q")
    opened = lambda carrier: Site.open(place, carrier)  # noqa: E731
    with pytest.raises(NoPanel):
        Service(opened).run(once=True)
    service = Service(opened)
    running = threading.Thread(target=service.run)
    caplog.clear()
    running.start()
    deadline = time.monotonic() + 30
    while "cannot be reached" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running.is_alive()
    service.stop()
    running.join(30)
    assert not running.is_alive() and caplog.text.count("cannot be reached") == 1
