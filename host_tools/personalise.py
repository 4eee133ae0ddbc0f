"""Personalising a card: every key that the factory or an earlier run left on it becomes the site's.

The card is whatever answers `transceive(apdu)`: a file, a PN532 at a desk, a panel that lends its reader. A cut at any
point leaves a card that the same call finishes: the master key is changed last.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from firmware.base.errors import AuthError, HalError
from firmware.credentials.diversify import card_key
from firmware.credentials.ntag424 import AID, DOOR_KEY, MASTER_KEY, CardError, Session, apdu, authenticate, select
from firmware.crypto.aes import cmac
from host_tools.errors import Usage

Transceive = Callable[[bytes], bytes]

_FACTORY_KEY = bytes(16)
_KEY_VERSION = 1
_GET_VERSION, _MORE_FRAME, _SELECT_APPLICATION, _CREATE_APPLICATION = 0x60, 0xAF, 0x5A, 0xCA
_OK = bytes.fromhex("9100")
_NOT_FOUND, _INTEGRITY_ERROR = bytes.fromhex("6A82"), bytes.fromhex("911E")

# GetVersion's type of hardware: how many keys a card of that type gets.
_NTAG, _DESFIRE = 0x04, 0x01
_KEYS = {_NTAG: 5, _DESFIRE: 2}
# AID; only the master key changes, lists or deletes anything; AES with an ISO name; ISO file identifier.
_APPLICATION = bytes.fromhex("4E454D") + bytes([0x09, 0xA0 | _KEYS[_DESFIRE]]) + bytes.fromhex("10E1") + AID


def slot_key(site_key: bytes, site_id: bytes, uid: bytes, slot: int) -> bytes:
    """The key that the card `uid` has in `slot`: NXP AN10922 from the site's key."""
    return card_key(cmac, site_key, uid, AID, site_id + bytes([slot]))


def personalise(transceive: Transceive, uid: bytes, site_key: bytes, site_id: bytes) -> bool:
    """Whether the card was still the factory's. Usage: a card of another site, or none that can be personalised."""
    try:
        return _personalise(transceive, uid, site_key, site_id)
    except CardError as error:
        status = error.status.hex() or "an answer too short"
        raise Usage(f"This card cannot be personalised: {error} ({status}).") from error
    except AuthError as error:
        raise Usage("The card's answers are not its own. Hold it alone to the reader, then try again.") from error
    except HalError as error:
        raise Usage(f"The card was taken away too early ({error}). Hold it again: the work goes on.") from error


def _personalise(transceive: Transceive, uid: bytes, site_key: bytes, site_id: bytes) -> bool:
    count = _KEYS.get(_hardware(transceive, uid))
    if count is None:
        raise Usage("Only NTAG 424 DNA and DESFire EV2 or EV3 cards can be personalised.")
    keys = [slot_key(site_key, site_id, uid, slot) for slot in range(count)]
    _select(transceive, blank_allowed=count == _KEYS[_DESFIRE])
    session, fresh = _as_master(transceive, keys[MASTER_KEY])
    if fresh:
        for slot in range(1, count):
            session = _change(transceive, session, slot, keys[slot])
        session.change_key(MASTER_KEY, keys[MASTER_KEY], _FACTORY_KEY, _KEY_VERSION)
    session.close()
    _verify(transceive, uid, keys[DOOR_KEY])
    return fresh


def _hardware(transceive: Transceive, uid: bytes) -> int:
    frames = []
    command = _GET_VERSION
    for _ in range(3):
        answer = transceive(apdu(command))
        frames.append(answer[:-2])
        command = _MORE_FRAME
    if answer[-2:] != _OK or len(frames[0]) < 2 or frames[2][:7] != uid:
        raise CardError("it does not say what it is", answer[-2:])
    return frames[0][1]


def _select(transceive: Transceive, *, blank_allowed: bool) -> None:
    try:
        select(transceive)
    except CardError as error:
        if error.status != _NOT_FOUND or not blank_allowed:
            raise
        _expect(transceive(apdu(_SELECT_APPLICATION, bytes(3))))
        _expect(transceive(apdu(_CREATE_APPLICATION, _APPLICATION)))
        select(transceive)


def _expect(answer: bytes) -> None:
    if answer != _OK:
        raise CardError("it refuses a new application", answer[-2:])


def _as_master(transceive: Transceive, ours: bytes) -> tuple[Session, bool]:
    """A session of the master key, and whether that key is still the factory's."""
    for key in (_FACTORY_KEY, ours):
        try:
            return _authenticate(transceive, key, MASTER_KEY), key == _FACTORY_KEY
        except AuthError:
            continue
    raise Usage("This card belongs to another site, or has keys of its own. Take a new one.")


def _change(transceive: Transceive, session: Session, slot: int, new: bytes) -> Session:
    """Changes one key from the factory's, or from ours where an earlier run was cut; the session to go on with."""
    try:
        session.change_key(slot, new, _FACTORY_KEY, _KEY_VERSION)
        return session
    except CardError as error:
        if error.status != _INTEGRITY_ERROR:
            raise
    session.close()
    session = _authenticate(transceive, _FACTORY_KEY, MASTER_KEY)
    session.change_key(slot, new, new, _KEY_VERSION)
    return session


def _verify(transceive: Transceive, uid: bytes, key: bytes) -> None:
    """As the door will ask."""
    select(transceive)
    session = _authenticate(transceive, key, DOOR_KEY)
    if session.uid() != uid:
        raise AuthError("another UID")
    session.close()


def _authenticate(transceive: Transceive, key: bytes, slot: int) -> Session:
    return authenticate(transceive, key, slot, secrets.token_bytes(16))
