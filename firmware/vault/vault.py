"""The vault: faces, residents, keys, counters and the audit log on raw flash, and wipes that can be proven.

open() finishes what a power cut interrupted before anything can be read. Of a record that is being replaced
the new one is committed first and the old one wiped then, so that at every instant one of them is whole. A
wiped record is gone from the moment its intent is in the journal, whatever becomes of the power or the flash.
"""

from hashlib import sha256

from firmware.base.compat import const
from firmware.base.errors import (
    AlreadyProvisioned,
    BadRequest,
    ConsentError,
    EraseFailed,
    NotProvisioned,
    Refused,
    VaultError,
)
from firmware.crypto import ed25519
from firmware.crypto.hmac import hmac_sha256, zero
from firmware.vault import clearance as clearances
from firmware.vault import receipt as receipts
from firmware.vault.audit import Audit
from firmware.vault.blocks import Blocks
from firmware.vault.counters import Counters
from firmware.vault.keys import KeyStore
from firmware.vault.layout import NO_HANDLE, Layout
from firmware.vault.outbox import Outbox
from firmware.vault.pool import Pool
from firmware.vault.records import (
    FACE,
    LISTS,
    MOST_BODY,
    MOST_TEMPLATES,
    RESIDENT,
    TEMPLATE_BYTES,
    Records,
    split_templates,
)
from firmware.vault.tombstones import KINDS as TOMBSTONE_KINDS
from firmware.vault.tombstones import Tombstones
from firmware.vault.wipe import Wiper, receipt_due

_MOST_EXPIRY = const(0xFFFFFFFF)
_LOG_AGE_S = const(90 * 86400)
_ACKNOWLEDGED = "receipts"


class FaceMeta:
    """What is known of a face record besides its templates."""

    def __init__(self, header):
        self.model_id = header.model_id
        self.consent_id = header.consent_id
        self.notice_hash = header.notice_hash
        self.expiry = header.expiry
        self.templates = header.templates


