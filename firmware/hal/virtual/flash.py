"""The vault's NOR flash on a file: programming only clears bits, erasing sets a 4 KB block, faults on demand.

Each operation is one unbuffered write, so that what was done survives a killed process (SIGKILL) at any
moment; it is not forced onto the PC's disk (an fsync takes 100 times as long as the operation).
"""

import os

from firmware.base.compat import const
from firmware.base.errors import HalError

_BLOCK = const(4096)
_DEFAULT_BLOCKS = const(1048)
_CHUNK_BLOCKS = const(16)


class PowerCut(BaseException):
    """The power failed; not an Exception, because no handler of the firmware runs after it."""


class Faults:
    """What shall go wrong: assign the attributes at any time.

    cut_after   operations (program or erase) that still succeed; the next one raises PowerCut, as do all
                later ones of this FileFlash. None: no cut.
    torn        function(n) -> n random bytes: the operation cut off changes only those of its bits that
                are 1 here. None: it changes nothing.
    stuck       blocks that ignore an erase silently
    failing     blocks whose erase raises HalError
    weak        blocks whose erase silently leaves bits behind: those that are 0 in torn(n), or every other one
    operations  how many were done
    """

    def __init__(self):
        self.cut_after = None
        self.torn = None
        self.stuck = set()
        self.failing = set()
        self.weak = set()
        self.operations = 0

    def restore(self) -> None:
        self.cut_after = None

    def _cut_now(self) -> bool:
        if self.cut_after is None:
            self.operations += 1
            return False
        if self.cut_after > 0:
            self.cut_after -= 1
            self.operations += 1
            return False
        return True


class FileFlash:
    """The HAL's flash contract over the file `path`, which is made (erased) when it is not there."""

    block_size = _BLOCK

    def __init__(self, path: str, blocks: int = _DEFAULT_BLOCKS, faults=None):
        self.block_count = blocks
        self.faults = faults or Faults()
        self._dead = False
        self._file = _open(path, blocks * _BLOCK)

    def read(self, block: int, buffer, offset: int = 0) -> None:
        """Fills `buffer` from `offset` on within the block."""
        self._seek(block, len(buffer), offset)
        if self._file.readinto(buffer) != len(buffer):
            raise HalError("the flash file is too short")

    def program(self, block: int, data, offset: int = 0) -> None:
        """Clears the bits that are 0 in `data`; a 1 over a stored 0 changes nothing, as on the chip."""
        old = bytearray(len(data))
        self.read(block, old, offset)
        new = _and(old, data)
        if self._cut():
            self._tear(block, offset, old, new)
        self._write(block, offset, new)

    def erase(self, block: int) -> None:
        if self._cut():
            self._tear(block, 0, self._content(block), b"\xff" * _BLOCK)
        if block in self.faults.failing:
            raise HalError("the flash reports an erase error")
        if block in self.faults.weak:
            mask = self.faults.torn(_BLOCK) if self.faults.torn else b"\x55" * _BLOCK
            self._write(block, 0, _mixed(self._content(block), b"\xff" * _BLOCK, mask))
        elif block not in self.faults.stuck:
            self._write(block, 0, b"\xff" * _BLOCK)

    def close(self) -> None:
        self._file.close()

    def _cut(self) -> bool:
        if self._dead:
            raise PowerCut()
        self._dead = self.faults._cut_now()
        return self._dead

    def _tear(self, block: int, offset: int, old, new) -> None:
        if self.faults.torn:
            self._write(block, offset, _mixed(old, new, self.faults.torn(len(old))))
        raise PowerCut()

    def _content(self, block: int) -> bytearray:
        content = bytearray(_BLOCK)
        self.read(block, content)
        return content

    def _seek(self, block: int, length: int, offset: int) -> None:
        if not 0 <= block < self.block_count or offset < 0 or offset + length > _BLOCK:
            raise HalError("outside the flash: block %d offset %d length %d" % (block, offset, length))
        self._file.seek(block * _BLOCK + offset)

    def _write(self, block: int, offset: int, data) -> None:
        self._seek(block, len(data), offset)
        if self._file.write(data) != len(data):
            raise HalError("the flash file cannot be written")


def _and(old, data) -> bytes:
    value = int.from_bytes(bytes(old), "little") & int.from_bytes(bytes(data), "little")
    return value.to_bytes(len(old), "little")


def _mixed(old, new, mask) -> bytes:
    """`old`, with the bits of `new` where `mask` has ones."""
    was, becomes, taken = (int.from_bytes(bytes(part), "little") for part in (old, new, mask))
    return (was ^ ((was ^ becomes) & taken)).to_bytes(len(old), "little")


def _open(path: str, wanted: int):
    """The file, filled up with erased bytes where it is new or its making was interrupted."""
    try:
        size = os.stat(path)[6]
    except OSError:
        size = 0
    if size > wanted:
        raise HalError("the flash file is larger than the flash")
    with open(path, "ab") as file:
        while size < wanted:
            step = min(_CHUNK_BLOCKS * _BLOCK, wanted - size)
            file.write(b"\xff" * step)
            size += step
    return open(path, "r+b", buffering=0)
