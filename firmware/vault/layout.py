"""Where things lie in the vault's partition, and the numbers its formats share. All integers little endian.

| blocks                 | content                                              |
|------------------------|------------------------------------------------------|
| 0, 1                   | keys, the same record twice (keys.py)                |
| 2, 3                   | counters, one in use (counters.py)                   |
| 4 .. 4 + audit - 1     | audit log and wipe journal, a ring (audit.py)        |
| the rest               | records, one block each, placed freely (records.py)  |

A block is committed by a word programmed after everything else in it. The version in the key blocks stands for
all formats here: whatever is changed, that one rises first, and older firmware then refuses the vault whole.
"""

import struct

from firmware.base.compat import const

FORMAT = 1  # the key record's version
BLOCK_BYTES = 4096
COMMIT = b"\x4f\x4b\x21\x06"  # the word that commits; erased flash holds FF FF FF FF there
NO_HANDLE = b"\0" * 8

_KEYS = (0, 1)
_COUNTERS = (2, 3)
_FIRST_AUDIT = const(4)
_MOST_AUDIT = const(16)
_LEAST_AUDIT = const(4)  # one in use, two erased, one to empty
_LARGE_POOL = const(256)
_LARGE_RESERVE = const(4)
_SMALL_RESERVE = const(2)


class Layout:
    """The geometry that follows from the number of blocks, the same over the life of a partition."""

    def __init__(self, block_count: int):
        audit = max(_LEAST_AUDIT, min(_MOST_AUDIT, block_count // 8))
        self.keys = _KEYS
        self.counters = _COUNTERS
        self.audit = tuple(range(_FIRST_AUDIT, _FIRST_AUDIT + audit))
        self.records = range(_FIRST_AUDIT + audit, block_count)
        if len(self.records) < 4:
            raise ValueError("the vault's partition is too small")
        # Blocks that no new record may take, so that a stored one can always be replaced (new first, then wipe)
        # and receipts can be kept.
        self.reserve = _LARGE_RESERVE if len(self.records) >= _LARGE_POOL else _SMALL_RESERVE


def u32(value: int) -> bytes:
    return struct.pack("<I", value)
