"""The panel's own keys, twice on flash, so that one damaged block loses nothing.

| offset | bytes | field                                                                     |
|--------|-------|---------------------------------------------------------------------------|
| 0      | 4     | magic, ASCII "MnKy"                                                       |
| 4      | 1     | version of this format: 1; then 3 bytes 0                                 |
| 8      | 8     | sequence: the higher one of two whole records holds                       |
| 16     | 8     | panel id                                                                  |
| 24     | 32    | panel secret, from which the keys of records and of the log are derived   |
| 56     | 32    | Ed25519 seed of the device key                                            |
| 88     | 32    | its public key                                                            |
| 120    | 32    | link key                                                                  |
| 152    | 1     | length of the label, then the label, then 0 up to offset 256              |
| 256    | 32    | SHA-256 of bytes 0 to 255                                                 |
| 288    | 4     | commit word                                                               |
| 292    | 4     | the commit word again once the owner's first sealed command has come      |
"""

import struct
from hashlib import sha256

from firmware.base.compat import const
from firmware.base.errors import BadRequest, HalError
from firmware.crypto.ed25519 import public_key
from firmware.crypto.hmac import zero
from firmware.vault.layout import COMMIT

_MAGIC = b"MnKy"
_VERSION = const(1)
_HEAD = "<4sB3xQ"
_BODY_BYTES = const(256)
_RECORD_BYTES = const(296)
_COMMIT_AT = const(288)
_CONFIRM_AT = const(292)
_LABEL_AT = const(152)
_MOST_LABEL = const(103)


class Keys:
    """What a provisioned panel knows of itself; `secret`, `device_seed` and `link_key` are bytearrays."""

    def __init__(self, record):
        self.sequence = struct.unpack_from(_HEAD, record)[2]
        self.panel_id = bytes(record[16:24])
        self.secret = record[24:56]
        self.device_seed = record[56:88]
        self.device_public = bytes(record[88:120])
        self.link_key = record[120:152]
        self.label = bytes(record[_LABEL_AT + 1 : _LABEL_AT + 1 + record[_LABEL_AT]])
        self.confirmed = record[_CONFIRM_AT:] == COMMIT


def _is_whole(record) -> bool:
    return (
        struct.unpack_from(_HEAD, record)[:2] == (_MAGIC, _VERSION)
        and record[_COMMIT_AT:_CONFIRM_AT] == COMMIT
        and sha256(record[:_BODY_BYTES]).digest() == record[_BODY_BYTES:_COMMIT_AT]
        and record[_LABEL_AT] <= _MOST_LABEL
    )


class KeyStore:
    def __init__(self, blocks, places):
        self._blocks = blocks
        self._places = places

    def load(self):
        """The newest whole record as Keys, or None; the other copy is made equal to it."""
        records = [self._blocks.read(place, _RECORD_BYTES) for place in self._places]
        whole = [record for record in records if _is_whole(record)]
        if not whole:
            return None
        # Of two equal ones the confirmed one holds: power may fail between confirming the one and the other.
        best = max(whole, key=lambda record: (Keys(record).sequence, record[_CONFIRM_AT:] == COMMIT))
        for place, record in zip(self._places, records):
            if record != best:
                self._mend(place, best)
        keys = Keys(best)
        for record in records:
            zero(record)
        return keys

    def store(self, panel_id, secret, device_seed, link_key, label) -> Keys:
        """Replaces the keys; a cut leaves the old ones or the new ones."""
        if len(panel_id) != 8 or len(device_seed) != 32 or len(link_key) != 32 or len(label) > _MOST_LABEL:
            raise BadRequest("wrong size of a key or label")
        old = self.load()
        record = bytearray(b"\xff" * _RECORD_BYTES)
        body = struct.pack(_HEAD, _MAGIC, _VERSION, old.sequence + 1 if old else 1) + bytes(panel_id)
        record[: len(body)] = body
        record[24:56] = secret
        record[56:88] = device_seed
        record[88:120] = public_key(device_seed)
        record[120:152] = link_key
        record[_LABEL_AT:_BODY_BYTES] = bytes([len(label)]) + label + bytes(_MOST_LABEL - len(label))
        record[_BODY_BYTES:_COMMIT_AT] = sha256(record[:_BODY_BYTES]).digest()
        record[_COMMIT_AT:_CONFIRM_AT] = COMMIT
        for place in self._places:
            self._write(place, record)
        keys = Keys(record)
        zero(record)
        return keys

    def confirm(self) -> None:
        for place in self._places:
            self._blocks.program(place, COMMIT, _CONFIRM_AT)

    def _mend(self, place: int, record) -> None:
        try:
            self._write(place, record)
        except HalError:
            pass  # a worn block must not keep the door shut: one whole copy suffices

    def _write(self, place: int, record) -> None:
        self._blocks.ensure_erased(place)
        self._blocks.program(place, memoryview(record)[:_COMMIT_AT])
        self._blocks.program(place, memoryview(record)[_COMMIT_AT:_CONFIRM_AT], _COMMIT_AT)
        if record[_CONFIRM_AT:] == COMMIT:
            self._blocks.program(place, COMMIT, _CONFIRM_AT)
