"""`menshen panel selftest` on a virtual panel: what holds, what is broken on purpose, and what must not move."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.cbook import get_sample_data

from host_tools import consent, enrol, notices, panels, residents, selftest
from host_tools.errors import HostError, RefusedByPanel, SelftestFailed
from host_tools.sim.control import Sim
from host_tools.site import Panel, Site

PATIENCE_S = 15.0
BOOT_S = 60.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sim, Site, Panel]]:
    folder = tmp_path_factory.mktemp("selftest")
    sim = Sim.start(folder / "panel", blocks=64)
    with Site.open(folder / "site.db") as site:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                panel = panels.provision(site, sim.port, "door")
                break
            except HostError:
                if time.monotonic() > deadline:
                    raise
        yield sim, site, panel
    sim.stop()


def verdicts(panel: Panel, *wanted: str) -> dict[str, str]:
    names = wanted or selftest.names(panel)
    return {check.name: check.verdict for check in selftest.run(panel, names)}


def test_a_sound_panel_passes_and_its_lock_does_not_move(house) -> None:
    _, _, panel = house
    found = verdicts(panel)
    assert found.pop("kernels s3") == "absent"
    assert set(found.values()) == {"ok"}
    assert "lock" not in found and "kernels plain" not in found


def test_every_stage_has_its_milliseconds(house) -> None:
    _, _, panel = house
    (check,) = selftest.run(panel, ["stages"])
    stages = ("capture", "detect", "align", "embed", "match", "sign", "pin", "vault_scan")
    assert {f"{stage}_ms" for stage in stages} <= set(check.figures)


def test_the_lock_moves_when_asked_and_the_log_says_so(house) -> None:
    _, _, panel = house
    assert "lock" in selftest.names(panel, lock=True)
    assert verdicts(panel, "lock") == {"lock": "ok"}
    entries = panel.request("log", since=0, limit=32)["entries"]
    assert ("opened", "selftest") in [(entry["kind"], entry["detail"]) for entry in entries]


def test_a_camera_without_picture_fails_and_the_rest_goes_on(house) -> None:
    sim, _, panel = house
    sim.cut_camera(True)
    try:
        checks = list(selftest.run(panel, ["camera", "random"]))
    finally:
        sim.cut_camera(False)
    assert [check.verdict for check in checks] == ["failed", "ok"]
    with pytest.raises(SelftestFailed, match="camera"):
        selftest.verdict(checks)


def test_a_panel_with_a_camera_refuses_pictures(house) -> None:
    _, _, panel = house
    with pytest.raises(RefusedByPanel, match="camera of its own"):
        panels.feed(panel, np.zeros((240, 320), np.uint8))


def test_a_panel_without_camera_is_given_what_it_sees(tmp_path: Path) -> None:
    """As on esp32s3_generic: the self-test feeds a picture of its own, and a resident is enrolled from a fed one."""
    portrait = str(get_sample_data("grace_hopper.jpg", asfileobj=False))
    with Sim.start(tmp_path / "panel", blocks=64, fed=True) as sim, Site.open(tmp_path / "site.db") as site:
        assert sim.wait_console("app: ready", BOOT_S)
        panel = panels.provision(site, sim.port, "bench")
        assert verdicts(panel, "camera", "stages", "display") == dict.fromkeys(("camera", "stages", "display"), "ok")
        assert panel.request("selftest", check="camera")["verdict"] == "failed"  # nothing is left to be seen
        with pytest.raises(RefusedByPanel, match="in order"):
            panel.request("feed", at=3600, data=bytes(3600))
        ann = residents.add(site, panel, "Ann", "301")
        paper = tmp_path / "signed.pdf"
        paper.write_bytes(b"a scan")
        consent.give(site, panel, ann, notices.load(), paper)
        panel.close()  # one at a time on a serial port
        words = ["panel feed", portrait, "--uses 60 --json --site", str(tmp_path / "site.db")]
        command = [sys.executable, "-m", "host_tools.cli", *shlex.split(" ".join(words))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert json.loads(done.stdout or "{}") == {"panel": "bench", "seen": 60}, done.stderr
        panel = site.panel("bench")
        enrol.live(site, panel, ann, count=1)
        assert panels.status(panel)["faces"] == 1


def test_the_panel_is_found_on_its_port(house) -> None:
    sim, site, panel = house
    panel.close()
    assert selftest.at_port(site, sim.port).panel_id == panel.panel_id
