"""The PN532's frames (NXP UM0701-02 section 6.2): built, and read with both checksums verified.

Information frame: 00 00 FF | LEN | LCS | TFI, data (LEN bytes) | DCS | 00, where LEN + LCS and the sum of TFI, data
and DCS are 0 modulo 256. TFI is D4 towards the chip and D5 from it.
"""

from firmware.base.compat import const
from firmware.base.errors import HalError

ACK = b"\x00\x00\xff\x00\xff\x00"
NAK = b"\x00\x00\xff\xff\x00\x00"

TO_CHIP = const(0xD4)
FROM_CHIP = const(0xD5)
MAX_DATA = 254  # LEN is a byte, and counts the TFI
OVERHEAD = 8  # of an information frame: bytes beyond its data and TFI

_SYNTAX_ERROR = const(0x7F)  # the TFI of the error frame


class FrameError(HalError):
    """What was read is no whole frame: noise, a wrong checksum, or a frame that is cut off."""


class Truncated(FrameError):
    """The frame is longer than what was read: `needed` bytes in all."""

    def __init__(self, needed: int):
        super().__init__("reader: frame cut off")
        self.needed = needed


def build(direction: int, data: bytes) -> bytes:
    length = len(data) + 1
    if length > 255:
        raise ValueError("data of %d bytes" % len(data))
    total = (direction + sum(data)) & 255
    head = bytes((0, 0, 255, length, -length & 255, direction))
    return head + bytes(data) + bytes((-total & 255, 0))


def parse(raw, direction: int = FROM_CHIP) -> tuple:
    """("ack", b""), ("nak", b""), ("error", b"") or ("data", data) for the first frame in `raw`.

    FrameError when there is none, Truncated when more of it must be read.
    """
    start = _start(raw)
    length, check = raw[start], raw[start + 1]
    if (length, check) == (0, 255):
        return "ack", b""
    if (length, check) == (255, 0):
        return "nak", b""
    if (length + check) & 255 or length == 0:
        raise FrameError("reader: wrong length checksum")
    end = start + 2 + length
    if len(raw) < end + 1:
        raise Truncated(end + 2)
    if sum(raw[start + 2 : end + 1]) & 255:
        raise FrameError("reader: wrong data checksum")
    if raw[start + 2] == _SYNTAX_ERROR:
        return "error", b""
    if raw[start + 2] != direction:
        raise FrameError("reader: frame in the wrong direction")
    return "data", bytes(raw[start + 3 : end])


def _start(raw) -> int:
    """Where the length stands, behind the start code 00 FF."""
    for at in range(len(raw) - 3):
        if raw[at] == 0 and raw[at + 1] == 255:
            return at + 2
    raise FrameError("reader: no frame")
