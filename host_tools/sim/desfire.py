"""A software MIFARE DESFire EV3: blank until an application is made on it, then like the NTAG 424 DNA.

What it answers beyond the card of card.py: SelectApplication of the card level and CreateApplication with AES keys, as
the factory leaves both open to everybody.
"""

from __future__ import annotations

import secrets
from typing import Any

from host_tools.sim.card import APPLICATION, FACTORY_KEY, LENGTH_ERROR, OK, PERMISSION_DENIED, Card

_SELECT_APPLICATION, _CREATE_APPLICATION = 0x5A, 0xCA
_CARD_LEVEL = bytes(3)
_AES_WITH_ISO_NAME = 0xA0

NOT_FOUND = bytes.fromhex("91A0")
DUPLICATE = bytes.fromhex("91DE")
PARAMETER_ERROR = bytes.fromhex("919E")


class DesfireCard(Card):
    kind = "desfire"
    key_count = 2
    hardware = bytes.fromhex("04010133001A05")

    def __init__(self, uid: bytes, keys: list[bytes], random: Any = secrets.token_bytes) -> None:
        super().__init__(uid, keys, random)
        self.created = False

    def _saved(self) -> dict[str, Any]:
        return {**super()._saved(), "created": self.created}

    def _restore(self, saved: dict[str, Any]) -> None:
        self.created = bool(saved["created"])

    def _has_application(self) -> bool:
        return self.created

    def _unselected(self, command: int, data: bytes) -> bytes:
        if command == _SELECT_APPLICATION:
            return OK if data == _CARD_LEVEL else NOT_FOUND
        if command == _CREATE_APPLICATION:
            return self._create(data)
        return PERMISSION_DENIED

    def _create(self, data: bytes) -> bytes:
        """AID 3, key settings 2, ISO file identifier 2, ISO name."""
        if not 8 <= len(data) <= 23:
            return LENGTH_ERROR
        if data[:3] == _CARD_LEVEL or data[4] != _AES_WITH_ISO_NAME | self.key_count or data[7:] != APPLICATION:
            return PARAMETER_ERROR
        if self.created:
            return DUPLICATE
        self.created = True
        self.keys[:] = [FACTORY_KEY] * self.key_count
        self.on_change()
        return OK
