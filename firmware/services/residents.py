"""The residents this panel knows: rights, consent, PIN verifier and card keys, one sealed vault block each.

RAM keeps only what finds a resident and judges a right (flat, doors, hours, card UIDs, consent id), as bytes: objects
would take more than twice the room, hundreds of times. PIN hashes and card keys are unsealed for the moment of their
use and zeroed after it. No names: a panel knows flats and random handles.

Record: tag u8, length u8, value; little endian. An unknown tag makes the record unreadable, not half understood.
"""

import struct

from firmware.access.policy import Rights
from firmware.access.schedule import Schedule
from firmware.base.compat import const
from firmware.base.errors import BadRequest, ConsentError, EraseFailed, NotFound, Refused, VaultCorrupt
from firmware.base.log import log
from firmware.crypto.hmac import zero

_FLAT = const(1)  # ASCII digits
_DOORS = const(2)  # u32, bit n: door n
_SCHEDULE = const(3)  # as access.schedule packs it
_VALID = const(4)  # from u32, until u32; Unix seconds, 0 no limit
_PIN = const(5)  # iterations u32, PBKDF2-HMAC-SHA256 32, salt
_CARD = const(6)  # AES-128 key 16, UID
_CONSENT = const(7)  # state u8, time u32, consent id 16, notice SHA-256 32
_DURESS = const(8)  # as _PIN: opens too, and raises a silent alarm
_UID_CARD = const(9)  # UID of a card without a key
_NOTICE_AT = const(21)  # in a consent
_KEPT = (_PIN, _CARD, _CONSENT, _DURESS, _UID_CARD)  # when rights change

MAX_CARDS = const(8)
CONSENT_STATES = ("none", "asked", "given", "declined", "withdrawn", "expired")
ASKED = const(1)
GIVEN = const(2)
DECLINED = const(3)
WITHDRAWN = const(4)
ENDED = {DECLINED: "notice", WITHDRAWN: "withdrawn"}  # why a face goes with its consent


class Consent:
    def __init__(self, value):
        self.state, self.time = struct.unpack_from("<BI", value)
        self.consent_id = bytes(value[5:_NOTICE_AT])
        self.notice_hash = bytes(value[_NOTICE_AT:])

    def covers(self, consent_id: bytes, notice_hash: bytes) -> bool:
        return self.state == GIVEN and self.consent_id == consent_id and self.notice_hash == notice_hash


class Resident:
    """One resident at the moment of the question: nothing secret."""

    def __init__(self, handle: bytes, items):
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
        elif tag in (_CARD, _UID_CARD):
            self.uids.append(_uid(tag, value))
        elif tag == _CONSENT:
            self.consent = Consent(value)


def _uid(tag: int, value) -> bytes:
    return bytes(value[16:] if tag == _CARD else value)


# Tag: fewest and most bytes of its value.
_SIZES = {
    _FLAT: (1, 6),
    _DOORS: (4, 4),
    _SCHEDULE: (0, 80),
    _VALID: (8, 8),
    _PIN: (52, 52),
    _CARD: (20, 26),
    _CONSENT: (53, 53),
    _DURESS: (52, 52),
    _UID_CARD: (4, 10),
}


def _sound(tag: int, value) -> bool:
    if tag not in _SIZES:
        return False
    least, most = _SIZES[tag]
    return least <= len(value) <= most and (tag != _FLAT or all(48 <= digit <= 57 for digit in value))


def _parse(blob) -> list:
    items = []
    at = 0
    while at < len(blob):
        tag = blob[at]
        end = at + 2 + blob[at + 1] if at + 1 < len(blob) else len(blob) + 1
        value = bytearray(blob[at + 2 : end])
        if end > len(blob) or not _sound(tag, value):
            zero(value)
            raise VaultCorrupt("a resident's record cannot be read")
        items.append((tag, value))
        at = end
    return items


def _build(items: list) -> bytearray:
    blob = bytearray()
    for tag, value in items:
        blob.append(tag)
        blob.append(len(value))
        blob.extend(value)
    return blob


