"""Lock drivers over a board's outputs, each with what its coil or motor can bear.

| kind   | released by                 | without power        | on fire                                        |
|--------|-----------------------------|----------------------|------------------------------------------------|
| strike | current, fail-secure        | locked from outside  | pulses; the inside handle opens it mechanically |
| magnet | no current, fail-safe       | open                 | current off until the alarm is over            |
| motor  | a run of the motor          | stays as it is       | driven open once; the inside handle opens it    |

An output is a HAL lock: `release(True)` pulls the relay. A strike hangs on the relay's normally open contact, a magnet
on the normally closed one, so that a panel in reset, or dead, leaves either as the table says: mains without a panel
means locked, no mains means what the lock itself is. The exit button and a magnet's fire contact lie in the lock's own
circuit, outside the panel's reach.
"""

from firmware.base.compat import const
from firmware.base.ticks import ticks_add, ticks_diff

KINDS = ("strike", "magnet", "motor")

_STRIKE_ON_MS = const(15_000)  # strikes for intermittent duty burn out when driven longer
_STRIKE_REST_MS = const(15_000)
_MOTOR_RUN_MS = const(1500)  # from one end to the other, with what cold grease takes
_MAGNET_MS = const(600_000)  # no coil to save: a bound all the same


def build(kind: str, output, back=None):
    """The driver of `kind`; `back` is the second output, which drives a motor shut. A kind that lacks its outputs is
    driven as a strike, which no wiring can keep released."""
    if kind == "magnet":
        return Magnet(output)
    if kind == "motor" and back is not None:
        return Motor(output, back)
    return Strike(output)


class Strike:
    """Released while driven; never driven for longer than `max_on_ms` at a time, whatever is asked."""

    kind = "strike"
    without_power = "locked"

    def __init__(self, output, max_on_ms: int = _STRIKE_ON_MS):
        self._output = output
        self.max_on_ms = max_on_ms
        self._since = None  # driven since
        self._pulsing = False
        self._rest_until = None

    def release(self, on: bool, now_ms: int) -> None:
        self._output.release(on)
        if not on:
            self._since = None
            self._pulsing = False
        elif self._since is None:
            self._since = now_ms

    def hold_open(self, now_ms: int) -> None:
        """The door shall open until `release(False)`, as long as the coil can bear at a time."""
        self.release(True, now_ms)
        self._pulsing = True

    def poll(self, now_ms: int) -> bool:
        """Keeps the coil within its time; False when it had to be switched off."""
        if self._since is not None and ticks_diff(now_ms, self._since) >= self.max_on_ms:
            self._output.release(False)
            self._since = None
            self._rest_until = ticks_add(now_ms, _STRIKE_REST_MS)
            return self._pulsing
        if self._pulsing and self._since is None and ticks_diff(now_ms, self._rest_until) >= 0:
            self._output.release(True)
            self._since = now_ms
        return True


class Magnet:
    """Holds while it has current, which the relay takes away; nothing overheats when it is released."""

    kind = "magnet"
    without_power = "open"
    max_on_ms = _MAGNET_MS

    def __init__(self, output):
        self._output = output

    def release(self, on: bool, now_ms: int) -> None:
        self._output.release(on)

    def hold_open(self, now_ms: int) -> None:
        self._output.release(True)

    def poll(self, now_ms: int) -> bool:
        return True


class Motor:
    """Runs to one end or the other and stops; the two outputs are never on together."""

    kind = "motor"
    without_power = "as it was"
    max_on_ms = _MAGNET_MS

    def __init__(self, output, back, run_ms: int = _MOTOR_RUN_MS):
        self._outputs = {True: output, False: back}
        self._run_ms = run_ms
        self._since = None
        self._wanted = None

    def release(self, on: bool, now_ms: int) -> None:
        self._outputs[not on].release(False)
        if on != self._wanted:
            self._outputs[on].release(True)
            self._wanted = on
            self._since = now_ms

    def hold_open(self, now_ms: int) -> None:
        self.release(True, now_ms)

    def poll(self, now_ms: int) -> bool:
        if self._since is not None and ticks_diff(now_ms, self._since) >= self._run_ms:
            self._outputs[self._wanted].release(False)
            self._since = None
        return True
