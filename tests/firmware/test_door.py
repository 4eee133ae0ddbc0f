"""A door that behaves like a door: what is asked of it goes in, what the lock was told comes out."""

import asyncio

from firmware.base.errors import HalError
from firmware.base.ticks import ticks_add, ticks_ms
from firmware.door.door import MAX_RELEASE_MS, Door
from firmware.door.locks import Magnet, Motor, Strike, build

START = ticks_add(0, -3000)  # the tick counter wraps in the middle of the stories


class Hardware:
    """Lock, contact and exit button; with `broken` none of them answers."""

    def __init__(self):
        self.driven = None
        self.is_closed = True
        self.is_pressed = False
        self.broken_lock = self.broken_contact = False
        self.burns = self.case_is_open = False

    def release(self, on):
        if self.broken_lock:
            raise HalError("lock")
        self.driven = on

    def closed(self):
        if self.broken_contact:
            raise HalError("contact")
        return self.is_closed

    def pressed(self):
        return self.is_pressed

    def alarm(self):
        return self.burns

    def open(self):
        return self.case_is_open


class Story:
    def __init__(self, kind="strike", **settings):
        self.hardware = Hardware()
        self.back = Hardware()
        lock = build(kind, self.hardware, self.back)
        inputs = {"fire": self.hardware, "tamper": self.hardware}
        inputs.update(settings)
        self.door = Door(lock, self.hardware, self.hardware, **inputs)
        self.now = START
        assert self.wait(0) == ["relocked"]

    def wait(self, ms):
        """Time passes in polls of 50 ms; the events."""
        events = []
        for _ in range(0, ms, 50):
            self.now = ticks_add(self.now, 50)
            events += self.door.poll(self.now)
        return events + self.door.poll(self.now)

    def release(self):
        self.door.release(self.now)


def test_it_is_locked_from_the_start():
    story = Story()
    assert story.hardware.driven is False
    assert story.wait(60_000) == []


def test_a_release_ends_by_itself():
    story = Story(release_ms=5000)
    story.release()
    assert story.hardware.driven is True
    assert story.wait(4950) == ["released"]
    assert story.wait(50) == ["relocked"]
    assert story.hardware.driven is False


def test_coming_in_relocks_behind_the_back():
    story = Story()
    story.release()
    story.hardware.is_closed = False
    assert story.wait(500) == ["released", "opened"]
    assert story.hardware.driven is True
    story.hardware.is_closed = True
    assert story.wait(100) == ["closed", "relocked"]
    assert story.hardware.driven is False


