"""Whole blocks of flash with proof: what was programmed reads back, what was erased reads back as 0xFF."""

from hashlib import sha256

from firmware.base.errors import EraseFailed, HalError
from firmware.crypto.hmac import zero
from firmware.vault.layout import BLOCK_BYTES

_ERASED = b"\xff" * BLOCK_BYTES


class Blocks:
    """The vault's only way to its flash."""

    def __init__(self, flash):
        if flash.block_size != BLOCK_BYTES:
            raise HalError("the vault needs blocks of 4,096 bytes")
        self._flash = flash
        self._page = bytearray(BLOCK_BYTES)
        self.count = flash.block_count

    def read(self, block: int, length: int, offset: int = 0) -> bytearray:
        data = bytearray(length)
        self._flash.read(block, data, offset)
        return data

    def read_into(self, block: int, buffer, offset: int = 0) -> None:
        self._flash.read(block, buffer, offset)

    def program(self, block: int, data, offset: int = 0) -> None:
        """Programs and compares; HalError when the flash holds something else now."""
        self._flash.program(block, data, offset)
        back = self.read(block, len(data), offset)
        held = back == data
        zero(back)
        if not held:
            raise HalError("a block did not take what was programmed")

    def erase(self, block: int) -> None:
        """Erases and reads all 4,096 bytes back; EraseFailed when any is not 0xFF."""
        try:
            self._flash.erase(block)
        except HalError:
            raise EraseFailed("the flash refused to erase a block") from None
        if not self.is_erased(block):
            raise EraseFailed("a block does not read back as erased")

    def ensure_erased(self, block: int) -> None:
        if not self.is_erased(block):
            self.erase(block)

    def is_erased(self, block: int) -> bool:
        self._flash.read(block, self._page)
        return self._page == _ERASED

    def digest(self, block: int) -> bytes:
        """SHA-256 over the whole block."""
        self._flash.read(block, self._page)
        return sha256(self._page).digest()

    def scrub(self, block: int) -> bool:
        """Clears every bit of a block that refuses to erase; whether it now reads as all zero."""
        nothing = bytes(BLOCK_BYTES)
        try:
            self._flash.program(block, nothing)
            self._flash.read(block, self._page)
        except HalError:
            return False
        return self._page == nothing
