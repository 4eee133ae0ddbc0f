"""The link's frames and seals, read by the panel and the host alike; README.md has their bytes, `ops.py` the messages.

Raises LinkError for a frame that cannot be read, AuthError for a seal that does not hold.
"""

import binascii
import json
import struct
import sys

from firmware.base.compat import const
from firmware.base.errors import LinkError
from firmware.crypto.hmac import hmac_sha256
from firmware.crypto.seal import open_sealed, seal, sealed_bytes

VERSION = const(1)
PLAIN = const(0)
REQUEST = const(1)
REPLY = const(2)

MAX_PAYLOAD = const(8192)
MAX_PLAIN = const(1024)
MAX_COUNTER = const(0xFFFFFFFF)

_HEADER = "<BBI"
_HEADER_BYTES = const(6)
_IV_BYTES = const(16)
_TAG_BYTES = const(32)
_MAX_LINE = const(10940)  # "~" and the base64 of the largest payload and its checksum, rounded up
_MAX_TALK = const(1024)
_GARBLED = b"~"

# MicroPython writes UTF-8 as it is and takes no such option; CPython has to be told not to escape it.
_JSON_OPTIONS = {} if sys.implementation.name == "micropython" else {"ensure_ascii": False}


def to_json(value) -> bytes:
    return json.dumps(value, **_JSON_OPTIONS).encode()


def from_json(body: bytes) -> dict:
    try:
        value = json.loads(str(body, "utf-8"))
    except (ValueError, RuntimeError):  # RuntimeError: nested too deeply
        raise LinkError("the message is not JSON") from None
    if not isinstance(value, dict):
        raise LinkError("the message is not a JSON object")
    return value


def encode_frame(payload: bytes) -> bytes:
    if len(payload) > MAX_PAYLOAD:
        raise LinkError("the message is longer than a frame holds")
    checked = payload + struct.pack("<I", binascii.crc32(payload) & 0xFFFFFFFF)
    return b"~" + binascii.b2a_base64(checked).strip() + b"\r\n"


def decode_frame(line: bytes) -> bytes:
    """The payload of one line as `Framer` gives it."""
    try:
        checked = binascii.a2b_base64(line[1:])
    except ValueError:
        raise LinkError("the frame is not base64") from None
    if not _HEADER_BYTES + 4 <= len(checked) <= MAX_PAYLOAD + 4:
        raise LinkError("the frame is too short or too long")
    payload = checked[:-4]
    if struct.unpack("<I", checked[-4:])[0] != binascii.crc32(payload) & 0xFFFFFFFF:
        raise LinkError("the frame's checksum does not hold")
    return payload


class Framer:
    """Cuts a byte stream into frame lines; everything else goes to `talk`, a callable, or nowhere.

    A "~" always begins a frame, since base64 has none: after a truncated frame the next one is whole again.
    """

    def __init__(self, talk=None) -> None:
        self._talk = talk
        self._line = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> list:
        """Frame lines completed by `data`; one that overran its limit comes as one that does not decode."""
        frames = []
        pieces = data.replace(b"\r", b"\n").split(b"\n")
        for i in range(len(pieces)):
            if i:
                self._end(frames)
            self._take(pieces[i])
        return frames

    def _take(self, piece: bytes) -> None:
        start = piece.rfind(b"~")
        if start >= 0:
            self._hand_over_talk(piece[:start])
            self._line = bytearray()
            self._too_long = False
            piece = piece[start:]
        limit = _MAX_LINE if start >= 0 or self._line[:1] == b"~" else _MAX_TALK
        if len(self._line) + len(piece) > limit:
            self._too_long = True
        elif not self._too_long:
            self._line.extend(piece)

    def _end(self, frames: list) -> None:
        line = bytes(self._line)
        framed = line[:1] == b"~"
        if framed:
            frames.append(_GARBLED if self._too_long else line)
        else:
            self._hand_over_talk(b"")
        self._line = bytearray()
        self._too_long = False

    def _hand_over_talk(self, rest: bytes) -> None:
        if self._talk and self._line[:1] != b"~" and (self._line or rest):
            self._talk(bytes(self._line) + rest)


def header(payload: bytes) -> tuple:
    """(kind, counter) of a payload, nothing of which is authenticated yet."""
    version, kind, counter = struct.unpack(_HEADER, payload[:_HEADER_BYTES])
    if version != VERSION:
        raise LinkError("the message has version %d, this side speaks %d" % (version, VERSION))
    if kind > REPLY:
        raise LinkError("the message is of an unknown kind")
    return kind, counter


def plain(counter: int, message: dict) -> bytes:
    return struct.pack(_HEADER, VERSION, PLAIN, counter) + to_json(message)


def open_plain(payload: bytes) -> dict:
    if len(payload) > _HEADER_BYTES + MAX_PLAIN:
        raise LinkError("the plain message is too long")
    return from_json(payload[_HEADER_BYTES:])


class Seals:
    """One panel's four link keys, each direction having its own, and what is sealed with them.

    `random(n)` gives the IVs.
    """

    def __init__(self, link_key: bytes, random) -> None:
        self._random = random
        self._to_panel = (hmac_sha256(link_key, b"h2p enc"), hmac_sha256(link_key, b"h2p mac"))
        self._to_host = (hmac_sha256(link_key, b"p2h enc"), hmac_sha256(link_key, b"p2h mac"))

    def request(self, counter: int, message: dict) -> bytes:
        return self._seal(self._to_panel, struct.pack(_HEADER, VERSION, REQUEST, counter), b"", message)

    def open_request(self, payload: bytes) -> dict:
        return _open(self._to_panel, payload, b"")

    def reply(self, request: bytes, message: dict) -> bytes:
        head = struct.pack(_HEADER, VERSION, REPLY, header(request)[1])
        return self._seal(self._to_host, head, request[-_TAG_BYTES:], message)

    def open_reply(self, request: bytes, payload: bytes) -> dict:
        return _open(self._to_host, payload, request[-_TAG_BYTES:])

    def _seal(self, keys: tuple, head: bytes, bound: bytes, message: dict) -> bytes:
        body = to_json(message)
        if _HEADER_BYTES + sealed_bytes(len(body)) > MAX_PAYLOAD:
            raise LinkError("the message is longer than a frame holds")
        return head + seal(keys[0], keys[1], self._random(_IV_BYTES), body, bound + head)


def _open(keys: tuple, payload: bytes, bound: bytes) -> dict:
    aad = bound + payload[:_HEADER_BYTES]
    return from_json(open_sealed(keys[0], keys[1], payload[_HEADER_BYTES:], aad))