def test_repeated_releases_never_exceed_the_maximum_on_time():
    story = Story(release_ms=5000)
    events = []
    for _ in range(MAX_RELEASE_MS // 1000 - 1):
        story.release()
        events += story.wait(1000)
    assert events == ["released"]
    story.release()
    assert story.wait(1000) == ["relocked"]
    assert Story(release_ms=10**6).door._release_ms == MAX_RELEASE_MS


def test_a_door_opened_while_locked_is_forced():
    story = Story()
    story.hardware.is_closed = False
    assert story.wait(100) == ["opened", "forced"]
    assert story.hardware.driven is False


def test_leaving_is_observed_and_never_an_alarm():
    story = Story()
    story.hardware.is_pressed = True
    assert story.wait(200) == ["exit"]
    story.hardware.is_pressed = False
    story.wait(3000)
    story.hardware.is_closed = False
    assert story.wait(100) == ["opened"]
    assert story.hardware.driven is False, "the button's own wiring opens, not the panel"
    story.hardware.is_closed = True
    assert story.wait(60_000) == ["closed"]
    story.hardware.is_closed = False
    assert story.wait(100) == ["opened", "forced"], "the exit was long ago"


def test_a_door_held_open_is_reported_once():
    story = Story(held_open_ms=30_000)
    story.release()
    story.hardware.is_closed = False
    assert story.wait(29_000) == ["released", "opened", "relocked"]
    assert story.wait(60_000) == ["held_open"]
    story.hardware.is_closed = True
    assert story.wait(100) == ["closed"]


def test_a_door_open_at_start_is_not_forced_but_is_held_open():
    hardware = Hardware()
    hardware.is_closed = False
    door = Door(Strike(hardware), hardware, hardware, held_open_ms=1000)
    assert door.poll(START) == ["relocked"]
    assert door.poll(ticks_add(START, 1000)) == ["held_open"]


def test_a_broken_contact_neither_keeps_residents_out_nor_the_door_unlocked():
    story = Story(release_ms=5000)
    story.hardware.broken_contact = True
    story.release()
    assert story.wait(4950) == ["released", "contact_fault"]
    assert story.hardware.driven is True
    assert story.wait(50) == ["relocked"]
    story.hardware.broken_contact = False
    assert story.wait(100) == []
    story.hardware.is_closed = False
    story.hardware.broken_contact = True
    assert story.wait(100) == ["contact_fault"]


def test_a_hand_on_the_door_as_it_relocks_is_no_alarm():
    story = Story(release_ms=1000)
    story.release()
    assert story.wait(1000) == ["released", "relocked"]
    story.hardware.is_closed = False
    assert story.wait(50) == ["opened"]


def test_a_lock_that_does_not_obey_is_told_until_it_does():
    story = Story(release_ms=1000)
    story.release()
    story.wait(900)
    story.hardware.broken_lock = True
    assert story.wait(5000) == ["lock_fault"]
    assert story.door.released, "for all the panel knows it is still open"
    story.hardware.broken_lock = False
    assert story.wait(50) == ["relocked"]
    assert story.hardware.driven is False


def test_a_release_that_failed_is_withdrawn():
    story = Story(release_ms=1000)
    story.hardware.broken_lock = True
    story.release()
    assert story.wait(50) == ["lock_fault"]
    story.hardware.broken_lock = False
    story.wait(1000)
    assert story.hardware.driven is False


async def test_a_cancelled_or_dying_task_leaves_the_door_locked():
    for dies in (False, True):
        story = Story()
        seen = []

        def listener(event, story=story, seen=seen, dies=dies):
            seen.append((event, story.hardware.driven))
            if dies:
                raise RuntimeError("listener")

        story.door.release(ticks_ms())
        try:
            await asyncio.wait_for_ms(story.door.run(listener), 20)
        except (asyncio.TimeoutError, RuntimeError):
            pass
        assert seen[0] == ("released", True)
        assert story.hardware.driven is False


def test_a_strike_is_never_driven_longer_than_its_coil_bears():
    output = Hardware()
    strike = Strike(output, max_on_ms=1000)
    strike.release(True, START)
    assert strike.poll(ticks_add(START, 999)) and output.driven
    assert not strike.poll(ticks_add(START, 1000)) and not output.driven
    story = Story(release_ms=10**6)
    story.release()
    story.wait(MAX_RELEASE_MS)
    assert story.hardware.driven is False


def test_a_fire_opens_until_it_is_over_each_lock_in_its_way():
    for kind in ("strike", "magnet", "motor"):
        story = Story(kind)
        story.wait(3000)
        story.hardware.burns = True
        assert story.wait(100) == ["fire"], kind
        assert story.hardware.driven is True and not (kind == "motor" and story.back.driven)
        story.hardware.is_closed = False
        assert story.wait(120_000) == ["opened"], "no alarm for a door that stands open in a fire"
        story.hardware.is_closed = True
        assert story.wait(1000) == ["closed"]
        story.door.relock(story.now)
        assert story.door.released, "nothing locks a door while it burns"
        story.hardware.burns = False
        assert story.wait(50) == ["fire_over", "relocked"], kind
        assert not story.door.released
        story.wait(3000)
        assert story.hardware.driven is False and not story.back.driven


def test_in_a_fire_a_strike_pulses_and_a_magnet_stays_off():
    for kind, most in (("strike", MAX_RELEASE_MS), ("magnet", 10**9)):
        story = Story(kind)
        story.hardware.burns = True
        changes, on_since, before = 0, 0, None
        for i in range(2400):
            story.wait(50)
            if story.hardware.driven != before:
                changes, before, on_since = changes + 1, story.hardware.driven, i
            assert not story.hardware.driven or (i - on_since) * 50 <= most + 100
        assert changes == (1 if kind == "magnet" else 8), (kind, changes)


def test_a_motor_runs_to_its_end_and_never_both_ways():
    out, back = Hardware(), Hardware()
    motor = Motor(out, back, run_ms=1500)
    motor.release(False, START)
    assert back.driven and not out.driven
    motor.release(True, ticks_add(START, 500))
    assert out.driven and not back.driven
    assert motor.poll(ticks_add(START, 1999)) and out.driven
    assert motor.poll(ticks_add(START, 2000)) and not out.driven and not back.driven
    motor.release(True, ticks_add(START, 2500))
    assert not out.driven, "it is open already"


def test_without_power_each_lock_is_what_it_is():
    assert (Strike.without_power, Magnet.without_power, Motor.without_power) == ("locked", "open", "as it was")
    assert build("motor", Hardware()).kind == "strike", "a motor needs two outputs"


def test_an_opened_case_is_told_once_and_again_when_it_is_closed():
    story = Story()
    story.hardware.case_is_open = True
    assert story.wait(10_000) == ["tamper"]
    story.hardware.case_is_open = False
    assert story.wait(100) == ["tamper_over"]
    assert Story(fire=None, tamper=None).wait(1000) == [], "a board may have neither input"


def test_a_fire_that_the_lock_does_not_obey_is_tried_again():
    story = Story()
    story.hardware.broken_lock = story.hardware.burns = True
    assert story.wait(1000) == ["fire_fault"]
    story.hardware.broken_lock = False
    assert "fire" in story.wait(100) and story.hardware.driven is True
