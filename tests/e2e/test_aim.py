"""The camera of a virtual panel aimed and calibrated from the host: after a press, live, and kept nowhere."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from host_tools import aim, panels
from host_tools.aim_page import Page
from host_tools.errors import MaintenanceRefused, NoFace, RefusedByPanel
from host_tools.sim.control import Sim
from host_tools.site import Panel, Site

PATIENCE_S = 20.0


class House:
    def __init__(self, folder: Path, sim: Sim) -> None:
        self.sim = sim
        self.site = Site.open(folder / "site.db")
        assert sim.wait_console("app: ready", PATIENCE_S)
        self.panel: Panel = panels.provision(self.site, sim.port, "door")

    @contextlib.contextmanager
    def aiming(self, key: str = "#") -> Iterator[None]:
        with aim.aiming(self.panel, aim.MOST_SECONDS, lambda text: self.sim.press(key)):
            yield


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("aim")
    with Sim.start(folder / "panel", blocks=32) as sim:
        made = House(folder, sim)
        yield made
        made.site.close()


def test_no_picture_without_a_press(house: House) -> None:
    with pytest.raises(RefusedByPanel, match="not allowed"):
        aim.picture(house.panel)
    with pytest.raises(MaintenanceRefused), house.aiming("*"):
        raise AssertionError("not reached")


def test_the_picture_is_what_the_camera_saw_and_the_screen_says_so(house: House) -> None:
    with house.aiming():
        shown = aim.picture(house.panel)
        frame = house.sim.last_frame()
        assert frame is not None
        expected = frame.reshape(120, 2, 160, 2).mean(axis=(1, 3))
        assert np.abs(shown.grey.astype(float) - expected).max() <= 17, "sixteen greys of it"
        assert shown.box is None and shown.hint == "look at the camera" and abs(shown.mean - frame.mean()) < 5
        deadline = time.monotonic() + PATIENCE_S
        while np.ptp(house.sim.screen()[60:200]) < 20:
            assert time.monotonic() < deadline
    lines = aim.blocks(shown, 40, colour=False).splitlines()
    assert len(lines) == 15 and {len(line) for line in lines} == {40}
    assert aim.blocks(shown, 40, colour=True).count("▀") == 40 * 15
    with pytest.raises(RefusedByPanel):
        aim.picture(house.panel)
    said = [e["detail"] for e in house.panel.request("log", since=0, limit=32)["entries"] if e["kind"] == "camera"]
    assert said[-2:] == ["aiming", "aiming over"]


def test_the_page_shows_it_to_whoever_knows_its_address_on_this_computer(house: House) -> None:
    with house.aiming():
        page = Page(aim.pictures(house.panel, 1))
        place = urlsplit(page.address)
        assert place.hostname == "127.0.0.1"

        def get(path: str, host: str = "") -> http.client.HTTPResponse:
            link = http.client.HTTPConnection("127.0.0.1", place.port or 0, timeout=PATIENCE_S)
            link.request("GET", path, headers={"Host": host or f"127.0.0.1:{place.port}"})
            return link.getresponse()

        def look() -> list[object]:
            try:
                strangers = [get("/").status, get("/picture").status, get(place.path, "evil.example:80").status]
                html, first = get(place.path).read(), get(place.path + "picture")
                kept, body = first.headers["Cache-Control"], first.read()
                return [strangers, b"<img" in html, kept, body[:4], get(place.path + "picture").status]
            finally:
                page.end()

        with ThreadPoolExecutor(1) as browser:
            seen = browser.submit(look)
            page.wait()
        assert seen.result() == [[404] * 3, True, "no-store", b"\x89PNG", 410] and page.count == 1


def test_the_exposure_that_lights_best_is_kept_and_distance_needs_a_face(house: House) -> None:
    house.sim.show(None, background=70)
    with house.aiming():
        found = aim.calibrate_exposure(house.site, house.panel)
        with pytest.raises(NoFace):
            aim.calibrate_distance(house.site, house.panel, "far")
    policy = house.panel.request("status")["policy"]
    assert policy["exposure"] == found["exposure"] == 2 and policy["face_least"] == 0
    aim.calibrate_off(house.site, house.panel)
    assert house.panel.request("status")["policy"]["exposure"] == 0
