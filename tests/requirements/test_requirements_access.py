"""Requirements 6, 7, 8 and 25 on a virtual panel: who has no face on file enters as surely and as fast.

Times are the panel's own, of its console: from the last key or the card in the field to the lock.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from house import House

from firmware.access import lockout
from host_tools import credentials, maintenance, panels, policy, residents
from host_tools.demo.people import at_the_door, cast
from host_tools.errors import Usage
from host_tools.image import stage_vfs
from host_tools.sim.control import Sim
from host_tools.site import Resident
from host_tools.vision.pipeline import FacePipeline

PIN = "840613"
DECIDES_MS = 300
PATIENCE_S = 30.0
E2E = Path(__file__).resolve().parents[1] / "e2e"
NOON = 1_800_000_000 // 86400 * 86400 + 4 * 3600  # 12:00 at UTC+8


def _stage(vfs: Path) -> None:
    stage_vfs("virtual", vfs)
    shutil.copy(E2E / "slow_panel.py", vfs / "main.py")


class Door:
    """The house with a panel that tells what it does, and somebody whose face the camera can find."""

    def __init__(self, house: House) -> None:
        self.house, self.sim = house, house.sim
        self.house.panel.request("set_policy", open_s=1)
        try:
            self.grace = cast(None)[0].at_door
        except Usage as error:
            pytest.skip(str(error))
        self.view = at_the_door(self.grace, FacePipeline())

    def resident(self, name: str, **rights: object) -> Resident:
        """With PIN and card, and nothing of a face."""
        resident = self.house.add(name, **rights)
        credentials.set_pin(self.house.site, self.house.panel, resident, PIN)
        credentials.issue_card(self.house.site, self.house.panel, resident, self.card(resident))
        return resident

    def card(self, resident: Resident) -> Path:
        return self.house.folder / f"{resident.handle.hex()}.card.json"

    def by_pin(self, resident: Resident) -> Callable[[], None]:
        return lambda: self.sim.press(f"{resident.flat}#{PIN}#")

    def by_card(self, resident: Resident) -> Callable[[], None]:
        return lambda: self.sim.tap(self.card(resident))

    def try_(self, act: Callable[[], None], kind: str) -> dict:
        """The panel's event after `act`, with the time it took to decide."""
        self.rest()
        before, seq = len(self.sim.console()), self.next_event()
        act()
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            page = self.house.panel.request("events", since=seq, limit=12)
            for event in page["events"]:
                if event["kind"] == kind and event.get("reason") != "no_face":
                    return {**event, "console": self.sim.console()[before:]}
            seq = page["next"]
            time.sleep(0.02)
        raise AssertionError(f"no decision about a {kind}: {self.sim.console()[before:]}")

    def opens(self, act: Callable[[], None], kind: str) -> bool:
        return bool(self.try_(act, kind)["opened"])

    def rest(self) -> None:
        self.sim.tap(None)
        assert self.sim.wait_shut(10)
        time.sleep(0.7)  # a card is new again after it was out of the field

    def next_event(self) -> int:
        seq = 0
        while (page := self.house.panel.request("events", since=seq, limit=12))["events"]:
            seq = page["next"]
        return int(page["next"])

    def slow(self, on: bool) -> None:
        file = self.sim.state / "vfs" / "slow"
        file.touch() if on else file.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("door")
    with Sim.start(folder / "sim", blocks=128, stage=_stage) as sim:
        house = House(folder, sim, str(folder / "site.db"))
        yield Door(house)
        house.close()


def took_ms(console: str, first: str) -> int:
    """From the last `first` before the lock was released to that release."""
    lines = re.findall(r"^(\d+) (KEYS|CARD|LOCK released|INFERENCE begins|INFERENCE ends)", console, re.MULTILINE)
    released = next(i for i, line in enumerate(lines) if line[1] == "LOCK released")
    start = max(int(line[0]) for line in lines[:released] if line[1] == first)
    return int(lines[released][0]) - start


# 6: card and PIN without any face data


def test_requirement_06_card_and_pin_are_issued_with_zero_face_data(door: Door) -> None:
    faces = door.house.faces()
    ann = door.resident("Ann")
    assert door.opens(door.by_pin(ann), "pin")
    assert door.opens(door.by_card(ann), "card")
    assert door.house.faces() == faces
    assert not door.house.site.enrolments(ann) and not door.house.site.consents(ann)


# 7: the same doors, hours and time bound


