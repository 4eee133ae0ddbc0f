"""The record blocks: which holds what, where the next one goes, and how one record takes another's place."""

from firmware.base.errors import BadRequest, EraseFailed, HalError, NotFound, VaultCorrupt, VaultFull
from firmware.crypto.seal import sealed_bytes
from firmware.vault.index import Index
from firmware.vault.layout import BLOCK_BYTES, NO_HANDLE
from firmware.vault.records import COMMITTED, CORRUPT, DEBRIS, FACE, FREE, PUT, RECEIPTS, UNFINISHED

_PATTERNS = (b"\x55", b"\0")  # every bit goes from 1 to 0, half of them beside a neighbour that has not yet


class Pool:
    """`index`: (type, handle) -> (block, sequence, expiry) of the records in use.
    `corrupt`: block -> (type, handle) of those found damaged while in use; the next start erases them."""

    def __init__(self, blocks, layout, records, audit, wiper, start: int):
        self._blocks = blocks
        self._places = layout.records
        self._reserve = layout.reserve
        self._records = records
        self._audit = audit
        self._wiper = wiper
        self._cursor = self._places[start % len(self._places)]
        self._taken = bytearray(self._places[-1] + 1)  # 1 for each block that is
        self.index = Index(self._places[-1] + 1)
        self.corrupt = {}

    @property
    def free(self) -> int:
        return len(self._places) - sum(self._taken)

    def handles(self, kind: int) -> list:
        return self.index.handles(kind)

    def scan(self) -> list:
        """Indexes the records; what is half-written, damaged or superseded comes back for discard().

        Reads headers, commit words and seals; whether a free block is erased to its last byte its use checks.
        """
        stale = []
        same = {}  # a resident's records share the handle's bytes
        for block in self._places:
            state, header = self._records.classify(block)
            newer = header.sequence if state == COMMITTED else 0
            if block in self._wiper.open_blocks and not self._wiper.was_done(block, newer):
                self._taken[block] = 1
                continue
            if state != FREE:
                self._taken[block] = 1
            if state == COMMITTED:
                self._audit_knows(header.sequence)
                header.handle = same.setdefault(header.handle, header.handle)
                stale += self._index_record(block, header)
            elif state == CORRUPT:
                stale.append((block, header.type, "unreadable", header.handle))
            elif state == UNFINISHED:
                stale.append((block, header.type, "unfinished", header.handle))
            elif state == DEBRIS:
                stale.append((block, 0, "unreadable", NO_HANDLE))
        return stale

    def discard(self, stale: list) -> None:
        for item in stale:
            self._discard(*item)

    def release(self, blocks: list) -> None:
        """These are erased now."""
        for block in blocks:
            self._taken[block] = 0

    def put(self, kind: int, handle, body, face=None, detail: bytes = b"") -> None:
        """Writes and commits a record, then wipes the one it replaces. `face` as in Records.header."""
        if len(handle) != 8 or bytes(handle) == NO_HANDLE:
            raise BadRequest("A handle has 8 bytes, not all zero.")
        handle = bytes(handle)
        olds = self._held(kind, handle)
        block = self._allocate(self._needed(kind, bool(olds)))
        header = self._records.header(kind, handle, self._audit.next_sequence, sealed_bytes(len(body)), face)
        try:
            self._records.write(block, header, body)
            # Logged before the commit: no template is ever in use without its line in the log.
            self._audit.append(PUT[kind], handle, detail)
            self._records.commit(block)
        except HalError:
            self._discard(block, kind, "unfinished", handle)
            raise
        self.index[(kind, handle)] = (block, header.sequence, header.expiry)
        self._wipe_blocks(olds, kind, "replaced", handle)

    def read(self, kind: int, handle) -> tuple:
        """(Header, body as a bytearray that the caller zeroes)."""
        key = (kind, bytes(handle))
        slot = self.index.get(key)
        if slot is None:
            raise NotFound("Nothing is stored under this handle.")
        try:
            header, body = self._records.read(slot[0])
            if (header.type, header.handle) != key:
                raise VaultCorrupt("A block holds another record than it did.")
            return header, body
        except VaultCorrupt:
            self.corrupt[slot[0]] = key
            self.index.drop(key)
            raise

    def sequence_until(self, key: tuple, time: int) -> int:
        """The sequence of the record (type, handle) if it was not written after `time`, else 0."""
        slot = self.index.get(key)
        return slot[1] if slot and self._records.time(slot[0]) <= time else 0

    def wipe(self, kind: int, handle, reason: str) -> list:
        """The closing audit entries of every block that holds this record, the one in use last."""
        handle = bytes(handle)
        blocks = self._wiper.open_of(kind, handle) + self._held(kind, handle)
        if not blocks:
            raise NotFound("Nothing is stored under this handle.")
        self.index.drop((kind, handle))
        return self._wipe_blocks(blocks, kind, reason, handle)

    def exercise(self) -> int:
        """Programs, reads back and erases a block that holds nothing; its number. VaultFull when none is free.

        One that fails is out of use from then on. A power cut leaves what the next start takes for debris.
        """
        block = self._allocate(1)
        try:
            for pattern in _PATTERNS:
                self._blocks.program(block, pattern * BLOCK_BYTES)
            self._blocks.erase(block)
        except (HalError, EraseFailed):
            self._discard(block, 0, "unreadable", NO_HANDLE)
            raise
        self._taken[block] = 0
        return block

    def check(self):
        """A generator: reads every block as a start does, one a step."""
        for block in self._places:
            self._records.classify(block)
            yield block

    def _held(self, kind: int, handle: bytes) -> list:
        """The damaged blocks of this record, then the one in use."""
        found = [block for block, key in self.corrupt.items() if key == (kind, handle)]
        slot = self.index.get((kind, handle))
        return found + [slot[0]] if slot else found

    def _wipe_blocks(self, blocks: list, kind: int, reason: str, handle: bytes) -> list:
        """Begins all before it erases any, and erases all that can be before it reports one that cannot."""
        for block in blocks:
            self._wiper.begin(block, kind, reason, handle)
            self.corrupt.pop(block, None)
        done = []
        failure = None
        for block in blocks:
            try:
                done.append(self._wiper.finish(block))
                self._taken[block] = 0
            except EraseFailed as error:
                failure = error
        if failure:
            raise failure
        return done

    def _discard(self, block: int, kind: int, reason: str, handle: bytes) -> bool:
        """Erases a block that nobody uses; False when it resists, and is out of use from then on."""
        self._taken[block] = 1
        try:
            self._wipe_blocks([block], kind, reason, handle)
        except EraseFailed:
            return False
        return True

    def _index_record(self, block: int, header) -> list:
        """Takes the newer of two records of a handle; the older one, if any, for scan's list of stale blocks."""
        key = (header.type, header.handle)
        slot = (block, header.sequence, header.expiry)
        held = self.index.get(key)
        newer = slot if held is None or slot[1] > held[1] else held
        self.index[key] = newer
        if held is None:
            return []
        older = held if newer is slot else slot
        return [(older[0], header.type, "replaced", header.handle)]

    def _audit_knows(self, sequence: int) -> None:
        """A record in use has its line in the log: a log that ends before it has lost its tail."""
        if sequence >= self._audit.next_sequence:
            self._audit.lost_tail(sequence + 1)

    def _needed(self, kind: int, replacing: bool) -> int:
        """How many blocks must be free for a record. A face never takes one that a receipt will need: each
        erased face frees a block for that, but one that is replaced does not."""
        if not replacing and kind != RECEIPTS:
            return 1 + self._reserve
        return 2 + self._audit.backlog if kind == FACE else 1

    def _allocate(self, needed: int) -> int:
        """An erased block, searched from behind the last one taken, so that wear spreads."""
        if self.free < needed:
            if self.free >= 1 + self._reserve:
                raise VaultFull("The last blocks are for receipts: fetch and acknowledge those that wait.")
            raise VaultFull("The vault has no free block.")
        for _ in range(len(self._places)):
            block = self._cursor
            self._cursor = block + 1 if block + 1 in self._places else self._places[0]
            if not self._taken[block] and self._make_ready(block):
                self._taken[block] = 1
                return block
        raise VaultFull("The vault has no usable block.")

    def _make_ready(self, block: int) -> bool:
        return self._blocks.is_erased(block) or self._discard(block, 0, "unreadable", NO_HANDLE)
