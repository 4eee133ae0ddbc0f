"""NXP/Freescale MPR121, twelve touch electrodes over I2C: the contract of hal.api.Keypad (data sheet rev. 4, AN3944).

The chip filters and debounces; here one finger is one key. Water and palms touch several electrodes at once: what
begins together counts for nothing, and neither does anything else until all is let go.
A chip that lost its settings (a brown-out, an over-current) is set up again, and one that does not answer is a HalError
at once until the next try is due.
"""

from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.base.ticks import ticks_add, ticks_diff, ticks_ms

KEYS = "123456789*0#"
_RETRY_MS = const(1000)

_STATUS = const(0x00)  # two bytes: electrodes 0 to 11, bit 15 over-current
_ELECTRODES = const(0x0FFF)
_OVER_CURRENT = const(0x8000)
_CONTROL = const(0x5E)
_RUN = const(0xCC)  # baseline tracking from the first reading, twelve electrodes
_RESET, _RESET_NOW = const(0x80), const(0x63)

# (first register, values): what AN3944 recommends, thresholds for a front plate of 2 to 3 mm.
_SETUP = (
    (0x2B, b"\x01\x01\x00\x00\x01\x01\xff\x02\x00\x00\x00"),  # baseline filter: rising, falling, touched
    (0x41, b"\x0c\x06" * 12),  # touched from 12 counts below the baseline, released at 6
    (0x5B, b"\x22"),  # three readings in a row to touch, three to release
    (0x5C, b"\x10\x24"),  # 16 uA; 18 samples every 16 ms
    (0x7B, b"\x0b\x00"),  # automatic charge configuration
    (0x7D, b"\xc8\x82\xb4"),  # its limits at 3.3 V
)


class Mpr121Keypad:
    """`i2c` as machine.I2C at 400 kHz or below; `keys`: of the electrodes in order, "" ones are not wired."""

    def __init__(self, i2c, address: int = 0x5A, keys=KEYS, ticks=ticks_ms):
        self._i2c = i2c
        self._address = address
        self._keys = keys
        self._ticks = ticks
        self._status = bytearray(2)
        self._check = bytearray(1)
        self._up = False
        self._retry_at = ticks()
        self._down = 0
        self._refusing = False

    def scan(self) -> str:
        if not self._up and ticks_diff(self._ticks(), self._retry_at) < 0:
            raise HalError("the keypad does not answer")
        try:
            if not self._up:
                self._set_up()
            return self._pressed(self._read())
        except OSError as error:
            self._up = False
            self._retry_at = ticks_add(self._ticks(), _RETRY_MS)
            raise HalError("the keypad does not answer (%s)" % error)

    def _set_up(self) -> None:
        self._write(_RESET, bytes((_RESET_NOW,)))
        for register, values in _SETUP:
            self._write(register, values)
        self._write(_CONTROL, bytes((_RUN,)))
        self._up = True
        self._down = 0
        self._refusing = True  # a finger that is there already is not a press

    def _read(self) -> int:
        """The touched electrodes as bits; none while the chip must be set up again."""
        self._i2c.readfrom_mem_into(self._address, _STATUS, self._status)
        bits = self._status[0] | self._status[1] << 8
        self._i2c.readfrom_mem_into(self._address, _CONTROL, self._check)
        if bits & _OVER_CURRENT or self._check[0] != _RUN:
            self._up = False
            return 0
        return bits & _ELECTRODES

    def _pressed(self, touched: int) -> str:
        begun, self._down = touched & ~self._down, touched
        if not touched:
            self._refusing = False
            return ""
        if begun & (begun - 1):
            self._refusing = True
        if self._refusing or not begun:
            return ""
        number = 0
        while not begun >> number & 1:
            number += 1
        return self._keys[number] if number < len(self._keys) else ""

    def _write(self, register: int, values: bytes) -> None:
        self._i2c.writeto_mem(self._address, register, values)