def _lean(items: list) -> tuple:
    """What RAM keeps of a record, as a record has it but without a secret: the bytes that many residents have alike
    (doors, hours, times, the consent's notice) and those of this one, the flat first."""
    shared = [item for item in items if item[0] in (_DOORS, _SCHEDULE, _VALID)]
    own = [(_FLAT, b"")]
    for tag, value in items:
        if tag == _FLAT:
            own[0] = (tag, value)
        elif tag == _PIN:
            own.append((tag, b""))
        elif tag in (_CARD, _UID_CARD):
            own.append((_UID_CARD, _uid(tag, value)))
        elif tag == _CONSENT:
            own.append((tag, value[:_NOTICE_AT]))
            shared.append((tag, value[_NOTICE_AT:]))
    return bytes(_build(shared)), bytes(_build(own))


def _whole(shared: bytes, own: bytes):
    """The items that `_lean` took apart, one after the other."""
    notice = b""
    for tag, value in _items(shared):
        if tag == _CONSENT:
            notice = value
        else:
            yield tag, value
    for tag, value in _items(own):
        yield tag, value + notice if tag == _CONSENT else value


def _items(blob: bytes):
    at = 0
    while at < len(blob):
        end = at + 2 + blob[at + 1]
        yield blob[at], blob[at + 2 : end]
        at = end


def _flat_item(flat: str) -> bytes:
    """How the own bytes of everybody in this flat begin."""
    return bytes(_build([(_FLAT, flat.encode())]))


