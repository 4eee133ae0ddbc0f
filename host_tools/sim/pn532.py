"""A software PN532, frame by frame (NXP UM0701-02), with a card in its field and faults to inject.

`Chip` is the chip itself; `I2cFace`, `SpiFace` and `UartFace` are its pins as `machine` objects would drive them. Plain
Python that MicroPython runs too, so that the driver is tried where it lives.
"""

from firmware.hal.drivers import pn532_frames as frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_FIRMWARE_VERSION, _SAM_CONFIGURATION, _RF_CONFIGURATION = 0x02, 0x14, 0x32
_IN_DATA_EXCHANGE, _IN_LIST_PASSIVE_TARGET = 0x40, 0x4A
_ERROR_FRAME = bytes.fromhex("0000FF01FF7F8100")
_TIMED_OUT, _WRONG_CONTEXT = 0x01, 0x27
_ATS = bytes.fromhex("067577810280")

_NO_DEVICE, _TIMED_OUT_ERRNO = 19, 110


class Chip:
    """`card` (uid, enter_field, transceive) is what lies in the field, or None.

    asleep    in power-down: deaf until woken
    hung      says nothing until reset()
    spoil     None, or what becomes of each frame that leaves the chip
    deaf_to   so many of the next frames are lost on the way to the chip
    """

    def __init__(self, card: "Any" = None, asleep: bool = True) -> None:
        self.card = card
        self.asleep = asleep
        self.hung = False
        self.spoil: Callable[[bytes], bytes] | None = None
        self.deaf_to = 0
        self.resets = 0
        self.commands: list[int] = []
        self._power_on()

    def _power_on(self) -> None:
        self._in = bytearray()
        self._out: list[bytes] = []
        self._last = b""
        self._listing = False
        self._target: Any = None
        self._field = False

    def reset(self, level: int) -> None:
        """The RSTPDN line."""
        if not level:
            self._power_on()
            self.hung = False
            self.asleep = False
            self.resets += 1

    def wake(self) -> None:
        self.asleep = False

    def feed(self, data: bytes) -> None:
        """Bytes from the host."""
        if self.asleep or self.hung:
            return
        self._in += data
        while True:
            try:
                kind, body = frames.parse(self._in, frames.TO_CHIP)
            except frames.Truncated:
                return
            except frames.FrameError:
                self._in = bytearray()  # garbled or a preamble: the host hears nothing and says it again
                return
            size = 6 if kind in ("ack", "nak") else len(body) + frames.OVERHEAD
            self._in = self._in[_start(self._in) + size :]
            if self.deaf_to:
                self.deaf_to -= 1
            else:
                self._hear(kind, body)

    def peek(self) -> bool:
        """Whether it has something to say."""
        if self.asleep or self.hung:
            return False
        if not self._out and self._listing and self.card is not None:
            self._found()
        return bool(self._out)

    def say(self) -> bytes:
        """The frame that is due."""
        frame = self._out.pop(0)
        return self.spoil(frame) if self.spoil else frame

    def _hear(self, kind: str, body: bytes) -> None:
        if kind == "ack":
            self._listing = False
            self._out = []
        elif kind == "nak":
            self._out = [self._last]
        elif kind == "data" and body:
            self._listing = False
            self._out = [frames.ACK]
            self.commands.append(body[0])
            self._carry_out(body[0], body[1:])

    def _carry_out(self, command: int, data: bytes) -> None:
        if command == _FIRMWARE_VERSION:
            self._reply(command, bytes((0x32, 1, 6, 7)))
        elif command == _SAM_CONFIGURATION:
            self._reply(command, b"")
        elif command == _RF_CONFIGURATION:
            if data[0] == 1 and not data[1] & 1:
                self._field, self._target = False, None
            self._reply(command, b"")
        elif command == _IN_LIST_PASSIVE_TARGET:
            self._field, self._listing = True, True
        elif command == _IN_DATA_EXCHANGE:
            self._reply(command, self._exchange(data[1:]))
        else:
            self._last = _ERROR_FRAME
            self._out.append(_ERROR_FRAME)

    def _exchange(self, apdu: bytes) -> bytes:
        if self._target is None:
            return bytes((_WRONG_CONTEXT,))
        if self._target is not self.card:
            return bytes((_TIMED_OUT,))
        return b"\0" + self.card.transceive(apdu)

    def _found(self) -> None:
        self._listing = False
        if self._target is self.card:
            return  # it was activated already and never lost its power: it stays silent
        self._target = self.card
        self._target.enter_field()
        uid = self._target.uid
        self._reply(_IN_LIST_PASSIVE_TARGET, b"\x01\x01\x03\x44\x20" + bytes((len(uid),)) + uid + _ATS)

    def _reply(self, command: int, data: bytes) -> None:
        self._last = frames.build(frames.FROM_CHIP, bytes((command + 1,)) + data)
        self._out.append(self._last)


def _start(data: bytearray) -> int:
    """Where the frame begins: at the 00 before its start code, or at the start code."""
    at = bytes(data).find(b"\x00\xff")
    return at - 1 if at > 0 and data[at - 1] == 0 else at


class I2cFace:
    """As machine.I2C. `stretches`: of the next transfers so many exceed the controller's patience."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.stretches = 0

    def writeto(self, address: int, data: bytes) -> None:
        self._address(address)
        self.chip.feed(data)

    def readfrom_into(self, address: int, buffer: bytearray) -> None:
        self._address(address)
        ready = self.chip.peek()
        buffer[0] = int(ready)
        if ready and len(buffer) > 1:
            _fill(buffer, 1, self.chip.say())

    def _address(self, address: int) -> None:
        if address != 0x24:
            raise OSError(_NO_DEVICE)
        if self.chip.asleep:
            self.chip.wake()
            raise OSError(_NO_DEVICE)
        if self.stretches:
            self.stretches -= 1
            raise OSError(_TIMED_OUT_ERRNO)


class SpiFace:
    """As machine.SPI, most significant bit first as controllers send; `cs` is the chip-select pin."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self._selected = False
        self._operation = 0

    def cs(self, level: int) -> None:
        if not level:
            self.chip.wake()
        self._selected = not level
        self._operation = 0

    def write(self, data: bytes) -> None:
        assert self._selected
        turned = bytes(_turned(b) for b in data)
        self._operation = turned[0]
        if self._operation == 1:
            self.chip.feed(turned[1:])

    def readinto(self, buffer: bytearray) -> None:
        assert self._selected
        if self._operation == 2:
            buffer[0] = _turned(int(self.chip.peek()))
        elif self._operation == 3:
            _fill(buffer, 0, bytes(_turned(b) for b in self.chip.say()) if self.chip.peek() else b"")


class UartFace:
    """As machine.UART. A long preamble wakes the chip; `noise` comes before the next frame that it sends."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.noise = b""
        self._line = bytearray()

    def write(self, data: bytes) -> None:
        if data[:2] == b"\x55\x55":
            self.chip.wake()
        else:
            self.chip.feed(data)

    def any(self) -> int:
        while self.chip.peek():
            self._line += self.noise + self.chip.say()
            self.noise = b""
        return len(self._line)

    def read(self, size: int) -> bytes:
        part, self._line = self._line[:size], self._line[size:]
        return bytes(part)


def _fill(buffer: bytearray, at: int, data: bytes) -> None:
    for i in range(at, len(buffer)):
        buffer[i] = data[i - at] if i - at < len(data) else 0


def _turned(byte: int) -> int:
    return sum((byte >> bit & 1) << 7 - bit for bit in range(8))
