"""Where the records in use lie: a mapping (type, handle) -> (block, sequence, expiry).

Numbers lie in arrays by block and handles in a dict for each type: as tuples they would take three times the RAM, a
thousand times.
"""

from array import array


class Index:
    """For blocks below `block_count`."""

    def __init__(self, block_count: int):
        self._blocks = {}  # type -> handle -> block
        self._sequences = array("Q", bytes(8 * block_count))
        self._expiries = array("I", bytes(4 * block_count))

    def __contains__(self, key: tuple) -> bool:
        return key[1] in self._blocks.get(key[0], ())

    def __getitem__(self, key: tuple) -> tuple:
        return self._slot(self._blocks[key[0]][key[1]])

    def __setitem__(self, key: tuple, slot: tuple) -> None:
        block, sequence, expiry = slot
        self._sequences[block], self._expiries[block] = sequence, expiry
        self._blocks.setdefault(key[0], {})[key[1]] = block

    def get(self, key: tuple):
        """None for what is not there."""
        block = self._blocks.get(key[0], {}).get(key[1])
        return None if block is None else self._slot(block)

    def drop(self, key: tuple) -> None:
        if key in self:
            del self._blocks[key[0]][key[1]]

    def handles(self, kind: int) -> list:
        return list(self._blocks.get(kind, ()))

    def items(self):
        for kind, blocks in self._blocks.items():
            for handle, block in blocks.items():
                yield (kind, handle), self._slot(block)

    def expired(self, kind: int, now: int) -> list:
        """Handles of the records that expired before `now`; 0 never does."""
        blocks = self._blocks.get(kind, {})
        return [handle for handle, block in blocks.items() if 0 < self._expiries[block] < now]

    def _slot(self, block: int) -> tuple:
        return block, self._sequences[block], self._expiries[block]
