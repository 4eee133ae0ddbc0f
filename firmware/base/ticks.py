"""Monotonic milliseconds that are right across the 2**30 wrap of MicroPython's tick counter."""

import time

if hasattr(time, "ticks_ms"):
    ticks_ms = time.ticks_ms
    ticks_us = time.ticks_us
    ticks_add = time.ticks_add
    ticks_diff = time.ticks_diff
    sleep_ms = time.sleep_ms
else:

    def ticks_ms() -> int:
        return time.monotonic_ns() // 1_000_000

    def ticks_us() -> int:
        return time.monotonic_ns() // 1_000

    def ticks_add(ticks: int, delta: int) -> int:
        return ticks + delta

    def ticks_diff(later: int, earlier: int) -> int:
        return later - earlier

    def sleep_ms(ms: int) -> None:
        time.sleep(ms / 1000)


class Uptime:
    """Seconds since start that never wrap, as long as it is asked at least once in six days."""

    def __init__(self):
        self._last = ticks_ms()
        self._ms = 0

    def seconds(self) -> int:
        now = ticks_ms()
        self._ms += ticks_diff(now, self._last)
        self._last = now
        return self._ms // 1000
