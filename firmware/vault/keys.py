"""The panel's own keys, twice on flash, so that one damaged block loses nothing.

| offset | bytes | field                                                                           |
|--------|-------|---------------------------------------------------------------------------------|
| 0      | 4     | magic, ASCII "MnKy"                                                             |
| 4      | 1     | version of this format: 1; 1 byte state: 0 in service, 1 being cleared; 2 bytes 0 |
| 8      | 8     | sequence: the higher one of two whole records holds                             |
| 16     | 8     | panel id                                                                        |
| 24     | 32    | panel secret, from which the keys of records and of the log are derived; being cleared: 0 |
| 56     | 32    | Ed25519 seed of the device key                                                  |
| 88     | 32    | its public key                                                                  |
| 120    | 32    | link key                                                                        |
| 152    | 1     | length of the label, then the label, then 0 up to offset 256                    |
|        |       | being cleared: instead the link's counter (4), then clearance.Facts             |
| 256    | 32    | SHA-256 of bytes 0 to 255                                                       |
| 288    | 4     | commit word                                                                     |
| 292    | 4     | the commit word again once the owner's first sealed command has come            |
| 296    | 4     | the commit word again once the host has the clearance: both blocks are to be erased |
| 512    | 184   | the clearance (clearance.py), then the commit word                              |

Magic, version and the commit word's place stay the same in all versions, so that older firmware recognises a newer
record, and leaves everything as it is.
"""

import struct
from hashlib import sha256

from firmware.base.compat import const
from firmware.base.errors import BadRequest, EraseFailed, HalError, VaultError
from firmware.crypto.ed25519 import public_key
from firmware.crypto.hmac import zero
from firmware.vault import clearance
from firmware.vault.layout import COMMIT
from firmware.vault.layout import FORMAT as _VERSION

_MAGIC = b"MnKy"
_HEAD = "<4sBB2xQ"
_BODY_BYTES = const(256)
_RECORD_BYTES = const(300)
_COMMIT_AT = const(288)
_CONFIRM_AT = const(292)
_CLOSE_AT = const(296)
_SECRET_AT, _SECRET_END = const(24), const(56)
_LABEL_AT = const(152)
_FACTS_AT = const(156)
_MOST_LABEL = const(103)
_CLEARANCE_AT = const(512)
_CLEARED = const(1)


class Keys:
    """What a provisioned panel knows of itself; `secret`, `device_seed` and `link_key` are bytearrays.

    `facts`: clearance.Facts while the panel is being cleared, else None; `link_counter` goes with it.
    """

    def __init__(self, record):
        _, _, state, self.sequence = struct.unpack_from(_HEAD, record)
        self.panel_id = bytes(record[16:24])
        self.secret = record[_SECRET_AT:_SECRET_END]
        self.device_seed = record[56:88]
        self.device_public = bytes(record[88:120])
        self.link_key = record[120:152]
        self.confirmed = record[_CONFIRM_AT:_CLOSE_AT] == COMMIT
        self.label, self.facts, self.link_counter = b"", None, 0
        if state == _CLEARED:
            self.link_counter = struct.unpack_from("<I", record, _LABEL_AT)[0]
            self.facts = clearance.Facts.unpack(bytes(record[_FACTS_AT : _FACTS_AT + clearance.Facts.BYTES]))
        else:
            self.label = bytes(record[_LABEL_AT + 1 : _LABEL_AT + 1 + record[_LABEL_AT]])

    def forget(self) -> None:
        for secret in (self.secret, self.device_seed, self.link_key):
            zero(secret)


def _is_whole(record) -> bool:
    magic, version, state, _ = struct.unpack_from(_HEAD, record)
    return (
        (magic, version) == (_MAGIC, _VERSION)
        and record[_COMMIT_AT:_CONFIRM_AT] == COMMIT
        and sha256(record[:_BODY_BYTES]).digest() == record[_BODY_BYTES:_COMMIT_AT]
        and (state == _CLEARED or (state == 0 and record[_LABEL_AT] <= _MOST_LABEL))
    )


def _rank(record) -> tuple:
    return Keys(record).sequence, record[_CONFIRM_AT:_CLOSE_AT] == COMMIT, record[_CLOSE_AT:] == COMMIT


def _is_newer(record) -> bool:
    """Whether newer firmware wrote it; a rotten version byte in one of ours is told by its hash."""
    if record[:4] != _MAGIC or record[4] <= _VERSION or record[_COMMIT_AT:_CONFIRM_AT] != COMMIT:
        return False
    ours = bytearray(record)
    ours[4] = _VERSION
    return not _is_whole(ours)


