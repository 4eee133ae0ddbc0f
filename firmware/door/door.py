"""The door: released for a moment, locked at every other time.

Fail-secure: the lock holds unless it is driven, and it is driven for a bounded time. Whatever goes wrong
here, a failing contact or a cancelled task included, ends in a locked door. Leaving is not this module's to
grant or refuse: the exit button opens the lock by its own wiring, and is only observed so that leaving
raises no alarm.

`poll` returns events by name: 'released' 'relocked' 'opened' 'closed' 'exit', the alarms 'forced' (opened
while locked and nobody leaving) and 'held_open', and 'lock_fault' or 'contact_fault', once each until it
has gone.
"""

import asyncio

from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.base.ticks import ticks_add, ticks_diff, ticks_ms

MAX_RELEASE_MS = const(15_000)  # however often a release is asked for: strikes overheat, doors get forgotten
_EXIT_GRACE_MS = const(10_000)  # from the exit button to the door's opening
_RELOCK_GRACE_MS = const(500)
_POLL_MS = const(50)

ALARMS = ("forced", "held_open", "lock_fault", "contact_fault")


class Door:
    """`lock`, `contact` and `exit_button` are the HAL's; nothing here blocks."""

    def __init__(self, lock, contact, exit_button, release_ms: int = 5000, held_open_ms: int = 30_000):
        self._lock = lock
        self._contact = contact
        self._exit_button = exit_button
        self.set_release(release_ms)
        self._held_open_ms = held_open_ms
        self._pending = []  # events that arose between two polls
        self._faults = set()
        self._driven = True  # taken for driven until the first relock has succeeded
        self._locked_at = None
        self._relock_at = self._must_relock_at = 0
        self._closed = None
        self._opened_at = 0
        self._held_open = False
        self._exit_down = False
        self._exit_until = None
        self.relock()
        self._locked_at = None

    @property
    def released(self) -> bool:
        return self._driven

    def set_release(self, release_ms: int) -> None:
        self._release_ms = min(release_ms, MAX_RELEASE_MS)

    def release(self, now_ms: int) -> None:
        """Lets the door be opened from `now_ms` on for `release_ms`. Repeating it prolongs the release, but
        never beyond MAX_RELEASE_MS since the first.
        """
        if not self._driven:
            self._must_relock_at = ticks_add(now_ms, MAX_RELEASE_MS)
            if self._drive(True):
                self._pending.append("released")
        until = ticks_add(now_ms, self._release_ms)
        over = ticks_diff(until, self._must_relock_at) > 0
        self._locked_at = None
        self._relock_at = self._must_relock_at if over else until

    def relock(self, now_ms=None) -> None:
        """Locks now; a lock that does not obey is tried again at every poll."""
        if self._driven and self._drive(False):
            self._locked_at = ticks_ms() if now_ms is None else now_ms
            self._pending.append("relocked")

    def poll(self, now_ms: int) -> list:
        """Looks at the time, the contact and the exit button; the events since the last poll."""
        if self._driven and ticks_diff(now_ms, self._relock_at) >= 0:
            self.relock(now_ms)
        try:
            self._observe_exit(now_ms)
            self._observe_door(now_ms)
            self._faults.discard("contact_fault")
        except HalError:
            self._fault("contact_fault")  # the release still ends by its time, so residents still come in
        events, self._pending = self._pending, []
        return events

    async def run(self, on_event) -> None:
        """Polls until cancelled; the door is locked however this ends."""
        try:
            while True:
                for event in self.poll(ticks_ms()):
                    on_event(event)
                await asyncio.sleep_ms(_POLL_MS)
        finally:
            self.relock()

    def _drive(self, on: bool) -> bool:
        self._driven = True  # until the lock has confirmed the opposite
        try:
            self._lock.release(on)
        except HalError:
            self._fault("lock_fault")
            return False
        self._driven = on
        self._faults.discard("lock_fault")
        return True

    def _fault(self, name: str) -> None:
        if name not in self._faults:
            self._faults.add(name)
            self._pending.append(name)

    def _observe_exit(self, now_ms: int) -> None:
        down = self._exit_button.pressed()
        if down:
            self._exit_until = ticks_add(now_ms, _EXIT_GRACE_MS)
            if not self._exit_down:
                self._pending.append("exit")
        elif self._exit_until is not None and ticks_diff(now_ms, self._exit_until) >= 0:
            self._exit_until = None
        self._exit_down = down

    def _observe_door(self, now_ms: int) -> None:
        closed = self._contact.closed()
        if closed != self._closed:
            self._changed(closed, now_ms)
        elif not closed and not self._held_open and self._open_for(now_ms) >= self._held_open_ms:
            self._held_open = True
            self._pending.append("held_open")

    def _open_for(self, now_ms: int) -> int:
        return ticks_diff(now_ms, self._opened_at)

    def _changed(self, closed: bool, now_ms: int) -> None:
        first = self._closed is None
        self._closed = closed
        if closed:
            if not first:
                self._pending.append("closed")
                self.relock(now_ms)  # somebody came in: nobody else follows on the same release
            self._held_open = False
            return
        self._opened_at = now_ms
        if not first:  # a door that stands open at start was not seen to be forced
            self._pending.append("opened")
            if not self._may_open(now_ms):
                self._pending.append("forced")

    def _may_open(self, now_ms: int) -> bool:
        """Released, or just relocked (a hand was on the door already), or somebody is leaving."""
        if self._driven or self._exit_until is not None:
            return True
        return self._locked_at is not None and ticks_diff(now_ms, self._locked_at) < _RELOCK_GRACE_MS
