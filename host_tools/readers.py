"""Where a card is while it is personalised: in a file, at a PN532 on this computer, or at a panel's own reader.

Each is a context manager that gives a `Reader`. Usage when no card is held to it in time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import serial

from firmware.base.errors import HalError
from firmware.hal.drivers.pn532 import Pn532
from firmware.hal.drivers.pn532_buses import UartBus
from host_tools.errors import HostError, RefusedByPanel, Usage
from host_tools.sim.card import Card
from host_tools.sim.desfire import DesfireCard
from host_tools.site import Panel

_BAUD = 115_200
_POLL_S = 0.03


@dataclass(frozen=True)
class Reader:
    """A card in the field: its UID as the radio tells it, and the way to talk to it (HalError when it is gone)."""

    uid: bytes
    transceive: Callable[[bytes], bytes]


@contextmanager
def card_file(path: Path, *, desfire: bool = False) -> Iterator[Reader]:
    """The virtual card in `path`, fresh from the factory where there is none. It keeps what was written to it."""
    if path.exists():
        try:
            card = Card.load(path)
        except (OSError, ValueError) as error:
            raise Usage(f"{path} is not a card: {error}.") from error
    else:
        card = (DesfireCard if desfire else Card).create()
    _save(card, path)
    try:
        yield Reader(card.uid, card.transceive)
    finally:
        _save(card, path)


@contextmanager
def serial_reader(port: str, wait_s: int = 30) -> Iterator[Reader]:
    """A PN532 on a serial port of this computer."""
    try:
        line = serial.serial_for_url(port, _BAUD, timeout=0)
    except (serial.SerialException, OSError, ValueError) as error:
        raise Usage(f"There is no reader on {port}: {error}.") from error
    with line:
        chip = Pn532(UartBus(_Uart(line)))
        yield Reader(_wait(chip, port, wait_s), chip.transceive)


class _Uart:
    """A pyserial port as the driver drives machine.UART."""

    def __init__(self, line: serial.SerialBase) -> None:
        self._line = line

    def any(self) -> int:
        return int(self._line.in_waiting)

    def read(self, size: int) -> bytes:
        return bytes(self._line.read(size))

    def write(self, data: bytes) -> None:
        self._line.write(data)


def _wait(chip: Pn532, port: str, wait_s: int) -> bytes:
    deadline = time.monotonic() + wait_s
    problem = "no card was held to it"
    while time.monotonic() < deadline:
        try:
            if uid := chip.poll():
                return bytes(uid)
            problem = "no card was held to it"
        except HalError as error:
            problem = str(error)
        time.sleep(_POLL_S)
    raise Usage(f"The reader on {port} has no card after {wait_s} s: {problem}.")


@contextmanager
def panel_reader(panel: Panel, wait_s: int = 30) -> Iterator[Reader]:
    """The reader of a panel: it passes the card's commands on and learns none of the keys in them."""
    try:
        uid = panel.request("card_wait", timeout_s=wait_s + 5.0, wait_s=wait_s)["uid"]
    except RefusedByPanel as error:
        raise Usage(f"{panel.name} has no card: {error}") from error
    try:
        yield Reader(uid, lambda apdu: _through(panel, apdu))
    finally:
        with suppress(HostError):
            panel.request("card_done")


def _through(panel: Panel, apdu: bytes) -> bytes:
    try:
        return bytes(panel.request("card_apdu", apdu=apdu)["answer"])
    except RefusedByPanel as error:
        raise HalError(str(error)) from error


def _save(card: Card, path: Path) -> None:
    try:
        card.save(path)
    except OSError as error:
        raise Usage(f"The card cannot be written to {path}: {error.strerror}.") from error
