"""The vault's partition as raw NOR flash.

esp32.Partition: `ioctl(6, n)` erases block n; `writeblocks(n, data, offset)`, with an offset, programs without erasing,
so that bits only fall; errors of ESP-IDF come as OSError.
"""

from esp32 import Partition

from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.start.slots import has_keys

_BLOCK_COUNT = const(4)
_ERASE = const(6)


class PartitionFlash:
    block_size = 4096

    def __init__(self, label: str = "vault"):
        found = Partition.find(Partition.TYPE_DATA, label=label)
        if not found:
            raise HalError("the partition table has no %s" % label)
        self._partition = found[0]
        self.block_count = self._partition.ioctl(_BLOCK_COUNT, 0)

    def read(self, block: int, buffer, offset: int = 0) -> None:
        self._check(block, len(buffer), offset)
        try:
            self._partition.readblocks(block, buffer, offset)
        except OSError as error:
            raise HalError("the flash cannot be read: %s" % error)

    def program(self, block: int, data, offset: int = 0) -> None:
        """Reads back: a bit that should have fallen and did not is a HalError."""
        self._check(block, len(data), offset)
        stored = bytearray(len(data))
        try:
            self._partition.writeblocks(block, data, offset)
            self._partition.readblocks(block, stored, offset)
        except OSError as error:
            raise HalError("the flash cannot be programmed: %s" % error)
        wanted = int.from_bytes(bytes(data), "little")
        if int.from_bytes(bytes(stored), "little") | wanted != wanted:
            raise HalError("the flash did not take what was programmed")

    def erase(self, block: int) -> None:
        """Whoever needs certainty reads the block back: a chip may say that it erased and have not."""
        self._check(block, 0, 0)
        try:
            self._partition.ioctl(_ERASE, block)
        except OSError as error:
            raise HalError("the flash cannot be erased: %s" % error)

    def in_use(self) -> bool:
        """Whether the panel has keys."""
        return has_keys(self._partition.readblocks)

    def _check(self, block: int, length: int, offset: int) -> None:
        if not 0 <= block < self.block_count or offset < 0 or offset + length > self.block_size:
            raise HalError("outside the flash: block %d offset %d length %d" % (block, offset, length))
