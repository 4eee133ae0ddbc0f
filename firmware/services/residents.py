"""The residents this panel knows: rights, consent, PIN verifier and card keys, one sealed vault block each.

RAM keeps only what finds a resident and judges a right (flat, doors, hours, card UIDs, consent id); PIN hashes and card
keys are unsealed for the moment of their use and zeroed after it. No names: a panel knows flats and random handles.

Record: tag u8, length u8, value; little endian. An unknown tag makes the record unreadable, not half understood.
"""

import struct

from firmware.access.policy import Rights
from firmware.access.schedule import Schedule
from firmware.base.compat import const
from firmware.base.errors import BadRequest, NotFound, Refused, VaultCorrupt
from firmware.crypto.hmac import zero

_FLAT = const(1)  # ASCII digits
_DOORS = const(2)  # u32, bit n: door n
_SCHEDULE = const(3)  # as access.schedule packs it
_VALID = const(4)  # from u32, until u32; Unix seconds, 0 no limit
_PIN = const(5)  # iterations u32, PBKDF2-HMAC-SHA256 32, salt
_CARD = const(6)  # AES-128 key 16, UID
_CONSENT = const(7)  # state u8, time u32, consent id 16, notice SHA-256 32
_LAST_TAG = const(7)

MAX_CARDS = const(8)
CONSENT_STATES = ("none", "asked", "given", "declined", "withdrawn", "expired")
ASKED = const(1)
GIVEN = const(2)
DECLINED = const(3)
WITHDRAWN = const(4)


class Consent:
    def __init__(self, state: int, time: int, consent_id: bytes, notice_hash: bytes):
        self.state = state
        self.time = time
        self.consent_id = consent_id
        self.notice_hash = notice_hash

    def covers(self, consent_id: bytes, notice_hash: bytes) -> bool:
        return self.state == GIVEN and self.consent_id == consent_id and self.notice_hash == notice_hash


class Resident:
    """What RAM holds of one resident: nothing secret."""

    def __init__(self, handle: bytes, items: list):
        self.handle = handle
        self.flat = ""
        self.rights = Rights(0, Schedule(), 0, 0)
        self.has_pin = False
        self.uids = []
        self.consent = None
        for tag, value in items:
            self._take(tag, value)

    def _take(self, tag: int, value) -> None:
        if tag == _FLAT:
            self.flat = str(value, "utf-8")
        elif tag == _DOORS:
            self.rights = Rights(struct.unpack("<I", value)[0], *self.rights[1:])
        elif tag == _SCHEDULE:
            self.rights = Rights(self.rights.doors, Schedule.unpack(value), *self.rights[2:])
        elif tag == _VALID:
            self.rights = Rights(*self.rights[:2], *struct.unpack("<II", value))
        elif tag == _PIN:
            self.has_pin = True
        elif tag == _CARD:
            self.uids.append(bytes(value[16:]))
        elif tag == _CONSENT:
            state, time = struct.unpack_from("<BI", value)
            self.consent = Consent(state, time, bytes(value[5:21]), bytes(value[21:53]))


def _parse(blob) -> list:
    items = []
    at = 0
    while at < len(blob):
        tag = blob[at]
        end = at + 2 + blob[at + 1] if at + 1 < len(blob) else len(blob) + 1
        if not 1 <= tag <= _LAST_TAG or end > len(blob):
            raise VaultCorrupt("a resident's record cannot be read")
        items.append((tag, bytearray(blob[at + 2 : end])))
        at = end
    return items


def _build(items: list) -> bytearray:
    blob = bytearray()
    for tag, value in items:
        blob.append(tag)
        blob.append(len(value))
        blob.extend(value)
    return blob


