"""Failures cost time, never the door: growing delays, counted apart for each kind of credential."""

from firmware.access.lockout import FACE, FRESH, PANEL, PIN, Attempts, failed, restored, wait_s


def after(failures: int, rule, now: int = 0) -> tuple:
    """The state when each attempt came as soon as it counted, and the time of the last."""
    state = FRESH
    for _ in range(failures):
        now += wait_s(state, now)
        state = failed(state, now, rule)
    return state, now


def test_five_faces_then_a_minute():
    for failures in range(5):
        state, now = after(failures, FACE)
        assert wait_s(state, now) == 0, failures
    state, now = after(5, FACE)
    assert wait_s(state, now) == 60
    assert wait_s(state, now + 59) == 1
    assert wait_s(state, now + 60) == 0


def test_delays_never_shrink_while_failures_go_on():
    for rule in (FACE, PIN, PANEL):
        waits = [wait_s(*after(failures, rule)) for failures in range(1, 300)]
        assert waits == sorted(waits)
        assert waits[-1] == rule.delays[-1]
        state, _ = after(300, rule)
        assert state[0] == 255


def test_the_tenth_wrong_pin_costs_an_hour():
    assert wait_s(*after(9, PIN)) < 3600
    assert wait_s(*after(10, PIN)) == 3600
    _, elapsed = after(10 + 24, PIN)
    assert elapsed >= 23 * 3600, "no more than 24 guesses a day"


def test_the_panel_as_a_whole_forgives_a_busy_day_and_slows_an_attack():
    assert wait_s(*after(20, PANEL)) == 0
    assert wait_s(*after(30, PANEL)) == PANEL.delays[-1] == 120, "no more than 720 guesses a day, over all flats"


def test_quiet_time_forgets():
    state, now = after(10, PIN)
    quiet = now + 3600 + PIN.forget_s
    assert failed(state, quiet - 1, PIN)[0] == 11
    assert failed(state, quiet, PIN)[0] == 1


def test_a_restart_shortens_nothing():
    state, _ = after(7, FACE)
    again = restored(state[0], 5, FACE)
    assert again[0] == 7 and wait_s(again, 5) == FACE.delays[6]
    assert restored(0, 5, FACE) == FRESH


def test_a_flat_under_lockout_leaves_the_other_flats_and_the_faces_alone():
    pins, faces = Attempts(PIN), Attempts(FACE)
    for _ in range(10):
        pins.failed("301", 100)
    assert pins.wait_s("301", 100) == 3600
    assert pins.wait_s("302", 100) == 0
    assert faces.wait_s("panel", 100) == 0
    pins.succeeded("301")
    assert pins.wait_s("301", 100) == 0 and pins.failures("301") == 0


def test_trying_many_flats_neither_fills_the_memory_nor_frees_the_one_under_attack():
    pins = Attempts(PIN, capacity=8)
    for _ in range(9):
        pins.failed("301", 0)
    for flat in range(1000):
        pins.failed(str(1000 + flat), 1)
    assert len(pins._states) == 8
    assert pins.failures("301") == 9
    assert pins.failed("301", 2) == 10


def test_what_a_panel_persisted_comes_back():
    pins = Attempts(PIN)
    pins.restore("301", 10, 50)
    assert pins.wait_s("301", 50) == 3600
    pins.restore("302", 0, 50)
    assert pins.wait_s("302", 50) == 0
