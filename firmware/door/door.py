"""The door: released for a moment, locked at every other time, and open while the building is on fire.

It is released for a bounded time. Whatever goes wrong here, a failing contact or a cancelled task included, ends
in a locked door. Leaving is not this module's to grant or refuse: the exit button opens the lock by its own
wiring, and is only observed so that leaving raises no alarm.

`poll` returns events by name: 'released' 'relocked' 'opened' 'closed' 'exit', the alarms 'forced' (opened
while locked and nobody leaving) and 'held_open', 'fire' and 'fire_over', 'tamper' (the panel's case is open)
and 'tamper_over'; and 'lock_fault', 'contact_fault', 'fire_fault' or 'tamper_fault', once each until it has gone.
"""

import asyncio

from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.base.ticks import ticks_add, ticks_diff, ticks_ms

MAX_RELEASE_MS = const(15_000)  # however often a release is asked for: strikes overheat, doors get forgotten
_EXIT_GRACE_MS = const(10_000)  # from the exit button to the door's opening
_RELOCK_GRACE_MS = const(500)
_POLL_MS = const(50)

_FAULTS = ("lock_fault", "contact_fault", "fire_fault", "tamper_fault")
ALARMS_OVER = ("fire_over", "tamper_over")
ALARMS = ("forced", "held_open", "fire", "tamper") + _FAULTS


class Door:
    """`lock` is a driver of locks.py; the inputs are the HAL's, `fire` and `tamper` where there are any. Nothing
    here blocks.
    """

    def __init__(
        self, lock, contact, exit_button, release_ms: int = 5000, held_open_ms: int = 30_000, fire=None, tamper=None
    ):
        self._lock = lock
        self._fire = fire
        self._tamper = tamper
        self._fire_on = self._case_open = False
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
        self._release_ms = min(release_ms, MAX_RELEASE_MS, self._lock.max_on_ms)

    def release(self, now_ms: int) -> None:
        """Lets the door be opened from `now_ms` on for `release_ms`. Repeating it prolongs the release, but
        never beyond MAX_RELEASE_MS since the first.
        """
        if not self._driven:
            longest_ms = min(MAX_RELEASE_MS, self._lock.max_on_ms)
            self._must_relock_at = ticks_add(now_ms, longest_ms)
            if self._drive(True, now_ms):
                self._pending.append("released")
        until = ticks_add(now_ms, self._release_ms)
        over = ticks_diff(until, self._must_relock_at) > 0
        self._locked_at = None
        self._relock_at = self._must_relock_at if over else until

    def relock(self, now_ms=None) -> None:
        """Locks now, unless there is a fire; a lock that does not obey is tried again at every poll."""
        now_ms = ticks_ms() if now_ms is None else now_ms
        if self._driven and not self._fire_on and self._drive(False, now_ms):
            self._locked_at = now_ms
            self._pending.append("relocked")

    def poll(self, now_ms: int) -> list:
        """Looks at the time and the inputs; the events since the last poll."""
        if self._driven and ticks_diff(now_ms, self._relock_at) >= 0:
            self.relock(now_ms)
        if self._fire:
            self._guarded("fire_fault", self._observe_fire, now_ms)
        self._guarded("lock_fault", self._tend_lock, now_ms)
        # A failing contact: the release still ends by its time, so residents still come in.
        self._guarded("contact_fault", self._observe_contacts, now_ms)
        if self._tamper:
            self._guarded("tamper_fault", self._observe_case, now_ms)
        events, self._pending = self._pending, []
        return events

    def _guarded(self, fault: str, look, now_ms: int) -> None:
        try:
            look(now_ms)
        except HalError:
            self._fault(fault)
            return
        if fault != "lock_fault":  # the lock's is over when it obeys
            self._faults.discard(fault)

    def _tend_lock(self, now_ms: int) -> None:
        if not self._lock.poll(now_ms):
            self.relock(now_ms)

    def _observe_contacts(self, now_ms: int) -> None:
        self._observe_exit(now_ms)
        self._observe_door(now_ms)

    def _observe_fire(self, now_ms: int) -> None:
        on = self._fire.alarm()
        if on == self._fire_on:
            return
        if on:
            self._driven = True
            self._lock.hold_open(now_ms)  # when it fails, the next poll tries again
        self._fire_on = on
        self._pending.append("fire" if on else "fire_over")
        if not on:
            self.relock(now_ms)

    def _observe_case(self, now_ms: int) -> None:
        is_open = self._tamper.open()
        if is_open != self._case_open:
            self._case_open = is_open
            self._pending.append("tamper" if is_open else "tamper_over")

    async def run(self, on_event, beat=None) -> None:
        """Polls until cancelled, calling `beat` each time; the door is locked however this ends."""
        try:
            while True:
                if beat:
                    beat()
                for event in self.poll(ticks_ms()):
                    on_event(event)
                await asyncio.sleep_ms(_POLL_MS)
        finally:
            self.relock()

    def _drive(self, on: bool, now_ms: int) -> bool:
        self._driven = True  # until the lock has confirmed the opposite
        try:
            self._lock.release(on, now_ms)
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
        elif self._fire_on:
            self._opened_at = now_ms  # a door held open in a fire is as it should be
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
        if self._driven or self._fire_on or self._exit_until is not None:
            return True
        return self._locked_at is not None and ticks_diff(now_ms, self._locked_at) < _RELOCK_GRACE_MS
