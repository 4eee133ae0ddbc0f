"""What surrounds the panel: who stands before the camera, which keys and cards, the door, the time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firmware.hal.virtual import wire
from host_tools.sim.camera import Frame, Scene
from host_tools.sim.card import Card

_KEYS = frozenset("0123456789*#")
_STARVED = 20  # how many times its time-out the watchdog grants a panel that the PC gave no processor time
_EXPOSURE_STOPS = 0.5  # what a step of the sensor's exposure level is worth
_RTC_START = 946_684_800  # 2000-01-01, where a clock that was never set starts to count


class Fault(Exception):
    """A peripheral that fails; the panel sees a HalError with this sentence."""


class World:
    """Thread-safe. `on_reset`, `on_repl` and `cpu_s` (seconds of processor time that the panel has used, or None
    where nobody knows) are set by whoever runs the panel's process."""

    def __init__(self, rtc_file: Path | None = None) -> None:
        self._changed = threading.Condition()
        self._rtc_file = rtc_file
        self._rtc_offset = _read_offset(rtc_file)
        self.on_reset: Callable[[], object] = lambda: None
        self.on_repl: Callable[[bool], None] = lambda on: None
        self.cpu_s: Callable[[], float | None] = lambda: None
        self._scene = Scene(None)
        self._exposures = 0
        self._camera_cut = False
        self.last_frame: Frame | None = None
        self._card: Card | None = None
        self._card_leaves: float | None = None
        self.door_closed, self.exit_pressed, self.case_open = True, False, False
        self.fire_alarm, self.battery_low = False, False
        self.lock_log: list[dict[str, Any]] = []
        self.buzzer_log: list[dict[str, Any]] = []
        self.light_log: list[dict[str, Any]] = []
        self._switch_on()

    def _switch_on(self) -> None:
        self._powered_at = time.time()
        self._time_set = False
        self._keys = ""
        self._camera_on = True
        self._exposure = 0
        self._released = False
        self._repl_open = True
        self._repl_until: float | None = None
        self.light = "off"
        self._fed: tuple[float, float | None, float] | None = None  # when, by both clocks, and for how long
        self.display: bytes | None = None

    def power_cycle(self) -> None:
        """The panel restarts: its outputs fall to rest, and keys not yet read are lost."""
        with self._changed:
            if self._released:
                self._note_lock(False)
            self._switch_on()
            self._changed.notify_all()

    # What the panel does; called by the bus.

    def expose(self) -> Frame:
        with self._changed:
            if self._camera_cut:
                raise Fault("the camera does not answer")
            if not self._camera_on:
                raise Fault("the camera is switched off")
            scene, index = self._scene, self._exposures
            self._exposures += 1
        frame = scene.frame(index, 2.0 ** (self._exposure * _EXPOSURE_STOPS))
        self.last_frame = frame
        return frame

    def set_exposure(self, level: int) -> None:
        self._exposure = level

    def set_camera_power(self, on: bool) -> None:
        self._camera_on = on

    def take_keys(self) -> str:
        with self._changed:
            keys, self._keys = self._keys, ""
            return keys

    def card_uid(self) -> bytes:
        card = self._card_in_field()
        return card.uid if card else b""

    def card_transceive(self, apdu: bytes) -> bytes:
        card = self._card_in_field()
        if card is None:
            raise Fault("no card in the field")
        return card.transceive(apdu)

    def set_display(self, buffer: bytes) -> None:
        with self._changed:
            self.display = buffer
            self._changed.notify_all()

    def set_lock(self, released: bool) -> None:
        with self._changed:
            if released != self._released:
                self._note_lock(released)
            self._changed.notify_all()

    def inputs(self) -> int:
        bits = wire.DOOR_CLOSED if self.door_closed else 0
        bits |= wire.EXIT_PRESSED if self.exit_pressed else 0
        bits |= wire.CASE_OPEN if self.case_open else 0
        bits |= wire.FIRE if self.fire_alarm else 0
        return bits | (wire.BATTERY_LOW if self.battery_low else 0)

    def buzz(self, tone: str) -> None:
        with self._changed:
            self.buzzer_log.append({"time": time.time(), "tone": tone})
            self._changed.notify_all()

    def shine(self, name: str) -> None:
        with self._changed:
            if name != self.light:
                self.light = name
                self.light_log.append({"time": time.time(), "light": name})
            self._changed.notify_all()

    def now(self) -> tuple[int, int]:
        """(Unix seconds, source) as firmware/hal/api.py defines them."""
        with self._changed:
            if self._rtc_offset is None:
                return int(_RTC_START + time.time() - self._powered_at), 0
            return int(time.time() + self._rtc_offset), 2 if self._time_set else 1

    def set_time(self, unix: int) -> None:
        with self._changed:
            self._time_set = True
            self._set_offset(unix - time.time())

    def set_repl(self, on: bool, seconds: float = 0.0) -> None:
        """`seconds`: after them the board restarts, whatever runs on it; 0: never."""
        self._repl_open = on
        self._repl_until = time.monotonic() + seconds if on and seconds else None
        self.on_repl(on)

    def feed_watchdog(self, timeout_ms: int) -> None:
        self._fed = (time.monotonic(), self.cpu_s(), timeout_ms / 1000)

    def watchdog_bites(self) -> bool:
        if self._repl_until is not None and time.monotonic() >= self._repl_until:
            return True
        if self._fed is None or self._repl_open:
            return False
        at, cpu_at, timeout_s = self._fed
        waited = time.monotonic() - at
        cpu = self.cpu_s()
        if cpu is not None and cpu_at is not None and waited > timeout_s and cpu - cpu_at > timeout_s:
            return True
        return waited > _STARVED * timeout_s

    # What people and tests do.

    def show(self, scene: Scene) -> None:
        self._scene = scene

    def hasten(self, seconds: float) -> None:
        if self._repl_until is not None:
            self._repl_until -= seconds

    def cut_camera(self, cut: bool) -> None:
        self._camera_cut = cut

    def press(self, keys: str) -> None:
        if not keys or not set(keys) <= _KEYS:
            raise ValueError(f"{keys!r}: the keypad has 0 to 9, * and #")
        with self._changed:
            self._keys += keys

    def tap(self, card: Card | None, seconds: float | None = None) -> None:
        """Holds `card` to the reader, for `seconds` or until the next call; None takes it away."""
        with self._changed:
            if card:
                card.enter_field()
            self._card = card
            self._card_leaves = time.monotonic() + seconds if card and seconds is not None else None

    def step_clock(self, seconds: float) -> None:
        with self._changed:
            if self._rtc_offset is None:
                raise ValueError("the panel's clock was never set, so it cannot be stepped")
            self._set_offset(self._rtc_offset + seconds)

    @property
    def released(self) -> bool:
        return self._released

    @property
    def passable(self) -> bool:
        """Whether the lock lets somebody through: the panel released it, or the exit button, which is wired to it."""
        return self._released or self.exit_pressed

    def wait(self, happened: Callable[[], bool], timeout: float) -> bool:
        """Until `happened()` after a change of lock, display, buzzer or light, at most `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(happened, timeout)

    def _note_lock(self, released: bool) -> None:
        self._released = released
        self.lock_log.append({"time": time.time(), "released": released})

    def _card_in_field(self) -> Card | None:
        with self._changed:
            if self._card_leaves is not None and time.monotonic() > self._card_leaves:
                self._card = None
            return self._card

    def _set_offset(self, offset: float) -> None:
        self._rtc_offset = offset
        if self._rtc_file:
            self._rtc_file.write_text(json.dumps({"rtc_offset": offset}), encoding="utf-8")


def _read_offset(rtc_file: Path | None) -> float | None:
    if rtc_file is None or not rtc_file.exists():
        return None
    try:
        return float(json.loads(rtc_file.read_text(encoding="utf-8"))["rtc_offset"])
    except (ValueError, KeyError, TypeError):
        return None  # as a clock whose battery died
