"""Failed attempts and the delays they cost: pure functions of a small state and time.

A state is (failures, free_at): consecutive failures and the second, on the caller's monotonic clock, from
which the next attempt counts. Only `failures` needs to survive a restart: `restored` then runs the last
delay again from its start, so that pulling the plug shortens nothing. No delay is for ever, so that a
vandal cannot shut a resident out, and each kind of credential has states of its own: a face lockout never
touches PIN or card.
"""

from collections import namedtuple

from firmware.base.compat import const

# `delays`: seconds of waiting after the 1st, 2nd, ... failure; the last one holds for all further failures.
# `forget_s`: after so long without a failure the count starts anew.
Rule = namedtuple("Rule", ("delays", "forget_s"))

# Five faces, whoever's, at one panel; PIN and card go on working meanwhile.
FACE = Rule((0, 0, 0, 0, 60, 120, 300, 600, 900), 3600)
# Ten PIN tries at one flat, then one an hour: at most 24 guesses a day.
PIN = Rule((0, 0, 2, 5, 10, 20, 30, 60, 120, 3600), 24 * 3600)
# All flats together, so that who knows many numbers has no more guesses: after twenty, one in two minutes at last.
PANEL = Rule((0,) * 20 + (2, 5, 10, 20, 30, 60, 120), 900)

FRESH = (0, 0)
_MAX_FAILURES = const(255)  # fits a byte in flash


def wait_s(state: tuple, now: int) -> int:
    """Seconds until the next attempt counts; 0 when it may be made now."""
    return max(0, state[1] - now)


def failed(state: tuple, now: int, rule: Rule) -> tuple:
    failures = 0 if _forgotten(state, now, rule) else state[0]
    return restored(min(failures + 1, _MAX_FAILURES), now, rule)


def restored(failures: int, now: int, rule: Rule) -> tuple:
    """The state after a restart: the delay of the last failure runs from the start."""
    if failures <= 0:
        return FRESH
    return failures, now + rule.delays[min(failures, len(rule.delays)) - 1]


def _forgotten(state: tuple, now: int, rule: Rule) -> bool:
    return state[0] == 0 or now >= state[1] + rule.forget_s


class Attempts:
    """The states of one kind of credential, by key: the flat's number for PINs, the panel itself for faces.

    At most `capacity` keys, so that trying flats that do not exist cannot fill the memory; the key with the
    fewest failures makes room. Unknown flats are counted like known ones: the delays tell nobody which
    flats exist.
    """

    def __init__(self, rule: Rule, capacity: int = 64):
        self._rule = rule
        self._capacity = capacity
        self._states = {}

    def wait_s(self, key, now: int) -> int:
        return wait_s(self._states.get(key, FRESH), now)

    def failed(self, key, now: int) -> int:
        """Counts a failure; the number of consecutive ones."""
        if key not in self._states and len(self._states) >= self._capacity:
            self._make_room(now)
        state = failed(self._states.get(key, FRESH), now, self._rule)
        self._states[key] = state
        return state[0]

    def succeeded(self, key) -> None:
        self._states.pop(key, None)

    def failures(self, key) -> int:
        """What to persist."""
        return self._states.get(key, FRESH)[0]

    def restore(self, key, failures: int, now: int) -> None:
        self._states[key] = restored(min(failures, _MAX_FAILURES), now, self._rule)

    def _make_room(self, now: int) -> None:
        def worth(key):
            state = self._states[key]
            return 0 if _forgotten(state, now, self._rule) else state[0]

        del self._states[min(self._states, key=worth)]
