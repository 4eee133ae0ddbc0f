"""A panel's vault on a small flash file, whose power can be cut and whose image can be searched."""

import os
import random

from firmware.crypto import ed25519
from firmware.hal.virtual.flash import Faults, FileFlash
from firmware.vault import receipt
from firmware.vault.vault import Vault

GRACE = b"grace..."
EILEEN = b"eileen.."
MODEL = b"model-01"
CONSENT = b"consent-of-grace"
NOTICE = b"n" * 32
SEED = bytes(range(32))
PUBLIC = ed25519.public_key(SEED)


class Clock:
    def __init__(self):
        self.unix = 1_800_000_000

    def now(self):
        return self.unix, 2

    def battery_low(self):
        return False


def templates(tag: int, count: int = 4) -> list:
    """Distinct templates that no other tag shares a run of bytes with."""
    dice = random.getrandbits
    random.seed(tag)
    return [bytes(dice(8) for _ in range(128)) for _ in range(count)]


class House:
    """`vault` is the open vault, `faults` what shall go wrong with its flash."""

    def __init__(self, blocks: int = 20, provisioned: bool = True):
        self.path = (os.getenv("TMPDIR") or "/tmp") + "/vault-%d.bin" % id(self)
        self.blocks = blocks
        self.faults = Faults()
        self.clock = Clock()
        self._draws = 0
        self._verified = set()
        try:
            os.remove(self.path)
        except OSError:
            pass
        self._flash = None
        self.summary = self.open()
        if provisioned:
            self.vault.provision(b"panel-01", SEED, bytes(32), b"door")
            self.vault.confirm()

    def open(self) -> dict:
        """Power on: a new process would do the same."""
        if self._flash:
            self._flash.close()
        self.faults.restore()
        self._flash = FileFlash(self.path, self.blocks, self.faults)
        self.vault = Vault(self._flash, self.entropy, self.clock)
        self.summary = self.vault.open()
        return self.summary

    def open_until(self, cut_after: int) -> None:
        """Power on, and a cut after so many operations of the boot; PowerCut if it comes to that."""
        self._flash.close()
        self.faults.cut_after = cut_after
        self._flash = FileFlash(self.path, self.blocks, self.faults)
        Vault(self._flash, self.entropy, self.clock).open()

    def entropy(self, n: int) -> bytes:
        self._draws += 1
        random.seed(self._draws * 7919 + n)
        return bytes(random.getrandbits(8) for _ in range(n))

    def enrol(self, handle: bytes, tag: int, expiry: int = 0) -> None:
        self.vault.put_face(handle, MODEL, CONSENT, NOTICE, expiry, templates(tag))

    def face(self, handle: bytes):
        """The templates as bytes, or None when the panel knows no such face."""
        if handle not in self.vault.face_handles():
            return None
        return [bytes(t) for t in self.vault.read_face(handle)[1]]

    def clear(self) -> None:
        """Everything that decommission() leaves to do."""
        for _ in self.vault.clear():
            pass

    def receipts(self) -> list:
        """All receipts; each was verified when it first came."""
        found = [data for _, data in self.vault.receipts(0, 1000)]
        for data in found:
            if data not in self._verified:
                receipt.verify(data, PUBLIC, ed25519.verify)
                self._verified.add(data)
        return [receipt.parse(data) for data in found]

    def image(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read()

    def restore_image(self, image: bytes) -> None:
        with open(self.path, "wb") as file:
            file.write(image)

    def flip(self, block: int, offset: int) -> None:
        """One bit rots."""
        with open(self.path, "r+b") as file:
            file.seek(block * 4096 + offset)
            value = file.read(1)[0]
            file.seek(block * 4096 + offset)
            file.write(bytes([value ^ 1]))

    def block_of(self, handle: bytes, image=None) -> int:
        """The first block whose record header names `handle`."""
        image = image or self.image()
        for block in range(self.blocks):
            head = image[block * 4096 : block * 4096 + 24]
            if head[:4] == b"MnRc" and head[16:24] == handle:
                return block
        return -1

    def secret_of(self, handle: bytes) -> list:
        """Pieces of 16 bytes that only this record's block may hold: its salt and its sealed templates."""
        image = self.image()
        start = self.block_of(handle, image) * 4096
        sealed_bytes = image[start + 6] | image[start + 7] << 8
        places = [80, 96] + list(range(128, 128 + sealed_bytes - 15, 16))
        return [image[start + place : start + place + 16] for place in places]

    def holds_any(self, pieces: list) -> bool:
        image = self.image()
        return any(piece in image for piece in pieces)

    def close(self) -> None:
        self._flash.close()
        os.remove(self.path)


def refused(error, function, *arguments) -> bool:
    """Whether the call raises `error`."""
    try:
        function(*arguments)
    except error:
        return True
    return False