class Vault:
    """`entropy(n)` gives n random bytes, `clock.now()` (Unix seconds, source)."""

    def __init__(self, flash, entropy, clock):
        self._blocks = Blocks(flash)
        self._layout = Layout(flash.block_count)
        self._key_store = KeyStore(self._blocks, self._layout.keys)
        self._entropy = entropy
        self._clock = clock
        self._counters = self._audit = self._pool = self._outbox = self._tombstones = None
        self._newer = False
        self.keys = None

    # Opening and provisioning

    def open(self) -> dict:
        """Loads everything and finishes interrupted work; must come before all else.

        Returns counts: faces, residents, free (blocks), damaged and unfinished (records that were erased now),
        resumed (wipes finished now), quarantined (blocks that refuse to erase), log_breaks; and `fresh`.
        VaultError when newer firmware wrote the vault: nothing is touched, nothing can be read.
        """
        try:
            self.keys = self._key_store.load()
        except VaultError:
            self._newer = True
            raise
        return self._load() if self.in_service else self._summary([], 0)

    @property
    def fresh(self) -> bool:
        return self.keys is None and not self._newer

    @property
    def in_service(self) -> bool:
        """It has an owner and is not being cleared."""
        return self.keys is not None and self.keys.facts is None

    def provision(self, panel_id, device_seed, link_key, label=b"") -> None:
        """Makes the panel secret and stores the keys; until confirm() it may be done again, from nothing."""
        if self._newer:
            raise Refused("The vault was written by newer firmware: install that first.")
        if self.keys and (self.keys.confirmed or self.keys.facts):
            raise AlreadyProvisioned("This panel has an owner already.")
        for place in self._places_to_clear():
            self._clear(place)
        secret = bytearray(self._entropy(32))
        self.keys = self._key_store.store(panel_id, secret, device_seed, link_key, label)
        zero(secret)
        self._load()
        self._audit.append("provisioned", NO_HANDLE)

    def confirm(self) -> None:
        """The owner's first sealed command has come: no further provisioning."""
        if self.keys is None:
            raise NotProvisioned("This panel has no owner yet.")
        if not self.keys.confirmed:
            self._key_store.confirm()
            self.keys.confirmed = True

    # Clearing the whole panel

    def decommission(self) -> None:
        """Erases the panel secret: from here on nothing sealed can be opened, by anyone. clear() must follow.

        Refused while receipts wait: what proves single deletions would go with the rest.
        """
        if self.keys is not None and self.keys.facts:
            return
        self._need_keys()
        if self.receipts_waiting:
            raise Refused("Receipts wait on this panel: fetch and acknowledge them first.")
        faces = self.face_handles()
        last = self._audit.append("decommission", NO_HANDLE)
        handles = sha256(b"".join(sorted(faces))).digest()
        counts = len(faces), len(self.resident_handles())
        facts = clearances.Facts(last.source, last.sequence, last.time, *counts, last.hash, handles)
        old = self.keys
        self.keys = self._key_store.drop_secret(old, facts, self.counter("link"))
        old.forget()
        self._counters = self._audit = self._pool = self._outbox = self._tombstones = None

    def clear(self):
        """A generator: erases block after block, yields how many are left, and signs the clearance at the end.

        EraseFailed at the end when a block resists: its bits are cleared, there is no clearance, and each further
        clear() tries again.
        """
        if self.keys is None or not self.keys.facts:
            raise Refused("This panel is not being cleared.")
        if self.clearance:
            return
        gone = self._key_store.secret_gone()
        places = self._places_to_clear()
        failed = 0
        for done, place in enumerate(places):
            failed += not self._clear(place)
            yield len(places) - done - 1
        if failed or not gone:
            raise EraseFailed("%d blocks do not erase; what they held cannot be opened any more." % failed)
        if not all([self._blocks.is_erased(place) for place in places]):
            raise EraseFailed("A block that was erased does not read so any more.")
        keys = self.keys
        fields = clearances.Clearance(keys.panel_id, keys.facts, self._clock.now()[0], len(places))
        self._key_store.store_clearance(clearances.build(fields, self._sign))

    @property
    def clearance(self):
        """The signed clearance once everything is erased, else None."""
        return self._key_store.clearance

    def close(self) -> None:
        """The host has the clearance: the device key and the link key go too, and the panel is fresh."""
        if not self.clearance:
            raise Refused("This panel has not been cleared.")
        self._key_store.close()
        self.keys.forget()
        self.keys = None

    # Faces

    def put_face(self, handle, model_id, consent_id, notice_hash, expiry: int, templates: list) -> None:
        """Stores a face, in place of the one that the handle had (which is wiped, with a receipt).

        `templates`: 1 to 8 of 128 bytes; `expiry`: Unix seconds, 0 for none. ConsentError without a consent id
        and notice hash; VaultFull with nothing changed; EraseFailed: stored, but the old block resists.
        """
        self._need_keys()
        if not _is_id(consent_id, 16) or not _is_id(notice_hash, 32):
            raise ConsentError("A face is stored only with the id of a consent and the hash of its notice.")
        if not 1 <= len(templates) <= MOST_TEMPLATES or any(len(t) != TEMPLATE_BYTES for t in templates):
            raise BadRequest("A face has 1 to 8 templates of 128 bytes.")
        if len(model_id) != 8 or not 0 <= expiry <= _MOST_EXPIRY:
            raise BadRequest("A face needs a model id of 8 bytes and a time of expiry.")
        body = bytearray(b"".join(templates))
        try:
            face = (model_id, consent_id, notice_hash, expiry, len(templates))
            self._pool.put(FACE, handle, body, face, bytes(consent_id))
        finally:
            zero(body)

    def face_handles(self) -> list:
        return self._pool.handles(FACE) if self._pool else []

    def read_face(self, handle) -> tuple:
        """(FaceMeta, templates as bytearrays that the caller zeroes)."""
        self._need_keys()
        header, body = self._pool.read(FACE, handle)
        return FaceMeta(header), split_templates(body, header.templates)

    def expired_faces(self, now: int) -> list:
        """Handles of the faces whose retention ended before `now`."""
        return self._pool.index.expired(FACE, now) if self._pool else []

    def wipe_face(self, handle, reason: str) -> bytes:
        """Erases every block that holds this face and proves it; `reason` as in receipt.REASONS.

        EraseFailed when a block resists: it is logged, tried again at each start, and never read again.
        """
        self._need_keys()
        receipts.reason_code(reason)
        return self._receipt(self._pool.wipe(FACE, handle, reason)[-1])

    def bury(self, tombstones: list) -> None:
        """Refuses, now and later, records of "face" or "resident" up to a sequence: (kind, handle, sequence, time).

        With sequence 0 the time counts: what is stored and was not written later. A face under its tombstone is
        wiped, with a receipt; EraseFailed when a block resists.
        """
        self._need_keys()
        self._tombstones.add([(TOMBSTONE_KINDS[stone[0]],) + tuple(stone[1:]) for stone in tombstones])
        failure = None
        for kind, handle in self._tombstones.risen():
            try:
                self._pool.wipe(kind, handle, "restored")
            except EraseFailed as error:
                failure = error
        if failure:
            raise failure

    # Residents

    def put_resident(self, handle, blob) -> None:
        """Stores up to 3,584 bytes for a resident, in place of what the handle had."""
        self._need_keys()
        if not 1 <= len(blob) <= MOST_BODY:
            raise BadRequest("A resident's record has 1 to 3,584 bytes.")
        self._pool.put(RESIDENT, handle, blob)

    def read_resident(self, handle) -> bytearray:
        """What was put, as a bytearray that the caller zeroes."""
        self._need_keys()
        return self._pool.read(RESIDENT, handle)[1]

    def drop_resident(self, handle) -> None:
        self._need_keys()
        self._pool.wipe(RESIDENT, handle, "removed")

    def resident_handles(self) -> list:
        return self._pool.handles(RESIDENT) if self._pool else []

    def put_list(self, name: bytes, blob) -> None:
        """Stores up to 3,584 bytes that belong to no resident under a name of 8 bytes, in place of what it had."""
        self._need_keys()
        if not 1 <= len(blob) <= MOST_BODY:
            raise BadRequest("A list has 1 to 3,584 bytes.")
        self._pool.put(LISTS, name, blob)

    def read_list(self, name: bytes) -> bytearray:
        """What was put, or nothing."""
        self._need_keys()
        return self._pool.read(LISTS, name)[1] if name in self._pool.handles(LISTS) else bytearray()

    @property
    def capacity(self) -> int:
        """Residents with a face that fit."""
        return (len(self._layout.records) - self._layout.reserve) // 2

    # Log, receipts, counters

    def append(self, kind: str, handle=None, detail=b"") -> int:
        """Adds an audit entry of a kind in chain.KINDS; its sequence number."""
        self._need_keys()
        detail = detail.encode() if isinstance(detail, str) else detail
        return self._audit.append(kind, handle or NO_HANDLE, detail).sequence

    def log(self, since: int, limit: int) -> list:
        """At most `limit` chain.Entry from sequence number `since` on, oldest first."""
        found = []
        for entry in self._audit.entries(since) if self._audit else ():
            if len(found) >= limit:
                break
            found.append(entry)
        return found

    def log_before(self, since: int) -> bytes:
        """The hash that the first entry of log(since) follows."""
        self._need_keys()
        return self._audit.before(since)

    @property
    def log_head(self) -> tuple:
        """(number of the next entry, hash of the newest)."""
        return (self._audit.next_sequence, self._audit.head) if self._audit else (0, bytes(32))

    @property
    def log_damage(self) -> list:
        """(what, sequence, block) of each break in the chain: see audit.Audit.damage."""
        return self._audit.damage if self._audit else []

    def purge_log(self, now: int) -> int:
        """Drops entries before they are older than 90 days; receipts not yet acknowledged stay. Blocks erased."""
        return self._audit.purge(now, _LOG_AGE_S) if self._audit else 0

    def receipts(self, since: int, limit: int = 8) -> list:
        """At most `limit` pairs (counter, receipt), counters from `since` on; signed anew, the same bytes."""
        found = {}
        for kept in self._outbox.receipts() if self._outbox else ():
            found[kept.sequence] = kept
        for entry in self._audit.entries(since) if self._audit else ():
            if receipt_due(entry):
                found[entry.sequence] = entry
        wanted = sorted([number for number in found if number >= since])[:limit]
        return [(number, self._receipt(found[number])) for number in wanted]

    def acknowledge_receipts(self, counter: int) -> None:
        """The host has verified and kept all receipts up to this counter."""
        self._need_keys()
        if counter >= self._audit.next_sequence:
            raise BadRequest("No receipt has this counter yet.")
        if counter > self.counter(_ACKNOWLEDGED):
            self._counters.set(_ACKNOWLEDGED, counter)
            self._audit.acknowledge(counter)
            self._outbox.acknowledge(counter)

    def exercise_flash(self) -> int:
        """Programs, reads back and erases a block that holds nothing; its number. VaultFull when none is free."""
        self._need_keys()
        return self._pool.exercise()

    def check_records(self):
        """A generator: reads every block of the records and its seal, one a step, as a start does."""
        self._need_keys()
        yield from self._pool.check()

    @property
    def quarantined(self) -> int:
        """How many blocks refuse to erase."""
        return len(self._audit.pending) if self._audit else 0

    @property
    def receipts_waiting(self) -> int:
        """How many receipts the host has not acknowledged."""
        if not self._audit:
            return 0
        kept = [number for number in self._outbox.numbers if number > self.counter(_ACKNOWLEDGED)]
        return len(set(kept) | set(self._audit.due))

    def counter(self, name: str) -> int:
        if self._counters:
            return self._counters.get(name)
        return self.keys.link_counter if self.keys and name == "link" else 0

    def set_counter(self, name: str, value: int) -> None:
        if self.keys and self.keys.facts:
            return  # nothing but the end of the clearing can be asked of the panel: no number protects more
        self._need_keys()
        self._counters.set(name, value)

    # Inside

    def _need_keys(self) -> None:
        if self.keys is None:
            raise NotProvisioned("This panel has no owner yet.")
        if self.keys.facts:
            raise Refused("This panel is being cleared.")

    def _load(self) -> dict:
        secret = self.keys.secret
        blocks, layout = self._blocks, self._layout
        self._counters = Counters(blocks, layout.counters, hmac_sha256(secret, b"menshen counters 1"))
        self._counters.load()
        acknowledged = self._counters.get(_ACKNOWLEDGED)
        audit_key = hmac_sha256(secret, b"menshen audit 1")
        self._audit = Audit(blocks, layout.audit, audit_key, self._clock, self._counters)
        self._audit.load(acknowledged)
        wiper = Wiper(blocks, self._audit)
        start = int.from_bytes(self._entropy(4), "big")
        self._pool = Pool(
            blocks, layout, Records(blocks, secret, self._entropy, self._clock), self._audit, wiper, start
        )
        stale = self._pool.scan()
        self._outbox = Outbox(self._pool)
        self._audit.keep = self._outbox.keep
        self._outbox.load()
        self._audit.settle()
        resumed = wiper.resume()
        self._pool.release(resumed)
        self._pool.discard(stale)
        self._outbox.acknowledge(acknowledged)
        self._tombstones = Tombstones(self._pool, self._audit)
        self._tombstones.load()
        for kind, handle in self._tombstones.risen():
            self._wipe_quietly(kind, handle)
        return self._summary(stale, len(resumed))

    def _wipe_quietly(self, kind: int, handle: bytes) -> None:
        try:
            self._pool.wipe(kind, handle, "restored")
        except EraseFailed:
            pass  # logged; it stays out of use

    def _summary(self, stale: list, resumed: int) -> dict:
        pool = self._pool
        return {
            "fresh": self.fresh,
            "faces": len(self.face_handles()),
            "residents": len(self.resident_handles()),
            "free": pool.free if pool else len(self._layout.records),
            "damaged": len([item for item in stale if item[1] and item[2] == "unreadable"]),
            "unfinished": len([item for item in stale if item[2] == "unfinished"]),
            "resumed": resumed,
            "quarantined": self.quarantined,
            "log_breaks": len(self.log_damage),
        }

    def _places_to_clear(self) -> list:
        layout = self._layout
        return list(layout.records) + list(layout.audit) + list(layout.counters)

    def _clear(self, place: int) -> bool:
        try:
            self._blocks.ensure_erased(place)
            return True
        except EraseFailed:
            self._blocks.scrub(place)
            return False

    def _sign(self, body: bytes) -> bytes:
        return ed25519.sign(self.keys.device_seed, body, self.keys.device_public)

    def _receipt(self, entry) -> bytes:
        fields = receipts.Receipt(
            self.keys.panel_id,
            entry.sequence,
            entry.time,
            entry.source,
            receipts.REASONS[entry.reason],
            entry.handle,
            entry.hash,
            [(entry.block, entry.payload, receipts.ERASED_HASH)],
        )
        return receipts.build(fields, self._sign)


def _is_id(value, length: int) -> bool:
    """Whether `value` is an identifier: of the right length and not blank."""
    return value is not None and len(value) == length and any(value)