class KeyStore:
    """`clearance`: the signed bytes once they are stored, else None."""

    def __init__(self, blocks, places):
        self._blocks = blocks
        self._places = places
        self.clearance = None

    def load(self):
        """The newest whole record as Keys, or None; the other copy is made equal to it.

        VaultError when newer firmware wrote the vault: then nothing is touched.
        """
        records = [self._blocks.read(place, _RECORD_BYTES) for place in self._places]
        if any([_is_newer(record) for record in records]):
            raise VaultError("The vault was written by newer firmware than this.")
        whole = [record for record in records if _is_whole(record)]
        if not whole:
            self._clean_up(records)
            return None
        # Of two equal ones the one with more words holds: power may fail between marking the one and the other.
        best = max(whole, key=_rank)
        if best[_CLOSE_AT:] == COMMIT:
            self._erase()
            return None
        keys = Keys(best)
        if keys.facts:
            self.clearance = self._load_clearance()
        for place, record in zip(self._places, records):
            if record != best:
                self._mend(place, best)
        for record in records:
            zero(record)
        return keys

    def store(self, panel_id, secret, device_seed, link_key, label) -> Keys:
        """Replaces the keys; a cut leaves the old ones or the new ones."""
        if len(panel_id) != 8 or len(device_seed) != 32 or len(link_key) != 32 or len(label) > _MOST_LABEL:
            raise BadRequest("wrong size of a key or label")
        old = self.load()
        body = bytearray(_BODY_BYTES)
        head = struct.pack(_HEAD, _MAGIC, _VERSION, 0, old.sequence + 1 if old else 1) + bytes(panel_id)
        body[: len(head)] = head
        body[_SECRET_AT:_SECRET_END] = secret
        body[56:88] = device_seed
        body[88:120] = public_key(device_seed)
        body[120:152] = link_key
        body[_LABEL_AT:] = bytes([len(label)]) + label + bytes(_MOST_LABEL - len(label))
        record = _finished(body)
        for place in self._places:
            self._write(place, record)
        return _taken(record)

    def confirm(self) -> None:
        for place in self._places:
            self._blocks.program(place, COMMIT, _CONFIRM_AT)

    # Clearing the panel

    def drop_secret(self, keys: Keys, facts: clearance.Facts, link_counter: int) -> Keys:
        """Both copies anew, without the panel secret; EraseFailed, with the old ones in force, when neither
        block takes it. A block that resists is cleared as far as it goes: see secret_gone()."""
        body = bytearray(_BODY_BYTES)
        head = struct.pack(_HEAD, _MAGIC, _VERSION, _CLEARED, keys.sequence + 1) + keys.panel_id
        body[: len(head)] = head
        body[56:88] = keys.device_seed
        body[88:120] = keys.device_public
        body[120:152] = keys.link_key
        body[_LABEL_AT:_FACTS_AT] = struct.pack("<I", link_counter)
        body[_FACTS_AT : _FACTS_AT + facts.BYTES] = facts.pack()
        record = _finished(body)
        if keys.confirmed:
            record[_CONFIRM_AT:_CLOSE_AT] = COMMIT
        failed = [place for place in self._places if not self._mend(place, record)]
        if len(failed) == len(self._places):
            raise EraseFailed("Neither block of the keys could be replaced.")
        for place in failed:
            self._blocks.scrub(place)
        return _taken(record)

    def secret_gone(self) -> bool:
        """Whether no copy of the panel secret is left; tries again where one is."""
        gone = True
        for place in self._places:
            held = self._blocks.read(place, _SECRET_END - _SECRET_AT, _SECRET_AT)
            if any([byte not in (0, 0xFF) for byte in held]):
                gone = self._blocks.scrub(place) and gone
        return gone

    def store_clearance(self, data: bytes) -> None:
        """HalError when no block takes it."""
        records = [self._blocks.read(place, _RECORD_BYTES) for place in self._places]
        best = next(record for record in records if _is_whole(record))
        stored = 0
        for place in self._places:
            try:
                if any([byte != 0xFF for byte in self._blocks.read(place, clearance.BYTES + 4, _CLEARANCE_AT)]):
                    self._write(place, best)  # one was begun there and cut off
                self._blocks.program(place, data, _CLEARANCE_AT)
                self._blocks.program(place, COMMIT, _CLEARANCE_AT + clearance.BYTES)
                stored += 1
            except HalError:
                continue
        if not stored:
            raise HalError("no block of the keys takes the clearance")
        self.clearance = data

    def close(self) -> None:
        """Erases both blocks, however often the power fails; EraseFailed when one neither erases nor clears."""
        for place in self._places:
            try:
                self._blocks.program(place, COMMIT, _CLOSE_AT)
            except HalError:
                continue
        self._erase()

    def _load_clearance(self):
        for place in self._places:
            data = self._blocks.read(place, clearance.BYTES + 4, _CLEARANCE_AT)
            if data[clearance.BYTES :] == COMMIT:
                return bytes(data[: clearance.BYTES])
        return None

    def _erase(self) -> None:
        failed = 0
        for place in self._places:
            try:
                self._blocks.ensure_erased(place)
            except EraseFailed:
                failed += not self._blocks.scrub(place)
        self.clearance = None
        if failed:
            raise EraseFailed("A block of the keys neither erases nor clears.")

    def _clean_up(self, records: list) -> None:
        """What an interrupted erase or provisioning left of keys; what once was committed is left alone."""
        for place, record in zip(self._places, records):
            if record[_COMMIT_AT:_CONFIRM_AT] != COMMIT:
                try:
                    self._blocks.ensure_erased(place)
                except EraseFailed:
                    self._blocks.scrub(place)
            zero(record)

    def _mend(self, place: int, record) -> bool:
        """A worn block must not keep the door shut: one whole copy suffices."""
        try:
            self._write(place, record)
            return True
        except HalError:
            return False

    def _write(self, place: int, record) -> None:
        self._blocks.ensure_erased(place)
        self._blocks.program(place, memoryview(record)[:_COMMIT_AT])
        self._blocks.program(place, memoryview(record)[_COMMIT_AT:_CONFIRM_AT], _COMMIT_AT)
        if record[_CONFIRM_AT:_CLOSE_AT] == COMMIT:
            self._blocks.program(place, COMMIT, _CONFIRM_AT)
        if self.clearance:
            self._blocks.program(place, self.clearance, _CLEARANCE_AT)
            self._blocks.program(place, COMMIT, _CLEARANCE_AT + clearance.BYTES)


def _finished(body) -> bytearray:
    record = bytearray(b"\xff" * _RECORD_BYTES)
    record[:_BODY_BYTES] = body
    record[_BODY_BYTES:_COMMIT_AT] = sha256(body).digest()
    record[_COMMIT_AT:_CONFIRM_AT] = COMMIT
    zero(body)
    return record


def _taken(record) -> Keys:
    keys = Keys(record)
    zero(record)
    return keys
