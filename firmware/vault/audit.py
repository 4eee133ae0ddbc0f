"""The audit log and wipe journal: authenticated entries, chained by their hashes (chain.py), in a ring of blocks.

Block header, 64 bytes:
| offset | bytes | field                                                             |
|--------|-------|-------------------------------------------------------------------|
| 0      | 4     | magic, ASCII "MnAu"                                               |
| 4      | 1     | version of this format: 1; then 3 bytes 0                         |
| 8      | 8     | generation: 1 for the first block ever begun, then one more each  |
| 16     | 8     | sequence of the block's first entry                               |
| 24     | 32    | hash of the entry before it (32 bytes 0 before the very first)    |
| 56     | 8     | first 8 bytes of HMAC-SHA256 over bytes 0 to 55                   |

Then 36 entries of 112 bytes:
| offset | bytes | field                                                             |
|--------|-------|-------------------------------------------------------------------|
| 0      | 64    | body, see chain.py                                                |
| 64     | 32    | the entry's hash                                                  |
| 96     | 16    | first 16 bytes of HMAC-SHA256 over bytes 0 to 95                  |

Each entry stands on its own MAC and brings its hash: one that the power cut off is skipped and the next follows
the one before it; one that was altered or taken out later shows where the next does not follow.

A wipe is journalled as "erase_intent" before the erase and "erase_done" after the read-back. The two blocks
after the one in use are kept erased. Before the oldest block is erased to make that room, or because its entries
have grown too old, the intents still open are written again ("carried") and receipts that nobody has
acknowledged are handed to `keep`.
"""

import struct

from firmware.base.compat import const
from firmware.base.errors import BadRequest, HalError, VaultFull
from firmware.crypto.hmac import Keyed, constant_time_eq
from firmware.vault.chain import BODY_BYTES, CARRIED, KINDS, RECEIPT_DUE, START, Entry, build, link
from firmware.vault.layout import NO_HANDLE

DETAIL_BYTES = 32

_INTENT = const(4)
_DONE = const(5)
_FAILED = const(6)
_MAGIC = b"MnAu"
_VERSION = const(1)
_HEAD = "<4sB3xQQ32s"
_HEAD_BYTES = const(64)
_HEAD_SIGNED = const(56)
_MAC_AT = const(96)
_ENTRY_BYTES = const(112)
_ENTRIES = const(36)
_FREE = b"\xff" * 112
_COUNTER = "log"


class Head:
    """A block's header."""

    def __init__(self, place: int, data):
        self.place = place
        _, _, self.generation, self.sequence, self.hash = struct.unpack_from(_HEAD, data)


