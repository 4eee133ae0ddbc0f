"""Parsers with a defect each, to see that it is found. Runs on both Pythons."""

from firmware.access.schedule import Schedule
from firmware.base.errors import BadRequest, HalError
from firmware.credentials import nfc
from firmware.hal.drivers import pn532_frames
from tests.fuzz import targets as real


def crash(data: bytes) -> None:
    """A length that is believed."""
    try:
        pn532_frames.parse(data)
    except HalError:
        pass
    if len(data) > 3 and data[3] == len(data):
        data[data[3]]


def hang(data: bytes) -> None:
    """A cursor that a length of nothing does not move."""
    at = 0
    while at < len(data) and data[0] == 1:
        at += data[at]


def wrong_open(data: bytes) -> None:
    """A proof that nobody compares."""
    kept = nfc.constant_time_eq, nfc.CardReader._proves
    nfc.CardReader._proves = _proves_nothing
    try:
        real.nfc_apdu(data)
    finally:
        nfc.constant_time_eq, nfc.CardReader._proves = kept


def _proves_nothing(self, uid, key):
    return len(self._nfc.transceive(b"\x90\x71\x00\x00\x00")) == 18


def leak(data: bytes) -> None:
    """An error that says too much."""
    try:
        Schedule.unpack(data)
    except BadRequest as error:
        real.check_leak(str(error).encode() + (real.LINK_KEY if len(data) % 5 == 4 else b""))


def targets() -> list:
    frame = pn532_frames.build(pn532_frames.FROM_CHIP, b"\x4b\x01")
    return [
        ("crashes", 40, [frame], crash),
        ("hangs", 40, [b"\x01\x01\x01\x01"], hang),
        ("wrong_opens", 100, [bytes(16) + b"\x91\xaf|9100", b"9000|"], wrong_open),
        ("leaks", 40, [Schedule.always().pack()], leak),
    ]
