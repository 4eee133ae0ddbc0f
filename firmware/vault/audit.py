"""The audit log and wipe journal: authenticated entries, chained by their hashes, in a ring of blocks.

Block header, 64 bytes:
| offset | bytes | field                                                             |
|--------|-------|-------------------------------------------------------------------|
| 0      | 4     | magic, ASCII "MnAu"                                               |
| 4      | 1     | version of this format: 1; then 3 bytes 0                         |
| 8      | 8     | generation: 1 for the first block ever begun, then one more each  |
| 16     | 8     | sequence of the block's first entry                               |
| 24     | 32    | hash of the entry before it (32 bytes 0 before the very first)    |
| 56     | 8     | first 8 bytes of HMAC-SHA256 over bytes 0 to 55                   |

Then 42 entries of 96 bytes:
| offset | bytes | field                                                             |
|--------|-------|-------------------------------------------------------------------|
| 0      | 1     | kind, see KINDS                                                   |
| 1      | 1     | how the time is known (the clock's source)                        |
| 2      | 1     | wipe: reason (receipt.REASONS); else length of the detail         |
| 3      | 1     | wipe: type of the record (records.py)                             |
| 4      | 2     | wipe: block                                                       |
| 6      | 2     | wipe: flags, bit 0 a receipt is due, bit 1 carried from an old block |
| 8      | 8     | sequence, higher than the entry's before                          |
| 16     | 8     | time, Unix seconds                                                |
| 24     | 8     | handle, or 0                                                      |
| 32     | 32    | wipe: SHA-256 of the block before it; else the detail             |
| 64     | 32    | HMAC-SHA256 over the entry's hash                                 |

The entry's hash is SHA-256(hash of the entry before | bytes 0 to 63): who has one hash can check all entries
before it without a key. An entry that the power cut off is skipped; the chain goes on behind it.

A wipe is journalled as "erase_intent" before the erase and "erase_done" after the read-back. Before the
oldest block is erased to make room, the intents that are still open are written again ("carried").
"""

import struct
from hashlib import sha256

from firmware.base.compat import const
from firmware.base.errors import BadRequest, HalError
from firmware.crypto.hmac import constant_time_eq, hmac_sha256
from firmware.vault.layout import NO_HANDLE

# Numbers are stored: append only. The first group is the vault's own.
KINDS = {
    1: "provisioned",
    2: "face_put",
    3: "resident_put",
    4: "erase_intent",
    5: "erase_done",
    6: "erase_failed",
    7: "log_damaged",
    16: "consent_given",
    17: "consent_declined",
    18: "consent_withdrawn",
    19: "credential_set",
    20: "credential_dropped",
    21: "opened",
    22: "refused",
    23: "lockout",
    24: "door_alarm",
    25: "tamper",
    26: "maintenance",
    27: "clock_set",
    28: "policy_set",
    29: "camera",
    30: "started",
    31: "command_refused",
}
RECEIPT_DUE = 1
DETAIL_BYTES = 32

_INTENT = const(4)
_DONE = const(5)
_FAILED = const(6)
_CARRIED = const(2)
_MAGIC = b"MnAu"
_VERSION = const(1)
_HEAD = "<4sB3xQQ32s"
_HEAD_BYTES = const(64)
_HEAD_SIGNED = const(56)
_BODY = "<BBBBHHQQ8s32s"
_BODY_BYTES = const(64)
_ENTRY_BYTES = const(96)
_ENTRIES = const(42)
_FREE = b"\xff" * 96
_MOST_TORN = const(2)  # unreadable entries in a row that power cuts explain


class Entry:
    """One line of the log; `hash` is the chain's head after it."""

    def __init__(self, body, head: bytes):
        fields = struct.unpack(_BODY, body)
        self.kind = KINDS.get(fields[0], "unknown")
        self.source, self.reason, self.record_type, self.block, self.flags = fields[1:6]
        self.sequence, self.time, self.handle, self.payload = fields[6:]
        self.hash = head

    @property
    def detail(self) -> bytes:
        return self.payload[: self.reason] if self.kind[:6] != "erase_" else b""