@pytest.mark.parametrize("hours", [((127, 0, 1440),), ((31, 480, 1080), (96, 600, 720)), ((127, 1320, 360),)])
def test_requirement_07_both_ways_open_the_same_doors_in_the_same_hours(door: Door, hours: tuple) -> None:
    ben = door.resident(f"Ben {hours}", schedule=hours)
    far = door.resident(f"Far {hours}", schedule=hours, doors=2)
    answers = set()
    for hour in (12, 23) if hours[0][1:] != (0, 1440) else (3,):
        door.house.panel.request("set_time", time=NOON + (hour - 12) * 3600)
        by_pin, by_card = door.try_(door.by_pin(ben), "pin"), door.try_(door.by_card(ben), "card")
        assert (by_pin["opened"], by_pin["reason"]) == (by_card["opened"], by_card["reason"])
        answers.add(by_pin["opened"])
        expected = policy.answers(door.house.site, door.house.panel, ben, NOON + (hour - 12) * 3600)
        assert {a.allow for a in expected if a.kind != "face"} == {by_pin["opened"]}, "menshen policy check agrees"
    assert answers == ({True} if hours[0][1:] == (0, 1440) else {True, False})
    assert not door.opens(door.by_pin(far), "pin") and not door.opens(door.by_card(far), "card")


def test_requirement_07_keypad_and_card_decide_within_300_ms(door: Door) -> None:
    carl = door.resident("Carl")
    for act, kind, first in ((door.by_pin(carl), "pin", "KEYS"), (door.by_card(carl), "card", "CARD")):
        tried = door.try_(act, kind)
        assert tried["opened"]
        ms = took_ms(tried["console"], first)
        print(f"{kind}: {ms} ms from the last key or tap to the lock")
        assert ms <= DECIDES_MS


@pytest.mark.parametrize("kind", ["card", "pin"])
def test_requirement_07_who_acts_during_inference_enters_before_it_ends(door: Door, kind: str) -> None:
    dora = door.resident(f"Dora {kind}")
    looked_for = door.house.resident_with_face(f"Somebody {kind}")
    credentials.set_pin(door.house.site, door.house.panel, looked_for, PIN)
    door.sim.show(door.grace, **door.view)
    door.rest()
    door.slow(True)
    try:
        before = len(door.sim.console())
        door.sim.press(f"{looked_for.flat}#")
        assert door.sim.wait_console("INFERENCE begins", after=before, timeout=PATIENCE_S)
        if kind == "card":
            door.by_card(dora)()
        else:
            door.sim.press(f"{PIN}#")
        assert door.sim.wait_console("LOCK released", after=before, timeout=PATIENCE_S)
        console = door.sim.console()[before:]
    finally:
        door.slow(False)
        door.sim.show(None)
    ms = took_ms(console, "CARD" if kind == "card" else "KEYS")
    marks = re.findall(r"INFERENCE begins|INFERENCE ends|CARD|LOCK released", console.partition("LOCK released")[0])
    assert marks.count("INFERENCE begins") > marks.count("INFERENCE ends"), "an inference was under way"
    print(f"{kind} during inference: {ms} ms")
    assert ms <= DECIDES_MS + 2 * 40, "a step that had begun may end first"


def test_requirement_07_policies_that_break_it_are_named(door: Door) -> None:
    door.house.resident_with_face("Face Only")
    found = door.house.menshen("policy", "check", "--json")
    warnings = json.loads(found.out.splitlines()[0])["warnings"]
    assert found.code != 0 and any("Face Only has a face and neither PIN nor card" in line for line in warnings)
    assert door.house.menshen("policy", "set", "--second", "card").code == 0
    told = door.house.menshen("policy", "check").err
    assert "a card needs a second proof and a face does not" in told
    assert door.house.menshen("policy", "set", "--second", "none").code == 0
    residents.move_out(door.house.site, door.house.site.resident("Face Only"))


def test_requirement_07_parity_is_measured_and_reported(door: Door) -> None:
    emma = door.resident("Emma")
    rows = {row["kind"]: row for row in door.house.panel.request("parity", since=0, limit=13)["rows"]}
    assert door.opens(door.by_card(emma), "card") and door.opens(door.by_pin(emma), "pin")
    after = door.house.panel.request("parity", since=0, limit=13)["rows"]
    counted = sum(row["opened"] for row in after) - sum(row["opened"] for row in rows.values())
    assert counted >= 2 or len(after) > len(rows)
    drawing = door.house.folder / "parity.svg"
    report = door.house.menshen("report", "parity", "--json", "--plot", str(drawing))
    ways = json.loads(report.out.splitlines()[0])
    assert {way["kind"] for way in ways} >= {"pin", "card"} and all(way["door"] == "front door" for way in ways)
    assert emma.name not in report.out and emma.handle.hex() not in report.out
    assert ElementTree.fromstring(drawing.read_text()).tag.endswith("svg")


