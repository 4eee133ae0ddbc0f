"""Where a card is while it is personalised: in a file, at a PN532 on this computer, or at a panel's own reader.

Each is a context manager that gives a `Reader`. NoCard (Usage) when none is held to it in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import Usage
from host_tools.sim.card import Card
from host_tools.sim.desfire import DesfireCard


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


def _save(card: Card, path: Path) -> None:
    try:
        card.save(path)
    except OSError as error:
        raise Usage(f"The card cannot be written to {path}: {error.strerror}.") from error
