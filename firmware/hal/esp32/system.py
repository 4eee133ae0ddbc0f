"""Watchdog and reset."""

from machine import WDT, Timer

from firmware.base.compat import const

_FEED_MS = const(2000)


class HardwareWatchdog:
    """The chip's task watchdog, which nothing stops once it runs: it outlives a soft reset, so the timeout covers a
    whole start-up. While the REPL is open a timer feeds it, because nobody else does there."""

    timeout_ms = 20_000

    def __init__(self, timer: int = 1):
        self._wdt = None
        self._timer_id = timer
        self._timer = None

    def feed(self) -> None:
        if self._wdt is None:
            self._wdt = WDT(timeout=self.timeout_ms)
        self._wdt.feed()

    def hold(self, on: bool) -> None:
        """On: it is fed by the timer, whatever the app does."""
        if self._timer:
            self._timer.deinit()
            self._timer = None
        if on:
            self._timer = Timer(self._timer_id)
            self._timer.init(mode=Timer.PERIODIC, period=_FEED_MS, callback=self._feed_armed)

    def _feed_armed(self, _) -> None:
        if self._wdt:
            self._wdt.feed()
