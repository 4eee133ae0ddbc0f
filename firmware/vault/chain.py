"""An entry of the audit log and the chain that links entries: one definition for the panel and for who checks it.

The bytes stand in README.md. Who holds one hash can check every entry before it without a key.
"""

import struct
from hashlib import sha256

# Numbers are stored: append only. The first group is the vault's own.
KINDS = {
    1: "provisioned",
    2: "face_put",
    3: "resident_put",
    4: "erase_intent",
    5: "erase_done",
    6: "erase_failed",
    7: "log_damaged",
    8: "receipts_kept",
    9: "tombstones",
    10: "log_purged",
    11: "decommission",
    12: "list_put",
    16: "consent_given",
    17: "consent_declined",
    18: "consent_withdrawn",
    19: "credential_set",
    20: "credential_dropped",
    21: "opened",
    22: "refused",
    23: "lockout",
    24: "door_alarm",
    25: "tamper",
    26: "maintenance",
    27: "clock_set",
    28: "policy_set",
    29: "camera",
    30: "started",
    31: "command_refused",
    32: "update",
}
RECEIPT_DUE = 1
CARRIED = 2
BODY_BYTES = 64
START = bytes(32)

_BODY = "<BBBBHHQQ8s32s"


class Entry:
    """One line of the log; `hash` is the chain's head after it, `place` the block it was read from."""

    def __init__(self, body, head: bytes, place: int = -1):
        fields = struct.unpack(_BODY, body)
        self.kind = KINDS.get(fields[0], "unknown")
        self.source, self.reason, self.record_type, self.block, self.flags = fields[1:6]
        self.sequence, self.time, self.handle, self.payload = fields[6:]
        self.body = bytes(body)
        self.hash = head
        self.place = place

    @property
    def detail(self) -> bytes:
        return self.payload[: self.reason] if self.kind[:6] != "erase_" else b""


def build(code: int, source: int, reason: int, record_type: int, block: int, flags: int, *rest) -> bytes:
    """A body; `rest`: sequence, time, handle, payload."""
    return struct.pack(_BODY, code, source, reason, record_type, block, flags, *rest)


def link(before: bytes, body) -> bytes:
    """The hash of the entry `body` that follows the entry with the hash `before`."""
    state = sha256(before)
    state.update(body)
    return state.digest()


def first_break(before, links) -> int:
    """The index of the first of `links` that does not follow, or -1 when the chain holds.

    `links`: (body, hash) in order; `before`: the hash that the first one follows, None when it is not known.
    """
    sequence = -1
    for index, (body, head) in enumerate(links):
        if len(body) != BODY_BYTES:
            return index
        number = struct.unpack_from("<Q", body, 8)[0]
        if number <= sequence or (before is not None and link(before, body) != bytes(head)):
            return index
        before, sequence = bytes(head), number
    return -1
