"""Records, one 4 KB block each, sealed under keys of their own: faces, residents, and lists.

The bytes stand in README.md. A face's body is its templates, 128 bytes each; a resident's, whatever the caller put.
"""

import struct

from firmware.base.compat import const
from firmware.base.errors import AuthError, VaultCorrupt
from firmware.crypto.hmac import Keyed, constant_time_eq, hmac_sha256, zero
from firmware.crypto.seal import open_sealed, seal
from firmware.vault.layout import BLOCK_BYTES, COMMIT

FACE = 1
RESIDENT = 2
RECEIPTS = 3
TOMBSTONES = 4
LISTS = 5
PUT = {
    FACE: "face_put",
    RESIDENT: "resident_put",
    RECEIPTS: "receipts_kept",
    TOMBSTONES: "tombstones",
    LISTS: "list_put",
}
TEMPLATE_BYTES = 128
MOST_TEMPLATES = 8
MOST_BODY = 3584

FREE, COMMITTED, UNFINISHED, CORRUPT, DEBRIS = range(5)

_MAGIC = b"MnRc"
_VERSION = const(1)
_HEAD = "<4sBBHQ8s8s16s32s32sQBI3x"
_HEAD_BYTES = const(128)
_TAG_BYTES = const(32)
_COMMIT_AT = const(4092)
_ERASED_HEAD = b"\xff" * 128


class Header:
    """A record's header; `data` are its exact bytes, which the seal covers."""

    def __init__(self, data):
        self.data = bytes(data)
        (
            self.magic,
            self.version,
            self.type,
            self.sealed_bytes,
            self.sequence,
            self.handle,
            self.model_id,
            self.consent_id,
            self.notice_hash,
            self.salt,
            self.expiry,
            self.templates,
            self.time,
        ) = struct.unpack(_HEAD, self.data)


class Records:
    """Reads and writes single blocks; which of them count is the vault's business."""

    def __init__(self, blocks, secret, entropy, clock):
        self._blocks = blocks
        self._derive = Keyed(secret).mac
        self._entropy = entropy
        self._clock = clock

    def classify(self, block: int) -> tuple:
        """(state, Header or None) from the header, the commit word and the seal of one block."""
        data = self._blocks.read(block, _HEAD_BYTES)
        commit = self._blocks.read(block, len(COMMIT), _COMMIT_AT)
        if data == _ERASED_HEAD:
            return (FREE if commit == _ERASED_HEAD[:4] else DEBRIS), None
        header = Header(data)
        if header.magic != _MAGIC:
            return DEBRIS, None
        if commit != COMMIT:
            return UNFINISHED, header
        return (COMMITTED if self._holds(block, header) else CORRUPT), header

    def write(self, block: int, header: Header, body) -> None:
        """All but the commit word; the block must be erased."""
        enc, mac = self._keys(header.salt)
        sealed = seal(enc, mac, self._entropy(16), body, header.data)
        zero(enc)
        zero(mac)
        self._blocks.program(block, header.data)
        self._blocks.program(block, sealed, _HEAD_BYTES)

    def commit(self, block: int) -> None:
        self._blocks.program(block, COMMIT, _COMMIT_AT)

    def header(self, kind: int, handle, sequence: int, sealed_bytes: int, face=None) -> Header:
        """`face`: (model id, consent id, notice hash, expiry, number of templates)."""
        model, consent, notice, expiry, count = face or (bytes(8), bytes(16), bytes(32), 0, 0)
        salt = self._entropy(32)
        now, source = self._clock.now()
        fields = (kind, sealed_bytes, sequence, bytes(handle), bytes(model), bytes(consent), bytes(notice))
        return Header(struct.pack(_HEAD, _MAGIC, _VERSION, *fields, salt, expiry, count, now if source else 0))

    def time(self, block: int) -> int:
        """When the record in a block was written, 0 when no clock vouched for it."""
        return Header(self._blocks.read(block, _HEAD_BYTES)).time

    def read(self, block: int) -> tuple:
        """(Header, body as a bytearray that the caller zeroes); VaultCorrupt when the seal does not hold."""
        header = Header(self._blocks.read(block, _HEAD_BYTES))
        if not self._fits(header):
            raise VaultCorrupt("a record's header is damaged")
        enc, mac = self._keys(header.salt)
        sealed = self._blocks.read(block, header.sealed_bytes, _HEAD_BYTES)
        try:
            return header, open_sealed(enc, mac, sealed, header.data)
        except AuthError:
            raise VaultCorrupt("a record is damaged") from None
        finally:
            zero(enc)
            zero(mac)

    def _fits(self, header: Header) -> bool:
        known = header.magic == _MAGIC and header.version == _VERSION
        return known and 64 <= header.sealed_bytes <= _COMMIT_AT - _HEAD_BYTES

    def _holds(self, block: int, header: Header) -> bool:
        if not self._fits(header):
            return False
        length = header.sealed_bytes - _TAG_BYTES
        body = self._blocks.read(block, header.sealed_bytes, _HEAD_BYTES)
        tag = hmac_sha256(self._mac_key(header.salt), header.data, memoryview(body)[:length])
        return constant_time_eq(tag, body[length:])

    def _mac_key(self, salt) -> bytes:
        return self._derive(b"menshen record mac 1", salt)

    def _keys(self, salt) -> tuple:
        enc = self._derive(b"menshen record enc 1", salt)
        return bytearray(enc), bytearray(self._mac_key(salt))


def strike(blocks, block: int) -> None:
    """Clears the commit word: whatever the journal says, the record does not count any more."""
    blocks.program(block, bytes(len(COMMIT)), _COMMIT_AT)


def split_templates(body, count: int) -> list:
    """The templates as bytearrays; `body` is zeroed."""
    if len(body) != count * TEMPLATE_BYTES:
        raise VaultCorrupt("a face record has a wrong length")
    templates = [bytearray(body[i : i + TEMPLATE_BYTES]) for i in range(0, len(body), TEMPLATE_BYTES)]
    zero(body)
    return templates


assert _COMMIT_AT + len(COMMIT) == BLOCK_BYTES