class Residents:
    """The table of residents; every change is on flash before it is in RAM."""

    def __init__(self, vault):
        self._vault = vault
        self._by_handle = {}  # handle -> _lean's

    def load(self) -> int:
        """Reads all records at start; the number of those that could not be read."""
        bad = 0
        same = {}
        for handle in self._vault.resident_handles():
            try:
                items = self._read(handle)
                Resident(handle, items)  # what is not understood must show now, not at the door
            except (VaultCorrupt, BadRequest):
                bad += 1
                continue
            shared, own = _lean(items)
            self._by_handle[handle] = (same.setdefault(shared, shared), own)
            self._forget(items)
        return bad

    def __len__(self) -> int:
        return len(self._by_handle)

    def knows(self, handle: bytes) -> bool:
        return handle in self._by_handle

    def get(self, handle: bytes) -> Resident:
        if handle not in self._by_handle:
            raise NotFound("this panel knows no such resident")
        return Resident(handle, _whole(*self._by_handle[handle]))

    def check_consent(self, handle: bytes, consent_id: bytes, notice_hash: bytes) -> None:
        consent = self.get(handle).consent
        if consent is None or not consent.covers(consent_id, notice_hash):
            raise ConsentError("this panel holds no consent of this resident to this notice")

    def of_flat(self, flat: str) -> list:
        """Their handles."""
        start = _flat_item(flat)
        return [handle for handle, lean in self._by_handle.items() if lean[1].startswith(start)]

    def of_card(self, uid: bytes):
        """The resident whose card has this UID, or None. The UID alone proves nothing."""
        for handle, lean in self._by_handle.items():
            if uid in lean[1]:
                resident = self.get(handle)
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
            items += [item for item in self._read(handle) if item[0] in _KEPT]
        self._write(handle, items)

    def set_pin(self, handle: bytes, salt: bytes, iterations: int, verifier: bytes, duress: bool = False) -> None:
        """Refused when it is the other kind of PIN of somebody in the flat already: it must be clear what it means."""
        value = bytearray(struct.pack("<I", iterations) + verifier + salt)
        if duress and not self.get(handle).has_pin:
            raise Refused("a duress PIN comes second: set a PIN first")
        if value in self._pins_of_flat(self.get(handle).flat, _PIN if duress else _DURESS):
            raise Refused("choose another PIN")
        wanted = _DURESS if duress else _PIN
        self._change(handle, lambda tag, old: tag != wanted, (wanted, value))

    def add_card(self, handle: bytes, uid: bytes, key: bytes = b"") -> None:
        """A UID belongs to one resident; the same UID again renews its key. Without a key the UID alone opens."""
        owner = self.of_card(uid)
        if owner is not None and owner.handle != handle:
            raise Refused("this card belongs to another resident")
        if len(self.get(handle).uids) >= MAX_CARDS and owner is None:
            raise Refused("a resident has at most %d cards" % MAX_CARDS)
        added = (_CARD, bytearray(key + uid)) if key else (_UID_CARD, bytearray(uid))
        self._change(handle, lambda tag, old: tag not in (_CARD, _UID_CARD) or _uid(tag, old) != uid, added)

    def drop_credential(self, handle: bytes, kind: str, uid=None) -> int:
        """Drops both PINs, the duress PIN, one card (`uid`) or all cards; how many were dropped."""
        wanted = {"pin": (_PIN, _DURESS), "duress": (_DURESS,)}.get(kind, (_CARD, _UID_CARD))
        dropped = 0

        def keep(tag, old):
            nonlocal dropped
            if tag not in wanted or (uid is not None and kind == "card" and _uid(tag, old) != uid):
                return True
            dropped += 1
            return False

        items = self._read(handle) if self.get(handle) else []
        kept = [item for item in items if keep(item[0], item[1])]
        if dropped:
            self._write(handle, kept)
        self._forget(items)
        return dropped

    def set_consent(self, handle: bytes, state: int, time: int, consent_id: bytes, notice_hash: bytes) -> None:
        value = struct.pack("<BI", state, time) + consent_id + notice_hash
        self._change(handle, lambda tag, old: tag != _CONSENT, (_CONSENT, value))

    def forget(self, handle: bytes) -> None:
        """Its record is gone from the vault already."""
        self._by_handle.pop(handle, None)

    def forget_all(self) -> None:
        self._by_handle = {}

    def drop(self, handle: bytes) -> None:
        self.get(handle)
        try:
            self._vault.drop_resident(handle)
        finally:  # also when the block resists: nobody enters by it any more
            self.forget(handle)

    def pin_verifiers(self, flat: str) -> list:
        """(resident, duress, (salt, iterations, hash)) of every PIN of the flat; the caller zeroes salts and hashes.

        As many records are unsealed for every flat, known or not, as for the largest one.
        """
        found = []
        owners = self.of_flat(flat)
        for handle in owners:
            resident = self.get(handle)
            for tag, value in self._read(handle):
                if tag in (_PIN, _DURESS):
                    iterations = struct.unpack_from("<I", value)[0]
                    found.append((resident, tag == _DURESS, (value[36:], iterations, value[4:36])))
                zero(value)
        others = [handle for handle in self._by_handle if handle not in owners]
        for handle in others[: self._largest_flat() - len(owners)]:
            self.get(handle)
            self._forget(self._read(handle))
        return found

    def _largest_flat(self) -> int:
        sizes = {}
        for _, own in self._by_handle.values():
            flat = own[: 2 + own[1]]
            sizes[flat] = sizes.get(flat, 0) + 1
        return max(sizes.values()) if sizes else 0

    def _pins_of_flat(self, flat: str, wanted: int) -> list:
        found = []
        for handle in self.of_flat(flat):
            found += [value for tag, value in self._read(handle) if tag == wanted]
        return found

    def card_key(self, uid: bytes):
        """The AES key of the card with this UID as a bytearray that the caller zeroes, or None; an empty one when the
        card has none."""
        resident = self.of_card(uid)
        found = None
        for tag, value in self._read(resident.handle) if resident else ():
            if tag in (_CARD, _UID_CARD) and _uid(tag, value) == uid:
                found = value[:16] if tag == _CARD else bytearray()
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
        except EraseFailed as error:  # stored; the record it replaces is out of use, and its block quarantined
            log("vault", str(error))
        finally:
            zero(blob)
        shared, own = _lean(items)
        for known, _ in self._by_handle.values():
            if known == shared:
                shared = known
                break
        self._by_handle[handle] = (shared, own)
        self._forget(items)

    @staticmethod
    def _forget(items: list) -> None:
        for _, value in items:
            if isinstance(value, bytearray):
                zero(value)