class Audit:
    """`pending`: block -> Entry of each wipe begun and not done; `failed`: the blocks that resisted.
    `due`: sequence -> place of each receipt in the ring that nobody has acknowledged.
    `damage`: (what, sequence, place) of each break that load() found in the chain: "altered" entries behind that
    sequence, a "missing" block, a cut-off "tail".
    `keep`: function(entries) that stores receipts elsewhere, VaultFull when it cannot now."""

    def __init__(self, blocks, places, key, clock, counters):
        self._blocks = blocks
        self._places = places
        self._mac = Keyed(key).mac
        self._clock = clock
        self._counters = counters
        self._place = places[-1]  # so that the first generation begins in places[0]
        self._slot = _ENTRIES
        self._generation = 0
        self._head = START
        self._buffer = bytearray(_ENTRY_BYTES)
        self._resisting = set()
        self._making_room = False
        self._acknowledged = 0
        self.next_sequence = 1
        self.pending = {}
        self.failed = set()
        self.due = {}
        self.damage = []
        self.keep = None

    def load(self, acknowledged: int = 0) -> None:
        """Reads the whole ring; settle() must follow once `keep` can be called."""
        self._acknowledged = acknowledged
        for kind, item in self._walk():
            if kind == "break":
                self.damage.append(item)
            elif kind == "entry":
                self._note(item)
            else:
                self._generation, self._place, self._slot, self._head, self.next_sequence = item
        begun = self._counters.get(_COUNTER)
        if self._generation < begun:
            self.lost_tail(self.next_sequence + _ENTRIES * (begun - self._generation))
            self._generation = begun

    def settle(self) -> None:
        """Finishes an interrupted rotation and logs damage that was not known before."""
        if self._generation:
            self._make_room()
        for what, sequence, place in self.damage:
            detail = b"%s %d @%d" % (what.encode(), sequence, place)
            if not any([e.kind == "log_damaged" and e.detail == detail for e in self.entries(0)]):
                self.append("log_damaged", NO_HANDLE, detail)

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

    def forget(self, block: int) -> bool:
        """A wipe that is known to be done although its closing entry cannot be read; True."""
        self.failed.discard(block)
        return self.pending.pop(block, None) is not None

    def lost_tail(self, sequence: int) -> None:
        """Something shows that entries below `sequence` were here that are not any more."""
        self.damage.append(("tail", self.next_sequence, self._place))
        self.next_sequence = sequence

    @property
    def backlog(self) -> int:
        """How many blocks the receipts may still need that only the ring holds."""
        return (len(self.due) + _ENTRIES - 1) // _ENTRIES

    def skip_to(self, sequence: int) -> None:
        """Numbers below `sequence` are not given any more."""
        self.next_sequence = max(self.next_sequence, sequence)

    def acknowledge(self, sequence: int) -> None:
        """The receipts up to `sequence` are the host's: rotation need not keep them."""
        self._acknowledged = sequence
        for number in [n for n in self.due if n <= sequence]:
            del self.due[number]

    def entries(self, since: int):
        """The entries from sequence `since` on, oldest first; what does not authenticate is left out."""
        for kind, item in self._walk(since):
            if kind == "entry" and item.sequence >= since:
                yield item

    def before(self, since: int):
        """The hash that the first of entries(since) follows."""
        chain = None
        for head in self._heads():
            if chain is None or head.sequence <= since:
                chain = head.hash
        for kind, item in self._walk(since):
            if kind == "entry":
                if item.sequence >= since:
                    break
                chain = item.hash
        return chain or START

    @property
    def head(self) -> bytes:
        """The hash of the newest entry."""
        return self._head

    def purge(self, now: int, age_s: int) -> int:
        """Erases the blocks that hold an entry older than `age_s`; how many. What is in use is first closed.

        A block is begun at least so often that none holds back a younger one's entries for long.
        """
        span_s = age_s // max(1, len(self._places) - 3)
        heads = self._heads()
        begun = [self._begun(head) for head in heads]
        if heads and begun[-1] and now - begun[-1] >= span_s:
            self._rotate()
        purged = 0
        for i, head in enumerate(heads):
            times = [time for time in begun[i:] if time]
            # Where no time is known in a block, it is older than the first known one behind it.
            if head.place == self._place or not times or now - times[0] < age_s or not self._evict(head.place):
                break
            purged += 1
        if purged:
            self.append("log_purged", NO_HANDLE, b"%d" % purged)
        return purged

    def _begun(self, head: Head) -> int:
        """The first time in a block that a clock vouched for, or 0."""
        for _, entry in self._read_block(head):
            if entry and entry.source:
                return entry.time
        return 0

    def _repeat(self, code: int, i: Entry, flags: int = 0) -> Entry:
        return self._append(code, i.reason, i.record_type, i.block, i.flags | flags, i.handle, i.payload)

    def _note(self, entry: Entry) -> None:
        """Follows the journal, at boot and while running alike."""
        if entry.kind == "erase_intent":
            self.pending[entry.block] = entry
        elif entry.kind == "erase_done":
            self.pending.pop(entry.block, None)
            self.failed.discard(entry.block)
            if entry.flags & RECEIPT_DUE and entry.sequence > self._acknowledged:
                self.due[entry.sequence] = entry.place
        elif entry.kind == "erase_failed":
            self.pending[entry.block] = entry
            self.failed.add(entry.block)

    def _append(self, code: int, *fields) -> Entry:
        """`fields`: reason, type of record, block, flags, handle, payload."""
        while True:
            if self._slot >= _ENTRIES:
                self._rotate()
            if self._slot < _ENTRIES:  # else what was carried over filled the new block
                try:
                    return self._write(code, *fields)
                except HalError:
                    if self._slot < _ENTRIES:
                        raise

    def _write(self, code: int, reason: int, record_type: int, block: int, flags: int, handle, payload) -> Entry:
        time, source = self._clock.now()
        padded = (bytes(payload) + bytes(32))[:32]
        rest = (self.next_sequence, max(0, int(time)), bytes(handle), padded)
        body = build(code, source, reason, record_type, block, flags, *rest)
        head = link(self._head, body)
        data = body + head
        data += self._mac(data)[: _ENTRY_BYTES - _MAC_AT]
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
        entry = Entry(body, head, self._place)
        self._note(entry)
        return entry

    # The ring

    def _rotate(self) -> None:
        """Begins the next block of the ring, then sees to it that two erased ones follow."""
        full = self._place
        self._make_room()
        if self._place != full:  # so much had to be carried over
            return
        for place in self._following():
            if not self._blocks.is_erased(place):
                break  # it could not be emptied yet
            try:
                self._begin(place)
            except HalError:
                self._resist(place)
                continue
            self._make_room()
            return
        raise HalError("no block of the audit log can be written")

    def _begin(self, place: int) -> None:
        head = struct.pack(_HEAD, _MAGIC, _VERSION, self._generation + 1, self.next_sequence, self._head)
        self._blocks.program(place, head + self._mac(head)[:8])
        self._generation += 1
        self._place = place
        self._slot = 0
        try:
            self._counters.set(_COUNTER, self._generation)
        except HalError:
            pass  # it only helps to tell later that the end of the log is missing

    def _following(self) -> list:
        """The ring's usable blocks behind the one in use, in order."""
        at = self._places.index(self._place)
        order = self._places[at + 1 :] + self._places[:at]
        return [place for place in order if place not in self._resisting]

    def _make_room(self) -> None:
        if self._making_room:  # by an entry that making room wrote
            return
        self._making_room = True
        try:
            for _ in self._places:
                full = [place for place in self._following()[:2] if not self._blocks.is_erased(place)]
                if not full or not self._evict(full[0]):
                    return
        finally:
            self._making_room = False

    def _evict(self, place: int) -> bool:
        """Empties a block whose entries still needed go elsewhere first; False when they cannot go now."""
        nested, self._making_room = self._making_room, True
        try:
            self._carry(place)
        except (HalError, VaultFull):
            return False
        finally:
            self._making_room = nested
        try:
            self._blocks.erase(place)
        except HalError:
            self._resist(place)
        return True

    def _carry(self, place: int) -> None:
        for intent in [i for i in self.pending.values() if i.place == place]:
            self._repeat(_FAILED if intent.block in self.failed else _INTENT, intent, CARRIED)
        wanted = [number for number in self.due if self.due[number] == place]
        if wanted:
            head = [head for head in self._heads() if head.place == place]
            entries = [entry for _, entry in self._read_block(head[0]) if entry] if head else []
            self.keep([entry for entry in entries if entry.sequence in wanted])
            for number in wanted:
                self.due.pop(number, None)

    def _resist(self, place: int) -> None:
        """Out of use until the next start, its bits cleared as far as they go."""
        self._resisting.add(place)
        self._blocks.scrub(place)

    # Reading

    def _heads(self) -> list:
        found = []
        for place in self._places:
            data = self._blocks.read(place, _HEAD_BYTES)
            whole = data[:4] == _MAGIC and data[4] == _VERSION
            if whole and constant_time_eq(self._mac(data[:_HEAD_SIGNED])[:8], data[_HEAD_SIGNED:]):
                found.append(Head(place, data))
        return sorted(found, key=lambda head: head.generation)

    def _walk(self, since: int = 0):
        """("entry", Entry) from `since`'s block on, ("break", (what, sequence, place)) where the chain does not
        hold, and at last ("end", state to go on from)."""
        heads = self._heads()
        chain = sequence = last = None
        for i, head in enumerate(heads):
            if last is not None:
                if last.generation + 1 != head.generation:
                    yield "break", ("missing", sequence, head.place)
                elif chain != head.hash:
                    yield "break", ("altered", sequence, last.place)
            if i + 1 < len(heads) and heads[i + 1].sequence <= since:
                last = None
                continue
            chain, last = head.hash, head
            sequence = max(sequence or 0, head.sequence)
            used = bad = 0
            for slot, entry in self._read_block(head):
                used = slot + 1
                if entry is None:
                    bad += 1
                    continue
                if link(chain, entry.body) != entry.hash:
                    yield "break", ("altered", sequence, head.place)
                chain, sequence, bad = entry.hash, entry.sequence + 1, 0
                yield "entry", entry
            sequence += bad  # a number that an unreadable entry may have had is not given again
            if i + 1 == len(heads):
                yield "end", (head.generation, head.place, used, chain, sequence)

    def _read_block(self, head: Head):
        """(slot, Entry or None for an unreadable one) of every slot that is not free."""
        data = self._buffer
        for slot in range(_ENTRIES):
            self._blocks.read_into(head.place, data, _HEAD_BYTES + slot * _ENTRY_BYTES)
            if data == _FREE:
                continue
            if constant_time_eq(self._mac(data[:_MAC_AT])[: _ENTRY_BYTES - _MAC_AT], data[_MAC_AT:]):
                yield slot, Entry(data[:BODY_BYTES], bytes(data[BODY_BYTES:_MAC_AT]), head.place)
            else:
                yield slot, None


def _code(kind: str) -> int:
    for code, known in KINDS.items():
        if known == kind:
            return code
    raise BadRequest("unknown kind of audit entry")
