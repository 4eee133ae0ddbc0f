"""The token that lets a technician into a panel's REPL: made by the host, read by the panel.

| offset | bytes | field                                                                            |
|--------|-------|----------------------------------------------------------------------------------|
| 0      | 1     | version: 1                                                                       |
| 1      | 8     | the panel's id                                                                   |
| 9      | 4     | serial, from the link's counters: the panel takes each once, and none below it   |
| 13     | 4     | Unix seconds at which maintenance ends, whether or not anybody ends it           |
| 17     | 32    | HMAC-SHA256 over what stands before it, under HMAC-SHA256(link key, "maintenance") |

Little endian. It is no secret once used; until then whoever holds it needs a press on the panel, too.
"""

import struct

from firmware.base.compat import const
from firmware.base.errors import AuthError
from firmware.crypto.hmac import constant_time_eq, hmac_sha256

TOKEN_BYTES = const(49)
MOST_S = const(8 * 3600)  # no token reaches further into the future

_VERSION = const(1)
_BODY = "<B8sII"
_BODY_BYTES = const(17)


def make(link_key: bytes, panel_id: bytes, serial: int, expires: int) -> bytes:
    body = struct.pack(_BODY, _VERSION, panel_id, serial, expires)
    return body + _seal(link_key, body)


def read(link_key: bytes, panel_id: bytes, token: bytes) -> tuple:
    """(serial, expires) of a token that was made for this panel with this key, else AuthError."""
    body = token[:_BODY_BYTES]
    if len(token) != TOKEN_BYTES or not constant_time_eq(_seal(link_key, body), token[_BODY_BYTES:]):
        raise AuthError("this token was not made for this panel")
    version, owner, serial, expires = struct.unpack(_BODY, body)
    if version != _VERSION or owner != bytes(panel_id):
        raise AuthError("this token was not made for this panel")
    return serial, expires


def _seal(link_key: bytes, body: bytes) -> bytes:
    return hmac_sha256(hmac_sha256(link_key, b"maintenance"), body)
