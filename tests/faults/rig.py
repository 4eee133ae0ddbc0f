"""A panel's vault on a flash in memory, which remembers what was erased when, and whose image can be searched."""

import random
from hashlib import sha256

from firmware.base.errors import HalError
from firmware.crypto.hmac import hmac_sha256
from firmware.hal.virtual.flash import Faults, FileFlash, PowerCut
from firmware.vault.vault import Vault

BLOCKS = 24
BLOCK = 4096
MODEL = b"model-01"
SEED = bytes(range(32))
START = 1_800_000_000
_EMPTY = b"\xff" * BLOCK


class MemoryFlash(FileFlash):
    """`erased`: block -> number of the operation that last left it all 0xFF."""

    def __init__(self, memory, faults, erased):
        self.block_count = BLOCKS
        self.faults = faults
        self.erased = erased
        self._dead = False
        self._memory = memory

    def read(self, block: int, buffer, offset: int = 0) -> None:
        self._inside(block, len(buffer), offset)
        start = block * BLOCK + offset
        buffer[:] = memoryview(self._memory)[start : start + len(buffer)]

    def erase(self, block: int) -> None:
        super().erase(block)
        if self._memory[block * BLOCK : (block + 1) * BLOCK] == _EMPTY:  # a weak one may get there in several goes
            self.erased[block] = self.faults.operations

    def close(self) -> None:
        self._dead = True

    def _inside(self, block: int, length: int, offset: int) -> None:
        if not 0 <= block < BLOCKS or offset < 0 or offset + length > BLOCK:
            raise HalError("outside the flash")

    def _write(self, block: int, offset: int, data) -> None:
        self._inside(block, len(data), offset)
        start = block * BLOCK + offset
        self._memory[start : start + len(data)] = data


class Unsigned(Vault):
    """Signing takes ten times as long as all else and is tested elsewhere: here a digest stands for it."""

    def _sign(self, body):
        digest = sha256(body).digest()
        return digest + digest


class Clock:
    def __init__(self):
        self.unix = START

    def now(self):
        self.unix += 1
        return self.unix, 2


class Rig:
    def __init__(self, vault_class=Unsigned):
        self.memory = bytearray(b"\xff" * (BLOCKS * BLOCK))
        self.faults = Faults()
        self.erased = {}
        self.clock = Clock()
        self.vault = None
        self._class = vault_class
        self._flash = None
        self._draws = 0
        self.open()
        self.provision()

    def provision(self) -> None:
        self.vault.provision(b"panel-01", SEED, bytes(32), b"door")
        self.vault.confirm()

    def open(self) -> dict:
        """Power on."""
        if self._flash:
            self._flash.close()
        self._flash = MemoryFlash(self.memory, self.faults, self.erased)
        self.vault = self._class(self._flash, self._entropy, self.clock)
        return self.vault.open()

    def image(self) -> bytes:
        return bytes(self.memory)

    def written(self) -> bytes:
        """The raw image without the blocks that are all 0xFF."""
        blocks = [bytes(self.memory[at : at + BLOCK]) for at in range(0, BLOCKS * BLOCK, BLOCK)]
        return b"".join([block for block in blocks if block != _EMPTY])

    def restore(self, image: bytes) -> None:
        self.memory[:] = image

    def cut(self, action, cut_after) -> bool:
        """Whether the power failed in `action`, allowed so many operations (None: any number)."""
        self.faults.cut_after = cut_after
        try:
            action()
        except PowerCut:
            return True
        finally:
            self.faults.restore()
        return False

    def _entropy(self, n: int) -> bytes:
        self._draws += 1
        return (sha256(b"%d" % self._draws).digest() * (n // 32 + 1))[:n]


def tearing(kind: int, seed: int):
    """How an operation that is cut off ends: 0 not begun, 1 random bits, 2 a first part done, 3 all but done."""
    if not kind:
        return None
    dice = random.getrandbits
    random.seed(seed)

    def mask(n: int) -> bytes:
        if kind == 2:
            done = dice(30) % (n + 1)
            return b"\xff" * done + bytes(n - done)
        some = b"".join([dice(30).to_bytes(4, "little") for _ in range(16)])
        some = (some * (n // len(some) + 1))[:n]
        if kind == 3:
            return b"\xff" * (n - 1) + some[:1] if n > 1 else some
        return some

    return mask


_LIBRARY = {}


def templates(tag: int) -> list:
    """Four templates that no other tag shares a run of bytes with."""
    if tag not in _LIBRARY:
        if len(_LIBRARY) > 200:
            _LIBRARY.clear()
        parts = [sha256(b"%d %d" % (tag, i)).digest() for i in range(16)]
        _LIBRARY[tag] = [b"".join(parts[i : i + 4]) for i in range(0, 16, 4)]
    return _LIBRARY[tag]


def consent(tag: int) -> bytes:
    return b"consent %08d" % tag


class Record:
    """A record that was seen whole on the flash: where, with which hash, and what must vanish with it.

    `gone`: it is not in use any more; `certified`: its receipt came; `rotten`: bits were flipped in it or in what is
    known of it, so that no receipt can be told to be its own.
    """

    def __init__(self, rig, kind: int, handle: bytes, tag, block: int, sequence: int):
        start = block * BLOCK
        data = bytes(rig.memory[start : start + BLOCK])
        sealed_bytes = data[6] | data[7] << 8
        secret, salt = rig.vault.keys.secret, data[80:112]
        self.kind = kind
        self.is_face = kind == 1
        self.handle = handle
        self.block = block
        self.sequence = sequence
        self.digest = sha256(data).digest()
        self.seen = rig.faults.operations
        self.gone = self.certified = self.rotten = False
        self.pieces = [salt[:16], salt[16:]]
        self.pieces += [data[at : at + 16] for at in range(128, 128 + sealed_bytes - 15, 16)]
        self.pieces += [hmac_sha256(secret, b"menshen record %s 1" % what, salt)[:16] for what in (b"enc", b"mac")]
        if self.is_face and tag is not None:
            self.pieces += [template[i : i + 16] for template in templates(tag) for i in (0, 56, 112)]

    def traces(self, image, some: int = 0) -> int:
        """How many of its pieces the image holds; `some`: only so many are looked for."""
        pieces = self.pieces
        if some:
            at = (self.seen + len(pieces) // 2) % max(1, len(pieces) - some)
            pieces = pieces[at : at + some]
        return len([piece for piece in pieces if piece in image])
