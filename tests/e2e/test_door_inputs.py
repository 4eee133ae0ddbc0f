"""Fire, tamper and the clock's battery on a whole virtual panel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools import maintenance, panels
from host_tools.errors import HostError, RefusedByPanel
from host_tools.sim.control import Sim
from host_tools.site import Panel, Site

PATIENCE_S = 15.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sim, Site, Panel]]:
    folder: Path = tmp_path_factory.mktemp("door")
    with Sim.start(folder / "panel", blocks=32) as sim, Site.open(folder / "site.db") as site:
        assert sim.wait_console("app: ready", PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                panel = panels.provision(site, sim.port, "door")
                break
            except HostError:
                if time.monotonic() > deadline:
                    raise
        yield sim, site, panel


@pytest.fixture
def door(house: tuple[Sim, Site, Panel]) -> tuple[Sim, Panel]:
    return house[0], house[2]


def logged(panel: Panel) -> list[str]:
    return [entry["detail"] for entry in panel.request("log", since=0, limit=32)["entries"]]


def test_a_fire_opens_the_door_until_it_is_over_and_is_logged(door: tuple[Sim, Panel]) -> None:
    sim, panel = door
    before = time.time()
    sim.set_fire(True)
    assert sim.wait_lock(True, since=before, timeout=PATIENCE_S)
    sim.set_door(False)
    time.sleep(0.3)
    sim.set_door(True)
    time.sleep(0.3)
    assert sim.door_state()["released"], "coming or going does not lock it"
    before = time.time()
    sim.set_fire(False)
    assert sim.wait_lock(False, since=before, timeout=PATIENCE_S)
    assert {"fire", "fire_over"} <= set(logged(panel))


def test_an_opened_case_alarms_and_closes_the_way_into_maintenance(house: tuple[Sim, Site, Panel]) -> None:
    sim, site, panel = house
    before = time.time()
    sim.set_tamper(True)
    deadline = time.monotonic() + PATIENCE_S
    while not [tone for tone in sim.buzzer_log() if tone["tone"] == "alarm" and tone["time"] >= before]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "tamper" in logged(panel) and panel.request("status")["tamper"]
    with pytest.raises(RefusedByPanel, match="case is open"):
        allow(sim, site, panel)
    sim.set_tamper(False)
    assert allow(sim, site, panel) > 0 and panel.request("status")["maintenance"]
    maintenance.end(panel)
    assert not panel.request("status")["maintenance"]


def allow(sim: Sim, site: Site, panel: Panel) -> int:
    """With somebody before the panel who says yes."""
    return maintenance.allow(panel.connected(), maintenance.token(site, panel), lambda text: sim.press("#"))
