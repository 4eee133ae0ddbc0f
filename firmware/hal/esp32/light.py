"""The light beside the tones: a WS2812 in colours, or a plain LED. It says nothing that tone and screen do not."""

from machine import Pin, bitstream

# (high, low) of a 0 and of a 1, in nanoseconds; from the WS2812B's data sheet, with its +-150 ns
_TIMING = (400, 850, 800, 450)
# Green, red, blue, as the chip wants them; dim, because people stand close. Granted and denied differ in blue as well,
# for who does not tell red from green.
_COLOURS = {
    "off": b"\x00\x00\x00",
    "ready": b"\x04\x04\x04",
    "working": b"\x10\x18\x00",
    "granted": b"\x40\x00\x20",
    "denied": b"\x00\x40\x00",
    "alarm": b"\x00\x80\x00",
}


class Pixel:
    def __init__(self, pin: int):
        self._pin = Pin(pin, Pin.OUT, value=0)
        self.show("off")

    def show(self, name: str) -> None:
        """About 30 us."""
        bitstream(self._pin, 0, _TIMING, _COLOURS[name])


class Lamp:
    """One LED says one thing: the door may be opened."""

    def __init__(self, pin: int):
        self._pin = Pin(pin, Pin.OUT, value=0)

    def show(self, name: str) -> None:
        self._pin.value(1 if name == "granted" else 0)
