"""A desk reader: the panel's own PN532 driver on a serial port, with a software chip and card behind it."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools.errors import Usage
from host_tools.personalise import personalise, slot_key
from host_tools.readers import card_file, serial_reader
from host_tools.sim.card import FACTORY_KEY, Card
from host_tools.sim.desfire import DesfireCard
from host_tools.sim.pn532 import Chip, UartFace

SITE_KEY, SITE_ID = bytes(range(16)), b"site-001"


class Desk:
    """A chip at the far end of a pseudo-terminal."""

    def __init__(self, card: Card | None) -> None:
        self.chip = Chip(card)
        self._face = UartFace(self.chip)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._running = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self._running:
            if select.select([self._master], [], [], 0.002)[0]:
                self._face.write(os.read(self._master, 4096))
            if waiting := self._face.any():
                os.write(self._master, self._face.read(waiting))

    def close(self) -> None:
        self._running = False
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture(params=[Card, DesfireCard])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    place = Desk(request.param.create())
    yield place
    place.close()


def test_a_factory_card_is_personalised_on_a_serial_port(desk: Desk) -> None:
    card = desk.chip.card
    with serial_reader(desk.port, wait_s=5) as reader:
        assert reader.uid == card.uid
        assert personalise(reader.transceive, reader.uid, SITE_KEY, SITE_ID)
    assert card.keys == [slot_key(SITE_KEY, SITE_ID, card.uid, slot) for slot in range(card.key_count)]
    with serial_reader(desk.port, wait_s=5) as reader:
        assert not personalise(reader.transceive, reader.uid, SITE_KEY, SITE_ID)


def test_a_card_taken_away_is_finished_when_it_comes_back(desk: Desk) -> None:
    card = desk.chip.card
    with serial_reader(desk.port, wait_s=5) as reader:
        asked = 0

        def transceive(apdu: bytes) -> bytes:
            nonlocal asked
            asked += 1
            if asked == 8:
                desk.chip.card = None
            return reader.transceive(apdu)

        with pytest.raises(Usage, match="taken away too early"):
            personalise(transceive, reader.uid, SITE_KEY, SITE_ID)
    desk.chip.card = card
    with serial_reader(desk.port, wait_s=5) as reader:
        personalise(reader.transceive, reader.uid, SITE_KEY, SITE_ID)
    assert card.keys == [slot_key(SITE_KEY, SITE_ID, card.uid, slot) for slot in range(card.key_count)]


def test_a_reader_without_a_card_says_so() -> None:
    place = Desk(None)
    try:
        with pytest.raises(Usage, match="no card was held to it"), serial_reader(place.port, wait_s=1):
            pass
        place.chip.hung = True
        with pytest.raises(Usage, match=r"no acknowledgement|does not answer"), serial_reader(place.port, wait_s=1):
            pass
    finally:
        place.close()


def test_a_port_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="There is no reader"), serial_reader(str(tmp_path / "tty")):
        pass


def test_a_card_file_keeps_what_was_written_even_when_the_work_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    with pytest.raises(RuntimeError), card_file(path) as reader:
        personalise(reader.transceive, reader.uid, SITE_KEY, SITE_ID)
        raise RuntimeError
    assert FACTORY_KEY not in Card.load(path).keys
    with card_file(tmp_path / "blank.json", desfire=True) as reader:
        personalise(reader.transceive, reader.uid, SITE_KEY, SITE_ID)
    assert isinstance(Card.load(tmp_path / "blank.json"), DesfireCard)
