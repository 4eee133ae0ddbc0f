"""The record blocks: which holds what, where the next one goes, and how one record takes another's place."""

from firmware.base.errors import BadRequest, EraseFailed, HalError, NotFound, VaultCorrupt, VaultFull
from firmware.crypto.seal import sealed_bytes
from firmware.vault.layout import NO_HANDLE
from firmware.vault.records import COMMITTED, CORRUPT, DEBRIS, FACE, FREE, UNFINISHED


class Pool:
    """`index`: (type, handle) -> (block, sequence, expiry) of the records in use.
    `corrupt`: block -> (type, handle) of the damaged ones."""

    def __init__(self, blocks, layout, records, audit, wiper, start: int):
        self._blocks = blocks
        self._places = layout.records
        self._reserve = layout.reserve
        self._records = records
        self._audit = audit
        self._wiper = wiper
        self._cursor = self._places[start % len(self._places)]
        self._taken = set()
        self.index = {}
        self.corrupt = {}

    @property
    def free(self) -> int:
        return len(self._places) - len(self._taken)

    def handles(self, kind: int) -> list:
        return [handle for known, handle in self.index if known == kind]

    def scan(self) -> int:
        """Indexes the records, erases what is superseded or half-written; the number of half-written ones.

        Reads headers, commit words and seals; whether a free block is erased to its last byte its use checks.
        """
        stale = []
        for block in self._places:
            if block in self._wiper.open_blocks:
                self._taken.add(block)
                continue
            state, header = self._records.classify(block)
            if state != FREE:
                self._taken.add(block)
            if header:
                self._audit.skip_to(header.sequence + 1)
            if state == COMMITTED:
                stale += self._index_record(block, header)
            elif state == CORRUPT:
                self.corrupt[block] = (header.type, header.handle)
            elif state == UNFINISHED:
                stale.append((block, header.type, "unfinished", header.handle))
            elif state == DEBRIS:
                stale.append((block, 0, "unreadable", NO_HANDLE))
        for item in stale:
            self._discard(*item)
        return len([item for item in stale if item[2] == "unfinished"])

    def put(self, kind: int, handle, body, face=None, detail: bytes = b"") -> None:
        """Writes and commits a record, then wipes the one it replaces. `face` as in Records.header."""
        if len(handle) != 8 or bytes(handle) == NO_HANDLE:
            raise BadRequest("A handle has 8 bytes, not all zero.")
        handle = bytes(handle)
        olds = self._held(kind, handle)
        block = self._allocate(replacing=bool(olds))
        header = self._records.header(kind, handle, self._audit.next_sequence, sealed_bytes(len(body)), face)
        try:
            self._records.write(block, header, body)
            # Logged before the commit: no template is ever in use without its line in the log.
            self._audit.append("face_put" if kind == FACE else "resident_put", handle, detail)
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
            del self.index[key]
            raise

    def wipe(self, kind: int, handle, reason: str) -> list:
        """The closing audit entries of every block that holds this record, the one in use last."""
        handle = bytes(handle)
        blocks = self._wiper.open_of(kind, handle) + self._held(kind, handle)
        if not blocks:
            raise NotFound("Nothing is stored under this handle.")
        self.index.pop((kind, handle), None)
        return self._wipe_blocks(blocks, kind, reason, handle)

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
                self._taken.discard(block)
            except EraseFailed as error:
                failure = error
        if failure:
            raise failure
        return done

    def _discard(self, block: int, kind: int, reason: str, handle: bytes) -> bool:
        """Erases a block that nobody uses; False when it resists, and is out of use from then on."""
        self._taken.add(block)
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

    def _allocate(self, replacing: bool) -> int:
        """An erased block, searched from behind the last one taken, so that wear spreads."""
        if self.free <= (0 if replacing else self._reserve):
            raise VaultFull("The vault has no free block.")
        for _ in range(len(self._places)):
            block = self._cursor
            self._cursor = block + 1 if block + 1 in self._places else self._places[0]
            if block not in self._taken and self._make_ready(block):
                self._taken.add(block)
                return block
        raise VaultFull("The vault has no usable block.")

    def _make_ready(self, block: int) -> bool:
        return self._blocks.is_erased(block) or self._discard(block, 0, "unreadable", NO_HANDLE)
