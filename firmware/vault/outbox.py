"""Receipts that have left the log's ring and that the host has not acknowledged, as records of type 3.

A record's handle is the sequence of its first receipt. Its body: per receipt, little endian,
| offset | bytes | field                                  |
|--------|-------|----------------------------------------|
| 0      | 8     | sequence of the entry "erase_done"     |
| 8      | 8     | its time                               |
| 16     | 1     | how the time is known                  |
| 17     | 1     | reason                                 |
| 18     | 2     | block                                  |
| 20     | 8     | handle of the erased record            |
| 28     | 32    | SHA-256 of the block before            |
| 60     | 32    | the entry's hash                       |
"""

import struct

from firmware.base.compat import const
from firmware.base.errors import EraseFailed, NotFound, VaultCorrupt
from firmware.vault.records import RECEIPTS

_RECEIPT = "<QQBBH8s32s32s"
_RECEIPT_BYTES = const(92)
MOST = const(38)  # in one record


class Kept:
    """What a receipt needs of the entry that closed its wipe."""

    def __init__(self, fields: tuple):
        self.sequence, self.time, self.source, self.reason, self.block = fields[:5]
        self.handle, self.payload, self.hash = fields[5:]


class Outbox:
    """`numbers`: the sequences of the receipts that are here."""

    def __init__(self, pool):
        self._pool = pool
        self._records = {}  # first sequence -> all sequences

    @property
    def numbers(self) -> list:
        return [number for numbers in self._records.values() for number in numbers]

    def load(self) -> None:
        for handle in self._pool.handles(RECEIPTS):
            numbers = [kept.sequence for kept in self._read(handle)]
            if numbers:
                self._records[_number(handle)] = numbers

    def keep(self, entries: list) -> None:
        """Stores what is not here yet; VaultFull when there is no block for it."""
        last = max([max(numbers) for numbers in self._records.values()] or [0])
        entries = [entry for entry in entries if entry.sequence > last]
        if not entries:
            return
        first, held = entries[0].sequence, []
        if self._records:
            newest = max(self._records)
            if len(self._records[newest]) + len(entries) <= MOST:
                first, held = newest, self._read(_handle(newest))
        everything = held + entries
        try:
            self._pool.put(RECEIPTS, _handle(first), b"".join([_pack(entry) for entry in everything]))
        except EraseFailed:
            pass  # stored; the block of the list it replaces is quarantined
        self._records[first] = [entry.sequence for entry in everything]

    def receipts(self) -> list:
        """All, oldest first."""
        found = []
        for first in sorted(self._records):
            found += self._read(_handle(first))
        return found

    def acknowledge(self, sequence: int) -> None:
        """Drops the records whose every receipt is acknowledged."""
        for first in [f for f, numbers in self._records.items() if max(numbers) <= sequence]:
            del self._records[first]
            try:
                self._pool.wipe(RECEIPTS, _handle(first), "removed")
            except EraseFailed:
                pass  # it is out of use, and holds no template

    def _read(self, handle: bytes) -> list:
        """[] when the flash has lost the record; the log says so at the next start."""
        try:
            body = self._pool.read(RECEIPTS, handle)[1]
        except (NotFound, VaultCorrupt):
            self._records.pop(_number(handle), None)
            return []
        return [Kept(struct.unpack_from(_RECEIPT, body, at)) for at in range(0, len(body), _RECEIPT_BYTES)]


def _pack(e) -> bytes:
    return struct.pack(_RECEIPT, e.sequence, e.time, e.source, e.reason, e.block, e.handle, e.payload, e.hash)


def _handle(number: int) -> bytes:
    return struct.pack("<Q", number)


def _number(handle: bytes) -> int:
    return struct.unpack("<Q", handle)[0]
