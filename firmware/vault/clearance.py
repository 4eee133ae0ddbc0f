"""The clearance: a panel's signed statement that everything on it was erased, before its own key goes too.

Its bytes stand in README.md. The panel keeps it and its device key until the host confirms that it has it.
"""

import struct

from firmware.base.compat import const
from firmware.base.errors import AuthError, BadRequest

BYTES = 184
SIGNED_BYTES = 120

_MAGIC = b"MnCl"
_VERSION = const(1)
_FORMAT = "<4sBBH8sQQQIIII32s32s"


class Facts:
    """What is known when a decommission begins; `handles` is the hash over the faces' handles."""

    FORMAT = "<BQQII32s32s"
    BYTES = 89

    def __init__(self, source: int, counter: int, begun: int, faces: int, residents: int, chain_head, handles):
        self.source = source
        self.counter = counter
        self.begun = begun
        self.faces = faces
        self.residents = residents
        self.chain_head = bytes(chain_head)
        self.handles = bytes(handles)

    def pack(self) -> bytes:
        fields = (self.source, self.counter, self.begun, self.faces, self.residents, self.chain_head, self.handles)
        return struct.pack(self.FORMAT, *fields)

    @classmethod
    def unpack(cls, data):
        return cls(*struct.unpack(cls.FORMAT, data))


class Clearance:
    """The fields of a clearance."""

    def __init__(self, panel_id, facts: Facts, done: int, blocks: int):
        self.panel_id = panel_id
        self.facts = facts
        self.done = done
        self.blocks = blocks


def build(clearance: Clearance, sign) -> bytes:
    """The signed bytes; `sign(message)` gives the 64-byte signature."""
    c, f = clearance, clearance.facts
    body = struct.pack(
        _FORMAT,
        _MAGIC,
        _VERSION,
        f.source,
        0,
        c.panel_id,
        f.counter,
        f.begun,
        c.done,
        f.faces,
        f.residents,
        c.blocks,
        0,
        f.chain_head,
        f.handles,
    )
    return body + sign(body)


def parse(data) -> Clearance:
    """The fields of a well-formed clearance, its signature not yet checked; BadRequest says what is wrong."""
    data = bytes(data)
    if len(data) != BYTES or data[:4] != _MAGIC:
        raise BadRequest("This is not a panel's clearance.")
    fields = struct.unpack_from(_FORMAT, data)
    version, source, zero, panel, counter, begun, done, faces, residents, blocks, nought, head, handles = fields[1:]
    if version != _VERSION:
        raise BadRequest("The clearance has format version %d, this tool knows %d." % (version, _VERSION))
    if source > 2 or zero or nought or not blocks:
        raise BadRequest("The clearance holds values that its format does not have.")
    return Clearance(panel, Facts(source, counter, begun, faces, residents, head, handles), done, blocks)


def verify(data, public_key, ed25519_verify) -> Clearance:
    """The clearance, when `ed25519_verify(public_key, message, signature)` is true of it; else AuthError."""
    clearance = parse(data)
    data = bytes(data)
    if not ed25519_verify(public_key, data[:SIGNED_BYTES], data[SIGNED_BYTES:]):
        raise AuthError("The clearance's signature does not belong to this panel's key.")
    return clearance