class Residents:
    """The table of residents; every change is on flash before it is in RAM."""

    def __init__(self, vault):
        self._vault = vault
        self._by_handle = {}

    def load(self) -> int:
        """Reads all records at start; the number of those that could not be read."""
        bad = 0
        for handle in self._vault.resident_handles():
            try:
                items = self._read(handle)
            except (VaultCorrupt, BadRequest):
                bad += 1
                continue
            self._by_handle[handle] = Resident(handle, items)
            self._forget(items)
        return bad

    def __len__(self) -> int:
        return len(self._by_handle)

    def knows(self, handle: bytes) -> bool:
        return handle in self._by_handle

    def get(self, handle: bytes) -> Resident:
        try:
            return self._by_handle[handle]
        except KeyError:
            raise NotFound("this panel knows no such resident")

    def of_flat(self, flat: str) -> list:
        return [r for r in self._by_handle.values() if r.flat == flat]

    def of_card(self, uid: bytes):
        """The resident whose card has this UID, or None. The UID alone proves nothing."""
        for resident in self._by_handle.values():
            if uid in resident.uids:
                return resident
        return None

    def put_rights(self, handle: bytes, flat: str, rights: Rights) -> None:
        """Adds a resident or changes the rights of one, credentials and consent untouched."""
        items = [
            (_FLAT, flat.encode()),
            (_DOORS, struct.pack("<I", rights.doors)),
            (_SCHEDULE, rights.schedule.pack()),
            (_VALID, struct.pack("<II", rights.valid_from, rights.valid_until)),
        ]
        if handle in self._by_handle:
            kept = (_PIN, _CARD, _CONSENT)
            items += [item for item in self._read(handle) if item[0] in kept]
        self._write(handle, items)

    def set_pin(self, handle: bytes, salt: bytes, iterations: int, verifier: bytes) -> None:
        value = bytearray(struct.pack("<I", iterations) + verifier + salt)
        self._change(handle, lambda tag, old: tag != _PIN, (_PIN, value))

    def add_card(self, handle: bytes, uid: bytes, key: bytes) -> None:
        """A UID belongs to one resident; the same UID again renews its key."""
        owner = self.of_card(uid)
        if owner is not None and owner.handle != handle:
            raise Refused("this card belongs to another resident")
        if len(self.get(handle).uids) >= MAX_CARDS and owner is None:
            raise Refused("a resident has at most %d cards" % MAX_CARDS)
        self._change(handle, lambda tag, old: tag != _CARD or old[16:] != uid, (_CARD, bytearray(key + uid)))

    def drop_credential(self, handle: bytes, kind: str, uid=None) -> int:
        """Drops the PIN, one card (`uid`) or all cards; how many were dropped."""
        wanted = _PIN if kind == "pin" else _CARD
        before = self.get(handle)
        count = int(before.has_pin) if wanted == _PIN else len([u for u in before.uids if uid in (None, u)])
        if count:
            self._change(handle, lambda tag, old: tag != wanted or (uid is not None and old[16:] != uid))
        return count

    def set_consent(self, handle: bytes, state: int, time: int, consent_id: bytes, notice_hash: bytes) -> None:
        value = struct.pack("<BI", state, time) + consent_id + notice_hash
        self._change(handle, lambda tag, old: tag != _CONSENT, (_CONSENT, value))

    def drop(self, handle: bytes) -> None:
        self.get(handle)
        self._vault.drop_resident(handle)
        del self._by_handle[handle]

    def pin_verifier(self, handle: bytes):
        """(salt, iterations, hash) or None; the caller zeroes salt and hash."""
        found = None
        for tag, value in self._read(handle):
            if tag == _PIN:
                found = value[36:], struct.unpack_from("<I", value)[0], value[4:36]
            zero(value)
        return found

    def card_key(self, uid: bytes):
        """The AES key of the card with this UID as a bytearray that the caller zeroes, or None."""
        resident = self.of_card(uid)
        found = None
        for tag, value in self._read(resident.handle) if resident else ():
            if tag == _CARD and value[16:] == uid:
                found = value[:16]
            zero(value)
        return found

    def _read(self, handle: bytes) -> list:
        blob = bytearray(self._vault.read_resident(handle))
        try:
            return _parse(blob)
        finally:
            zero(blob)

    def _change(self, handle: bytes, keep, added=None) -> None:
        self.get(handle)
        items = [item for item in self._read(handle) if keep(item[0], item[1])]
        if added:
            items.append(added)
        self._write(handle, items)

    def _write(self, handle: bytes, items: list) -> None:
        blob = _build(items)
        try:
            self._vault.put_resident(handle, blob)
        finally:
            zero(blob)
        self._by_handle[handle] = Resident(handle, items)
        self._forget(items)

    @staticmethod
    def _forget(items: list) -> None:
        for _, value in items:
            if isinstance(value, bytearray):
                zero(value)