class Head:
    """A block's header."""

    def __init__(self, place: int, data):
        self.place = place
        _, _, self.generation, self.sequence, self.hash = struct.unpack_from(_HEAD, data)


class Audit:
    """`pending`: block -> Entry of each wipe begun and not done; `failed`: the blocks that resisted."""

    def __init__(self, blocks, places, key, clock):
        self._blocks = blocks
        self._places = places
        self._key = key
        self._clock = clock
        self._place = places[-1]  # so that the first generation begins in places[0]
        self._slot = _ENTRIES
        self._generation = 0
        self._head = bytes(32)
        self._buffer = bytearray(_ENTRY_BYTES)
        self.next_sequence = 1
        self.pending = {}
        self.failed = set()

    def load(self) -> int:
        """Reads the whole ring, finishes an interrupted rotation; the number of breaks found in the chain."""
        breaks = 0
        for kind, item in self._walk():
            if kind == "break":
                breaks += 1
            elif kind == "entry":
                self._note(item)
            elif kind == "end":
                self._generation, self._place, self._slot, self._head, self.next_sequence = item
        if self._generation:
            self._make_room()
        if breaks:
            self.append("log_damaged", NO_HANDLE, b"%d" % breaks)
        return breaks

    def append(self, kind: str, handle, detail=b"") -> Entry:
        """Durable when it returns. `detail`: at most 32 bytes, no names, scores or secrets."""
        if len(detail) > DETAIL_BYTES or len(handle) != 8:
            raise BadRequest("an audit entry's handle or detail has a wrong size")
        return self._append(_code(kind), len(detail), 0, 0, 0, handle, bytes(detail))

    def intend(self, block: int, record_type: int, reason: int, handle, flags: int, digest) -> None:
        self._append(_INTENT, reason, record_type, block, flags, handle, digest)

    def done(self, block: int) -> Entry:
        return self._repeat(_DONE, self.pending[block])

    def failure(self, block: int) -> Entry:
        return self._repeat(_FAILED, self.pending[block])

    def skip_to(self, sequence: int) -> None:
        """Numbers below `sequence` are not given any more."""
        self.next_sequence = max(self.next_sequence, sequence)

    def entries(self, since: int):
        """The entries from sequence `since` on, oldest first; what does not authenticate is left out."""
        for kind, item in self._walk(since):
            if kind == "entry" and item.sequence >= since:
                yield item

    def _repeat(self, code: int, intent: Entry, flags: int = 0) -> Entry:
        i = intent
        return self._append(code, i.reason, i.record_type, i.block, i.flags | flags, i.handle, i.payload)

    def _note(self, entry: Entry) -> None:
        """Follows the journal, at boot and while running alike."""
        if entry.kind == "erase_intent":
            self.pending[entry.block] = entry
        elif entry.kind == "erase_done":
            self.pending.pop(entry.block, None)
            self.failed.discard(entry.block)
        elif entry.kind == "erase_failed":
            self.pending[entry.block] = entry
            self.failed.add(entry.block)

    def _append(self, code: int, reason: int, record_type: int, block: int, flags: int, handle, payload) -> Entry:
        if self._slot >= _ENTRIES:
            self._rotate()
        return self._write(code, reason, record_type, block, flags, handle, payload)

    def _write(self, code: int, reason: int, record_type: int, block: int, flags: int, handle, payload) -> Entry:
        time, source = self._clock.now()
        padded = (bytes(payload) + bytes(32))[:32]
        body = struct.pack(
            _BODY,
            code,
            source,
            reason,
            record_type,
            block,
            flags,
            self.next_sequence,
            max(0, int(time)),
            bytes(handle),
            padded,
        )
        head = sha256(self._head + body).digest()
        data = body + hmac_sha256(self._key, head)
        while True:
            slot = self._slot
            self._slot += 1
            try:
                self._blocks.program(self._place, data, _HEAD_BYTES + slot * _ENTRY_BYTES)
                break
            except HalError:  # a worn cell: the next slot
                if self._slot >= _ENTRIES:
                    raise
        self._head = head
        self.next_sequence += 1
        entry = Entry(body, head)
        self._note(entry)
        return entry

    def _rotate(self) -> None:
        """Begins the next block of the ring that can be erased, then empties the one after it."""
        at = self._places.index(self._place)
        for step in range(1, len(self._places)):
            place = self._places[(at + step) % len(self._places)]
            try:
                self._blocks.ensure_erased(place)
                self._begin(place)
                break
            except HalError:
                self._blocks.scrub(place)
        else:
            raise HalError("no block of the audit log can be written")
        self._make_room()

    def _begin(self, place: int) -> None:
        head = struct.pack(_HEAD, _MAGIC, _VERSION, self._generation + 1, self.next_sequence, self._head)
        self._blocks.program(place, head + hmac_sha256(self._key, head)[:8])
        self._generation += 1
        self._place = place
        self._slot = 0

    def _make_room(self) -> None:
        """Erases the block after the one in use, its open intents carried over first."""
        at = self._places.index(self._place)
        place = self._places[(at + 1) % len(self._places)]
        if self._blocks.is_erased(place):
            return
        for intent in list(self.pending.values()):
            if self._slot >= _ENTRIES:
                break
            code = _FAILED if intent.block in self.failed else _INTENT
            self._repeat_here(code, intent)
        try:
            self._blocks.erase(place)
        except HalError:
            self._blocks.scrub(place)

    def _repeat_here(self, code: int, i: Entry) -> None:
        self._write(code, i.reason, i.record_type, i.block, i.flags | _CARRIED, i.handle, i.payload)

    def _heads(self) -> list:
        found = []
        for place in self._places:
            data = self._blocks.read(place, _HEAD_BYTES)
            whole = data[:4] == _MAGIC and data[4] == _VERSION
            if whole and constant_time_eq(hmac_sha256(self._key, data[:_HEAD_SIGNED])[:8], data[_HEAD_SIGNED:]):
                found.append(Head(place, data))
        return sorted(found, key=lambda head: head.generation)

    def _walk(self, since: int = 0):
        """("entry", Entry) from `since`'s block on, ("break", None) where the chain does not hold, and at last
        ("end", state to go on from)."""
        heads = self._heads()
        chain, sequence = bytes(32), 1
        for i, head in enumerate(heads):
            if i and not _follows(heads[i - 1], head, chain, sequence):
                yield "break", None
            if i + 1 < len(heads) and heads[i + 1].sequence <= since:
                chain, sequence = heads[i + 1].hash, heads[i + 1].sequence
                continue
            chain, sequence = head.hash, max(sequence, head.sequence)
            used = bad = 0
            for slot, entry in self._read_block(head):
                used, bad = slot + 1, 0 if entry else bad + 1
                if entry:
                    chain, sequence = entry.hash, entry.sequence + 1
                    yield "entry", entry
            sequence += bad  # a number that an unreadable entry may have had is not given again
            if bad > _MOST_TORN:
                yield "break", None
            if i + 1 == len(heads):
                yield "end", (head.generation, head.place, used, chain, sequence)

    def _read_block(self, head: Head):
        """(slot, Entry or None for an unreadable one) of every slot that is not free."""
        chain = head.hash
        data = self._buffer
        for slot in range(_ENTRIES):
            self._blocks.read_into(head.place, data, _HEAD_BYTES + slot * _ENTRY_BYTES)
            if data == _FREE:
                continue
            body = data[:_BODY_BYTES]
            digest = sha256(chain + body).digest()
            if constant_time_eq(hmac_sha256(self._key, digest), data[_BODY_BYTES:]):
                chain = digest
                yield slot, Entry(body, digest)
            else:
                yield slot, None


def _follows(before: Head, head: Head, chain: bytes, sequence: int) -> bool:
    return before.generation + 1 == head.generation and chain == head.hash and sequence <= head.sequence


def _code(kind: str) -> int:
    for code, known in KINDS.items():
        if known == kind:
            return code
    raise BadRequest("unknown kind of audit entry")
