"""The keypad's sequences: flat number '#', then PIN '#', '*' to go back; and the answer to a notice.

`poll` returns events, small tuples:

    ('typing', 'flat', '30')    what to show so far; for a PIN the count of digits alone: ('typing', 'pin', 3)
    ('flat', '301')             a flat was entered: a PIN may follow, the camera may look meanwhile
    ('pin', '301', bytearray)   flat and PIN; the buffer is the receiver's, who zeroes it
    ('refused', 'pin')          too few or too many digits: the field is empty again
    ('withdraw',)               '*' with nothing typed: somebody wants a face deleted; flat and PIN may follow
    ('cancel',)                 given up with '*' on an empty field
    ('timeout',)                given up by silence; a notice that is not answered is not accepted
    ('page', 1)                 of a notice, turned to with '8'
    ('accept',) ('decline',)    the answer to a notice: '#' on its last page, '*' on any
"""

from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.base.ticks import ticks_add, ticks_diff
from firmware.crypto.hmac import zero

FLAT_DIGITS = const(6)
PIN_MIN_DIGITS = const(6)
PIN_MAX_DIGITS = const(12)

ENTRY_TIMEOUT_MS = const(20_000)  # since the last key
NOTICE_TIMEOUT_MS = const(180_000)  # a notice is long, and reading it must not be hurried

_IDLE, _FLAT, _PIN, _NOTICE = const(0), const(1), const(2), const(3)


class KeypadEntry:
    """What has been typed so far. `keypad` is the HAL's; `poll` never blocks."""

    def __init__(self, keypad):
        self._keypad = keypad
        self._state = _IDLE
        self._flat = ""
        self._pin = bytearray(PIN_MAX_DIGITS)
        self._pin_digits = 0
        self._pages = self._page = 0
        self._deadline = 0

    @property
    def busy(self) -> bool:
        """Somebody is typing, or reading a notice."""
        return self._state != _IDLE

    def poll(self, now_ms: int) -> list:
        """The events since the last call; `now_ms` is of ticks_ms."""
        events = []
        for key in self._scan():
            self._key(key, events)
            timeout = NOTICE_TIMEOUT_MS if self._state == _NOTICE else ENTRY_TIMEOUT_MS
            self._deadline = ticks_add(now_ms, timeout)
        if self.busy and ticks_diff(now_ms, self._deadline) >= 0:
            self.reset()
            events.append(("timeout",))
        return events

    def _scan(self) -> str:
        try:
            return self._keypad.scan()
        except HalError:  # a keypad that fails types nothing; what was typed runs into its time-out
            return ""

    def reset(self) -> None:
        """Forgets what was typed, and any notice."""
        self._state = _IDLE
        self._flat = ""
        self._clear_pin()

    def ask(self, pages: int, now_ms: int) -> None:
        """From now on the keys answer a notice of `pages` pages; what was being typed is dropped."""
        self.reset()
        self._state = _NOTICE
        self._pages, self._page = pages, 0
        self._deadline = ticks_add(now_ms, NOTICE_TIMEOUT_MS)

    def _key(self, key: str, events: list) -> None:
        if self._state == _NOTICE:
            self._notice_key(key, events)
        elif self._state == _PIN:
            self._pin_key(key, events)
        else:
            self._flat_key(key, events)

    def _flat_key(self, key: str, events: list) -> None:
        if key.isdigit():
            self._state = _FLAT
            if len(self._flat) == FLAT_DIGITS:
                self._flat = ""
                events.append(("refused", "flat"))
                return
            self._flat += key
        elif self._state == _IDLE:
            if key == "*":
                self._state = _FLAT
                events.append(("withdraw",))
            return
        elif key == "#" and self._flat:
            self._state = _PIN
            events.append(("flat", self._flat))
            return
        elif key == "*":
            if not self._flat:
                self.reset()
                events.append(("cancel",))
                return
            self._flat = ""
        events.append(("typing", "flat", self._flat))

    def _pin_key(self, key: str, events: list) -> None:
        if key.isdigit():
            if self._pin_digits == PIN_MAX_DIGITS:  # never verify the first twelve of more digits
                self._refuse_pin(events)
                return
            self._pin[self._pin_digits] = ord(key)
            self._pin_digits += 1
        elif key == "#":
            self._pin_done(events)
            return
        elif key == "*":
            if not self._pin_digits:
                self.reset()
                events.append(("cancel",))
                return
            self._clear_pin()
        events.append(("typing", "pin", self._pin_digits))

    def _pin_done(self, events: list) -> None:
        if self._pin_digits < PIN_MIN_DIGITS:
            self._refuse_pin(events)
            return
        pin = bytearray(self._pin_digits)
        for i in range(self._pin_digits):  # a slice would leave a copy behind
            pin[i] = self._pin[i]
        events.append(("pin", self._flat, pin))
        self.reset()

    def _refuse_pin(self, events: list) -> None:
        self._clear_pin()
        events.append(("refused", "pin"))

    def _clear_pin(self) -> None:
        zero(self._pin)
        self._pin_digits = 0

    def _notice_key(self, key: str, events: list) -> None:
        if key == "*" or (key == "#" and self._page == self._pages - 1):
            self.reset()
            events.append(("decline",) if key == "*" else ("accept",))
        elif key == "8" and self._page < self._pages - 1:
            self._page += 1
            events.append(("page", self._page))
