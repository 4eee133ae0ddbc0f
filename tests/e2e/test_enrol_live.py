"""Enrolment at the panel: the person before it sees what to do, and so does whoever sits at the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from host_tools import consent, enrol, notices, panels, residents
from host_tools.demo.people import at_the_door, cast
from host_tools.enrol import Progress
from host_tools.errors import LinkFailed, NoConsent, NoFace, RefusedByPanel, TooPoor
from host_tools.sim.control import Sim
from host_tools.site import Panel, Resident, Site
from host_tools.vision.pipeline import FacePipeline

BOOT_S = 60.0


@dataclass
class Door:
    sim: Sim
    site: Site
    panel: Panel
    ann: Resident
    bob: Resident
    near: dict[str, Any]
    far: dict[str, Any]

    def faces(self) -> int:
        return int(self.panel.request("status")["faces"])


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("live")
    grace, _ = cast(None)
    pipeline = FacePipeline()
    with Sim.start(folder / "sim", blocks=64) as sim, Site.open(folder / "site.db") as site:
        assert sim.wait_console("app: ready", BOOT_S)
        panel = panels.provision(site, sim.port, "door")
        paper = folder / "signed.pdf"
        paper.write_bytes(b"a scan")
        people = [residents.add(site, panel, name, flat) for name, flat in (("Ann", "301"), ("Bob", "302"))]
        for person in people:
            consent.give(site, panel, person, notices.load(), paper)
        views = [at_the_door(grace.at_door, pipeline, height=height) for height in (150, 56)]
        yield Door(sim, site, panel, *people, *[{"photo": grace.at_door, **view} for view in views])


def test_views_are_taken_one_by_one_and_hints_say_what_to_do(door: Door) -> None:
    told: list[Progress] = []

    def step_closer(progress: Progress) -> None:
        told.append(progress)
        if progress.hint == "look at the camera":
            door.sim.show(**door.far)
        if progress.hint == "come closer":
            door.sim.show(**door.near)

    door.sim.show(None)
    stored = enrol.live(door.site, door.panel, door.ann, wait_s=30, told=step_closer)
    assert stored.templates == 4 and stored.state == "stored" and door.faces() == 1
    assert [progress.hint for progress in told][:2] == ["look at the camera", "come closer"]
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    assert all(progress.count == 4 for progress in told)
    assert door.site.enrolments(door.ann)[-1].templates == 4


def test_nobody_there_and_too_far_have_their_own_answers_and_store_nothing(door: Door) -> None:
    before = door.faces()
    for view, error in ((None, NoFace), (door.far, TooPoor)):
        door.sim.show(**view) if view else door.sim.show(None)
        with pytest.raises(error):
            enrol.live(door.site, door.panel, door.bob, wait_s=2)
    assert door.faces() == before and door.site.enrolments(door.bob) == []


def test_one_at_a_time_and_asking_twice_is_asking_once(door: Door) -> None:
    door.sim.show(None)

    def begin(who: Resident, **more: Any) -> dict[str, Any]:
        given = door.site.consent(door.panel, who)
        assert given is not None
        fields = {"consent_id": given.consent_id, "notice_hash": given.notice_hash, "count": 4, "wait_s": 3, **more}
        return door.panel.request("enrol_live", handle=who.handle, **fields)

    assert begin(door.ann, expiry=0)["state"] == begin(door.ann, expiry=1)["state"] == "looking"
    with pytest.raises(RefusedByPanel, match="omebody else"):
        begin(door.bob, expiry=0)
    assert "being enrolled" in door.panel.request("selftest", timeout_s=20, check="camera")["says"]
    assert door.panel.request("enrol_state", handle=door.bob.handle)["state"] == "none"
    while (state := door.panel.request("enrol_state", handle=door.ann.handle))["state"] == "looking":
        pass
    assert (state["state"], state["err"]) == ("failed", "no_face")


def test_a_restart_in_the_middle_leaves_the_older_face_and_says_so(door: Door) -> None:
    before = door.faces()
    door.sim.show(None)

    def cut(_: Progress) -> None:
        door.sim.kill()
        after = len(door.sim.console())
        door.sim.restart()
        assert door.sim.wait_console("app: ready", BOOT_S, after=after)

    with pytest.raises(LinkFailed, match="again"):
        enrol.live(door.site, door.panel, door.ann, told=cut)
    assert door.faces() == before


def test_a_withdrawal_in_the_middle_ends_it(door: Door) -> None:
    before = door.faces()
    door.sim.show(None)
    with pytest.raises(NoConsent):
        enrol.live(
            door.site,
            door.panel,
            door.bob,
            told=lambda _: door.panel.request("consent_withdraw", handle=door.bob.handle),
        )
    assert door.faces() == before