def test_requirement_07_a_decision_is_explained(door: Door) -> None:
    fred = door.resident("Fred", schedule=((31, 480, 1080),))
    told = door.house.menshen("policy", "check", "Fred", "--at", "2026-11-23 19:00").out
    assert "Fred, door 0 of front door, Monday 2026-11-23 19:00: PIN refused, because: " in told
    assert "card refused" in told and "hours do not include" in told
    told = door.house.menshen("policy", "check", "Fred", "--at", "2026-11-23 09:00").out
    assert "PIN allowed" in told and "card allowed" in told
    assert "No face of this resident" in told
    residents.move_out(door.house.site, fred)


# 8: camera covered, broken or switched off


@pytest.mark.parametrize("state", ["covered", "broken", "switched off"])
def test_requirement_08_without_a_camera_every_resident_enters(door: Door, state: str) -> None:
    gina = door.resident(f"Gina {state}")
    door.house.enrol(gina)
    door.sim.show(None)
    if state == "broken":
        door.sim.cut_camera(True)
    if state == "switched off":
        door.house.panel.request("set_policy", face=False)
    try:
        assert door.opens(door.by_pin(gina), "pin")
        assert door.opens(door.by_card(gina), "card")
        assert door.house.status()["residents"] > 0
    finally:
        door.sim.cut_camera(False)
        door.house.panel.request("set_policy", face=True)
        if state == "broken":  # it is looked for again at the next start
            door.house.power_off()
            door.house.power_on()


# 25: lockouts, and the way out


def test_requirement_25_five_faces_lock_faces_alone(door: Door) -> None:
    hugo = door.resident("Hugo")
    door.house.enrol(hugo)  # random numbers: nobody's face is like them
    door.sim.show(door.grace, **door.view)
    try:
        for n in range(5):
            tried = door.try_(lambda: door.sim.press(f"{hugo.flat}#"), "face")
            assert (tried["opened"], tried["reason"]) == (False, "not_recognised"), n
        door.rest()
        before = len(door.sim.console())
        door.sim.press(f"{hugo.flat}#")
        time.sleep(1.0)
        assert "INFERENCE begins" not in door.sim.console()[before:], "the camera is not asked again"
        door.sim.press(f"{PIN}#")
        assert door.sim.wait_console("LOCK released", after=before, timeout=PATIENCE_S)
        assert door.opens(door.by_card(hugo), "card")
    finally:
        door.sim.show(None)
    delays = lockout.FACE.delays
    assert delays[:4] == (0, 0, 0, 0) and delays[4] > 0 and list(delays) == sorted(delays)


def test_requirement_25_pin_tries_cost_growing_delays(door: Door) -> None:
    ida = door.resident("Ida")
    tried = [door.try_(lambda: door.sim.press(f"{ida.flat}#111222#"), "pin") for _ in range(4)]
    assert [event["reason"] for event in tried[:3]] == ["not_recognised"] * 3
    assert tried[3]["reason"] in ("locked_out", "not_recognised")
    assert door.opens(door.by_card(ida), "card"), "a card is not the PIN's to lock"
    delays = lockout.PIN.delays
    assert len(delays) == 10 and list(delays) == sorted(delays) and delays[2] > 0 and delays[9] >= 3600


def test_requirement_25_leaving_is_never_blocked(door: Door) -> None:
    def out() -> bool:
        door.sim.set_exit(True)
        try:
            return bool(door.sim.status()["passable"])
        finally:
            door.sim.set_exit(False)

    assert out()
    door.house.panel.request("set_policy", lockdown=True)
    assert out(), "lockdown keeps nobody in"
    door.house.panel.request("set_policy", lockdown=False)
    panel = door.house.panel
    panels.set_time(door.house.site, panel)  # which other tests have stepped
    token = maintenance.token(door.house.site, panel)
    maintenance.allow(panel.connected(), token, lambda text: door.sim.press("#"))
    assert out(), "maintenance keeps nobody in"
    maintenance.end(panel)
    door.house.power_off()
    assert out(), "a dead panel keeps nobody in"
    door.house.power_on()
    before = len(door.house.panel.request("log", since=0, limit=32)["entries"])
    door.sim.set_exit(True)
    time.sleep(0.3)
    door.sim.set_exit(False)
    door.sim.set_door(False)
    time.sleep(0.3)
    door.sim.set_door(True)
    entries = door.house.panel.request("log", since=0, limit=32)["entries"][before:]
    assert not [entry for entry in entries if entry["kind"] == "door_alarm"], "leaving is no alarm"
