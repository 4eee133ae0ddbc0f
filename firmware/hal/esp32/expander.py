"""A PCF8574 port expander, for boards with too few pins: eight quasi-bidirectional inputs on I2C."""

from firmware.base.compat import const

_ADDRESS = const(0x20)


class Pcf8574:
    """An expander that does not answer reads as eight open contacts: door and case open, nobody at the exit button."""

    def __init__(self, i2c, address: int = _ADDRESS):
        self._i2c, self._address = i2c, address
        self._port = bytearray(b"\xff")
        try:
            i2c.writeto(address, self._port)  # ones make inputs, weakly pulled up
        except OSError:
            pass  # it may still come: each reading asks again

    def pin(self, number: int):
        return _ExpanderPin(self, 1 << number)

    def bits(self) -> int:
        try:
            self._i2c.readfrom_into(self._address, self._port)
        except OSError:
            return 0xFF
        return self._port[0]


class _ExpanderPin:
    """Reads as a machine.Pin does."""

    def __init__(self, port, mask: int):
        self._port, self._mask = port, mask

    def value(self) -> int:
        return 1 if self._port.bits() & self._mask else 0
