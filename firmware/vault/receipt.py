"""The receipt of a wipe: exact bytes that anyone can check with the panel's public key alone (README.md)."""

import struct

from firmware.base.compat import const
from firmware.base.errors import AuthError, BadRequest

REASONS = {
    1: "withdrawn",  # the resident withdrew consent
    2: "removed",  # the resident left, or the manager removed the record
    3: "expired",  # its retention period ended
    4: "replaced",  # a newer record of the same resident took its place
    5: "request",  # the resident asked for deletion
    6: "notice",  # consent was not renewed after a changed notice
    7: "decommission",  # the whole panel was cleared
    8: "unfinished",  # writing it was interrupted; it was never in use
    9: "unreadable",  # what the block held was damaged, or no record any more
    10: "restored",  # it had been erased before, and an older copy of the flash brought it back
}
TIME_SOURCES = (0, 1, 2)
ERASED_HASH = (
    b"\xf4\x7a\x8e\xc3\xe9\xaf\xf2\x31\x8d\x89\x69\x42\x28\x2a\xd4\xfe"
    b"\x37\xd6\x39\x1c\x82\x91\x4f\x54\xa5\xda\x8a\x37\xde\x13\x00\xc6"
)
SIGNATURE_BYTES = 64
MAX_BYTES = 680

_MAGIC = b"MnRt"
_VERSION = const(1)
_HEAD = "<4sBBBB8sQQ8s32s"
_HEAD_BYTES = const(72)
_BLOCK = "<I32s32s"
_BLOCK_BYTES = const(68)
_MOST_BLOCKS = const(8)


class Receipt:
    """The fields of a receipt; `blocks` is a list of (index, hash before, hash after)."""

    def __init__(self, panel_id, counter, time, time_source, reason, handle, chain_head, blocks):
        self.panel_id = panel_id
        self.counter = counter
        self.time = time
        self.time_source = time_source
        self.reason = reason
        self.handle = handle
        self.chain_head = chain_head
        self.blocks = blocks


def reason_code(name: str) -> int:
    for code, known in REASONS.items():
        if known == name:
            return code
    raise BadRequest("unknown reason for a wipe")


def build(receipt: Receipt, sign) -> bytes:
    """The signed bytes; `sign(message)` gives the 64-byte signature."""
    body = struct.pack(
        _HEAD,
        _MAGIC,
        _VERSION,
        receipt.time_source,
        reason_code(receipt.reason),
        len(receipt.blocks),
        receipt.panel_id,
        receipt.counter,
        receipt.time,
        receipt.handle,
        receipt.chain_head,
    )
    for block in receipt.blocks:
        body += struct.pack(_BLOCK, *block)
    return body + sign(body)


def parse(data) -> Receipt:
    """The fields of a well-formed receipt, its signature not yet checked; BadRequest says what is wrong."""
    data = bytes(data)
    if len(data) < _HEAD_BYTES or data[:4] != _MAGIC:
        raise BadRequest("This is not a wipe receipt.")
    _, version, source, reason, count, panel, counter, time, handle, head = struct.unpack_from(_HEAD, data)
    if version != _VERSION:
        raise BadRequest("The receipt has format version %d, this tool knows %d." % (version, _VERSION))
    if not 1 <= count <= _MOST_BLOCKS or len(data) != _HEAD_BYTES + count * _BLOCK_BYTES + SIGNATURE_BYTES:
        raise BadRequest("The receipt is truncated or has bytes too many.")
    if reason not in REASONS or source not in TIME_SOURCES:
        raise BadRequest("The receipt holds an unknown reason or time source.")
    blocks = [struct.unpack_from(_BLOCK, data, _HEAD_BYTES + i * _BLOCK_BYTES) for i in range(count)]
    _check_blocks(blocks)
    return Receipt(panel, counter, time, source, REASONS[reason], handle, head, blocks)


def _check_blocks(blocks: list) -> None:
    last = -1
    for index, before, after in blocks:
        if index <= last:
            raise BadRequest("The receipt's blocks are not in order.")
        if after != ERASED_HASH or before == ERASED_HASH:
            raise BadRequest("The receipt does not show a block that was filled and then erased.")
        last = index


def verify(data, public_key, ed25519_verify) -> Receipt:
    """The receipt, when `ed25519_verify(public_key, message, signature)` is true of it; else AuthError."""
    receipt = parse(data)
    data = bytes(data)
    if not ed25519_verify(public_key, data[:-SIGNATURE_BYTES], data[-SIGNATURE_BYTES:]):
        raise AuthError("The receipt's signature does not belong to this panel's key.")
    return receipt
