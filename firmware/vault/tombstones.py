"""Tombstones: what the host knows to be erased, so that an older copy of the flash cannot bring it back.

The record's body (type 4): per tombstone type of the record u8, handle 8, sequence u64, little endian. A record of
that type and handle whose sequence is not higher is refused. The host keeps the whole list and sends it again to a
panel that may have been restored; here the newest are kept.
"""

import struct

from firmware.base.compat import const
from firmware.base.errors import EraseFailed
from firmware.vault.records import FACE, RESIDENT, TOMBSTONES

KINDS = {"face": FACE, "resident": RESIDENT}
_TOMBSTONE = "<B8sQ"
_TOMBSTONE_BYTES = const(17)
_MOST = const(210)
_HANDLE = b"tombston"


class Tombstones:
    """`by_key`: (type, handle) -> sequence."""

    def __init__(self, pool, audit):
        self._pool = pool
        self._audit = audit
        self.by_key = {}

    def load(self) -> None:
        if _HANDLE in self._pool.handles(TOMBSTONES):
            body = self._pool.read(TOMBSTONES, _HANDLE)[1]
            for at in range(0, len(body), _TOMBSTONE_BYTES):
                kind, handle, sequence = struct.unpack_from(_TOMBSTONE, body, at)
                self.by_key[(kind, handle)] = sequence

    def add(self, items: list) -> None:
        """`items`: (type, handle, sequence or 0, time). What is written from now on has a higher sequence."""
        grown = dict(self.by_key)
        for kind, handle, sequence, time in items:
            key = (kind, bytes(handle))
            sequence = sequence or self._pool.sequence_until(key, time)
            if sequence:
                grown[key] = max(sequence, grown.get(key, 0))
        if grown == self.by_key:
            return
        newest = sorted([(sequence, key) for key, sequence in grown.items()])[-_MOST:]
        self._audit.skip_to(newest[-1][0] + 1)
        body = b"".join([struct.pack(_TOMBSTONE, key[0], key[1], sequence) for sequence, key in newest])
        try:
            self._pool.put(TOMBSTONES, _HANDLE, body)
        except EraseFailed:
            pass  # stored; the block of the list it replaces is quarantined
        self.by_key = {key: sequence for sequence, key in newest}

    def risen(self) -> list:
        """(type, handle) of the records that lie under a tombstone."""
        index = self._pool.index
        return [key for key, sequence in self.by_key.items() if key in index and index[key][1] <= sequence]
