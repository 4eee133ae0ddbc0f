"""NXP PN532: the contract of hal.api.Nfc over any of pn532_buses (UM0701-02 section 7).

The chip looks for a card by itself; `poll` asks whether it has found one, and only that, so that an empty field costs a
few bytes. Between two cards the field goes off, which lets a card that stayed answer again.

A chip that says nothing, or nonsense, is woken, its command aborted, and after that reset where a line for it exists.
When that does not help `poll` raises HalError at once until the next try is due.
"""

from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.base.ticks import sleep_ms, ticks_add, ticks_diff, ticks_ms
from firmware.hal.drivers import pn532_frames as frames

_SAM_CONFIGURATION = const(0x14)
_RF_CONFIGURATION = const(0x32)
_IN_DATA_EXCHANGE = const(0x40)
_IN_LIST_PASSIVE_TARGET = const(0x4A)

_NORMAL_MODE = b"\x01\x14\x00"  # no security module; a limit of 1 s; no IRQ line
_FIELD_OFF = b"\x01\x00"
_RETRIES = b"\x05\xff\x01\xff"  # passive activation without end: the chip waits for a card
_ONE_ISO_14443_A = b"\x01\x00"
_STATUS_MASK = const(0x3F)
_UID_LENGTHS = (4, 7, 10)

_ACK_MS = const(30)  # the chip has 15
_SETUP_MS = const(50)
_EXCHANGE_MS = const(250)  # one APDU; a card of ours answers within 30
_LISTING_MS = const(1500)  # then the chip is asked anew, which tells an empty field from a dead chip
_RESET_MS = const(10)
_REPEATS = const(2)  # of a frame that arrived garbled, either way
_RETRY_MS = (0, 500, 2000, 5000)  # after the 1st, 2nd, ... failed start
_READ_BYTES = const(96)  # more than any answer here; longer ones are read again


class Pn532:
    """`bus` of pn532_buses; `reset` the chip's RSTPDN line as machine.Pin, an output, if there is one."""

    def __init__(self, bus, reset=None, sleep=sleep_ms, ticks=ticks_ms):
        self._bus = bus
        self._reset = reset
        self._sleep = sleep
        self._ticks = ticks
        self._up = False
        self._failures = 0
        self._retry_at = ticks()
        self._listing_since = None
        self._card = False  # one is activated and can be spoken to
        self._spent = True  # one may be in the field that answers only after a loss of power

    def poll(self):
        """The UID of a card that the chip has found since the last call, or None; as hal.api.Nfc."""
        self._ensure_up()
        try:
            return self._look()
        except HalError:
            self._down()
            raise

    def transceive(self, apdu: bytes) -> bytes:
        if not self._card:
            raise HalError("no card in the field")
        try:
            answer = self._command(_IN_DATA_EXCHANGE, b"\x01" + bytes(apdu), _EXCHANGE_MS)
        except HalError:
            self._down()
            raise
        if len(answer) < 3 or answer[0] & _STATUS_MASK or answer[0] > _STATUS_MASK:
            raise HalError("card gone")
        return answer[1:]

    # Looking for a card

    def _look(self):
        if self._listing_since is None:
            self._list()
            return None
        raw = self._bus.receive(_READ_BYTES)
        if raw is None:
            if ticks_diff(self._ticks(), self._listing_since) > _LISTING_MS:
                self._abort()
                self._list()
            return None
        self._listing_since = None
        found = self._answer(_IN_LIST_PASSIVE_TARGET, raw, _SETUP_MS)
        if not found or found[0] != 1:
            return None
        uid = _uid(found)
        self._card = self._spent = True
        return uid

    def _list(self) -> None:
        self._card = False
        if self._spent:
            self._command(_RF_CONFIGURATION, _FIELD_OFF, _SETUP_MS)
            self._spent = False
        self._send(_IN_LIST_PASSIVE_TARGET, _ONE_ISO_14443_A)
        self._listing_since = self._ticks()

    # Starting and recovering

    def _ensure_up(self) -> None:
        if self._up:
            return
        if ticks_diff(self._ticks(), self._retry_at) < 0:
            raise HalError("the reader does not answer")
        try:
            self._start()
        except HalError:
            self._failures = min(self._failures + 1, len(_RETRY_MS) - 1)
            self._retry_at = ticks_add(self._ticks(), _RETRY_MS[self._failures])
            raise
        self._up = True
        self._failures = 0

    def _start(self) -> None:
        try:
            self._configure()
        except HalError:
            if self._reset is None:
                raise
            self._reset(0)
            self._sleep(_RESET_MS)
            self._reset(1)
            self._sleep(_RESET_MS)
            self._configure()

    def _configure(self) -> None:
        self._bus.wake()
        self._abort()
        self._command(_SAM_CONFIGURATION, _NORMAL_MODE, _SETUP_MS)
        self._command(_RF_CONFIGURATION, _RETRIES, _SETUP_MS)

    def _down(self) -> None:
        """The next poll starts the chip anew."""
        self._up = False
        self._listing_since = None
        self._card = False
        self._spent = True
        self._retry_at = self._ticks()

    def _abort(self) -> None:
        """An ACK makes the chip drop what it is doing."""
        self._bus.write(frames.ACK)
        self._sleep(1)
        self._listing_since = None

    # Commands

    def _command(self, code: int, data: bytes, timeout_ms: int) -> bytes:
        self._send(code, data)
        return self._answer(code, self._await(timeout_ms), timeout_ms)

    def _send(self, code: int, data: bytes) -> None:
        """Until the chip has acknowledged the frame."""
        frame = frames.build(frames.TO_CHIP, bytes((code,)) + data)
        reason = "refused"
        for _ in range(1 + _REPEATS):
            self._bus.write(frame)
            try:
                if frames.parse(self._await(_ACK_MS, len(frames.ACK)))[0] == "ack":
                    return
            except HalError as error:
                reason = error
        raise HalError("reader: no acknowledgement (%s)" % reason)

    def _answer(self, code: int, raw, timeout_ms: int) -> bytes:
        """What `raw` answers to command `code`; garbled, the chip sends it again upon a NAK."""
        for _ in range(_REPEATS):
            size = _READ_BYTES
            try:
                return _data(code, raw)
            except frames.Truncated as error:
                size = error.needed
            except frames.FrameError:
                pass
            self._bus.write(frames.NAK)
            raw = self._await(timeout_ms, size)
        return _data(code, raw)

    def _await(self, timeout_ms: int, size: int = _READ_BYTES):
        deadline = ticks_add(self._ticks(), timeout_ms)
        while True:
            raw = self._bus.receive(size)
            if raw is not None:
                return raw
            if ticks_diff(self._ticks(), deadline) >= 0:
                raise HalError("reader: no answer")
            self._sleep(1)


def _data(code: int, raw) -> bytes:
    kind, data = frames.parse(raw)
    if kind != "data" or data[:1] != bytes((code + 1,)):
        raise HalError("reader: refused a command")
    return data[1:]


def _uid(found: bytes):
    """Of the one target listed: number, SENS_RES 2, SEL_RES, length of the UID, UID, ATS."""
    length = found[5] if len(found) > 5 else 0
    if length not in _UID_LENGTHS or len(found) < 6 + length:
        raise HalError("reader: a card that is none")
    return found[6 : 6 + length]
