"""Watchdog and reset."""

from machine import WDT, Timer, reset

from firmware.base.compat import const

_FEED_MS = const(2000)
_LONG_MS = const(20_000)
_GRACE_FEEDS = const(2)  # the app, where it still runs, ends maintenance in order


class HardwareWatchdog:
    """The chip's task watchdog, which catches a loop that hangs in C as well. Nothing stops it once it runs: it
    outlives a soft reset, and only its time can be changed.

    The first feed arms it with _LONG_MS, every later one with `timeout_ms`. Between two feeds lie the supervisor's
    200 ms and what blocks meanwhile, by estimate and by the drivers' own limits: a picture 1,000 ms at most (its
    contract), a card's exchange 250 ms, a receipt's signature 600 ms, a block's erasure 100 ms, a step of a network or
    of a PIN less. What joins several of these, or loads a network, calls `relax` first. While the REPL is open the time
    is long, for a start-up after Ctrl-D, and a timer feeds, because nobody else does there.
    """

    timeout_ms = 2000  # older ports count whole seconds

    def __init__(self, timer: int = 1):
        self._wdt = None
        self._ms = 0
        self._timer_id = timer
        self._timer = None
        self._feeds = -1  # left before a restart; negative: without end

    def feed(self) -> None:
        self._arm(_LONG_MS if self._wdt is None or self._timer else self.timeout_ms)

    def relax(self) -> None:
        if self._wdt:
            self._arm(_LONG_MS)

    def hold(self, on: bool, seconds: int = 0) -> None:
        """On: it is fed by the timer, whatever the app does; after `seconds`, if any, the timer restarts the board."""
        if self._timer:
            self._timer.deinit()
            self._timer = None
        if on:
            self.relax()
            self._feeds = seconds * 1000 // _FEED_MS + _GRACE_FEEDS if seconds else -1
            self._timer = Timer(self._timer_id)
            self._timer.init(mode=Timer.PERIODIC, period=_FEED_MS, callback=self._feed_armed)

    def _arm(self, ms: int) -> None:
        """Making it anew changes the time of the one that there is."""
        if ms != self._ms:
            self._wdt = WDT(timeout=ms)
            self._ms = ms
        self._wdt.feed()

    def _feed_armed(self, _) -> None:
        if self._feeds == 0:
            reset()
        self._feeds -= 1
        if self._wdt:
            self._wdt.feed()
