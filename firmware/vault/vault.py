"""The vault: faces, residents, keys, counters and the audit log on raw flash, and wipes that can be proven.

open() finishes what a power cut interrupted before anything can be read. Of a record that is being replaced
the new one is committed first and the old one wiped then, so that at every instant one of them is whole. A
wiped record is gone from the moment its intent is in the journal, whatever becomes of the power or the flash.
"""

from firmware.base.compat import const
from firmware.base.errors import AlreadyProvisioned, BadRequest, ConsentError, EraseFailed, NotProvisioned
from firmware.crypto import ed25519
from firmware.crypto.hmac import hmac_sha256, zero
from firmware.vault import receipt as receipts
from firmware.vault.audit import Audit
from firmware.vault.blocks import Blocks
from firmware.vault.counters import Counters
from firmware.vault.keys import KeyStore
from firmware.vault.layout import NO_HANDLE, Layout
from firmware.vault.pool import Pool
from firmware.vault.records import (
    FACE,
    MOST_BODY,
    MOST_TEMPLATES,
    RESIDENT,
    TEMPLATE_BYTES,
    Records,
    split_templates,
)
from firmware.vault.wipe import Wiper, receipt_due

_MOST_EXPIRY = const(0xFFFFFFFF)


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
        self._counters = self._audit = self._pool = None
        self.keys = None

    # Opening and provisioning

    def open(self) -> dict:
        """Loads everything and finishes interrupted work; must come before all else.

        Returns counts: faces, residents, free (blocks), corrupt (damaged records, kept but never read),
        unfinished (half-written ones, erased), resumed (wipes finished now), quarantined (blocks that refuse to
        erase), log_breaks; and `fresh`.
        """
        self.keys = self._key_store.load()
        return self._load() if self.keys else self._summary(0, 0, 0)

    @property
    def fresh(self) -> bool:
        return self.keys is None

    def provision(self, panel_id, device_seed, link_key, label=b"") -> None:
        """Makes the panel secret and stores the keys; until confirm() it may be done again, from nothing."""
        if self.keys and self.keys.confirmed:
            raise AlreadyProvisioned("This panel has an owner already.")
        self._erase_all()
        secret = bytearray(self._entropy(32))
        self.keys = self._key_store.store(panel_id, secret, device_seed, link_key, label)
        zero(secret)
        self._load()
        self._audit.append("provisioned", NO_HANDLE)

    def confirm(self) -> None:
        """The owner's first sealed command has come: no further provisioning."""
        self._need_keys()
        if not self.keys.confirmed:
            self._key_store.confirm()
            self.keys.confirmed = True

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
        slots = self._pool.index.items() if self._pool else ()
        return [handle for (kind, handle), slot in slots if kind == FACE and 0 < slot[2] < now]

    def wipe_face(self, handle, reason: str) -> bytes:
        """Erases every block that holds this face and proves it; `reason` as in receipt.REASONS.

        EraseFailed when a block resists: it is logged, tried again at each start, and never read again.
        """
        self._need_keys()
        receipts.reason_code(reason)
        return self._receipt(self._pool.wipe(FACE, handle, reason)[-1])

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

    @property
    def capacity(self) -> int:
        """Residents with a face that fit."""
        return (len(self._layout.records) - self._layout.reserve) // 2

    # Log, receipts, counters

    def append(self, kind: str, handle=None, detail=b"") -> int:
        """Adds an audit entry of a kind in audit.KINDS; its sequence number."""
        self._need_keys()
        detail = detail.encode() if isinstance(detail, str) else detail
        return self._audit.append(kind, handle or NO_HANDLE, detail).sequence

    def log(self, since: int, limit: int) -> list:
        """At most `limit` audit.Entry from sequence number `since` on, oldest first."""
        return self._take(limit, lambda entry: entry, since)

    def receipts(self, since: int, limit: int = 8) -> list:
        """At most `limit` pairs (counter, receipt), counters from `since` on; signed anew, the same bytes."""
        return self._take(limit, lambda e: (e.sequence, self._receipt(e)) if receipt_due(e) else None, since)

    def counter(self, name: str) -> int:
        return self._counters.get(name) if self._counters else 0

    def set_counter(self, name: str, value: int) -> None:
        self._need_keys()
        self._counters.set(name, value)

    # Inside

    def _need_keys(self) -> None:
        if self.keys is None:
            raise NotProvisioned("This panel has no owner yet.")

    def _load(self) -> dict:
        secret = self.keys.secret
        self._counters = Counters(self._blocks, self._layout.counters, hmac_sha256(secret, b"menshen counters 1"))
        audit_key = hmac_sha256(secret, b"menshen audit 1")
        self._audit = Audit(self._blocks, self._layout.audit, audit_key, self._clock)
        wiper = Wiper(self._blocks, self._audit)
        records = Records(self._blocks, secret, self._entropy)
        start = int.from_bytes(self._entropy(4), "big")
        self._pool = Pool(self._blocks, self._layout, records, self._audit, wiper, start)
        self._counters.load()
        breaks = self._audit.load()
        resumed = wiper.resume()
        return self._summary(self._pool.scan(), resumed, breaks)

    def _summary(self, unfinished: int, resumed: int, breaks: int) -> dict:
        pool = self._pool
        return {
            "fresh": self.fresh,
            "faces": len(self.face_handles()),
            "residents": len(self.resident_handles()),
            "free": pool.free if pool else len(self._layout.records),
            "corrupt": len(pool.corrupt) if pool else 0,
            "unfinished": unfinished,
            "resumed": resumed,
            "quarantined": len(self._audit.pending) if self._audit else 0,
            "log_breaks": breaks,
        }

    def _erase_all(self) -> None:
        layout = self._layout
        for place in list(layout.counters) + list(layout.audit) + list(layout.records):
            try:
                self._blocks.ensure_erased(place)
            except EraseFailed:
                self._blocks.scrub(place)

    def _receipt(self, entry) -> bytes:
        keys = self.keys
        fields = receipts.Receipt(
            keys.panel_id,
            entry.sequence,
            entry.time,
            entry.source,
            receipts.REASONS[entry.reason],
            entry.handle,
            entry.hash,
            [(entry.block, entry.payload, receipts.ERASED_HASH)],
        )
        return receipts.build(fields, lambda body: ed25519.sign(keys.device_seed, body, keys.device_public))

    def _take(self, limit: int, convert, since: int) -> list:
        found = []
        for entry in self._audit.entries(since) if self._audit else ():
            if len(found) >= limit:
                break
            item = convert(entry)
            if item is not None:
                found.append(item)
        return found


def _is_id(value, length: int) -> bool:
    """Whether `value` is an identifier: of the right length and not blank."""
    return value is not None and len(value) == length and any(value)
