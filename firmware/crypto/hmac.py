"""HMAC-SHA256 (RFC 2104), PBKDF2 (RFC 8018) and HKDF (RFC 5869) on it, and the two habits
around secrets: constant-time comparison and wiping."""

from hashlib import sha256

from firmware.base.compat import const

_BLOCK_BYTES = const(64)

_TO_IPAD = bytes(i ^ 0x36 for i in range(256))
_IPAD_TO_OPAD = 0x36 ^ 0x5C


def _pads(key) -> tuple:
    """Inner and outer key block."""
    if len(key) > _BLOCK_BYTES:
        key = sha256(key).digest()
    inner = bytearray(_TO_IPAD[0:1] * _BLOCK_BYTES)
    for i in range(len(key)):
        inner[i] = _TO_IPAD[key[i]]
    outer = bytearray(_BLOCK_BYTES)
    for i in range(_BLOCK_BYTES):
        outer[i] = inner[i] ^ _IPAD_TO_OPAD
    return inner, outer


def _hash(pad, parts) -> bytes:
    state = sha256(pad)
    for part in parts:
        state.update(part)
    return state.digest()


def hmac_sha256(key, *parts) -> bytes:
    """32-byte HMAC of the concatenated `parts`."""
    inner, outer = _pads(key)
    return _hash(outer, (_hash(inner, parts),))


class Keyed:
    """HMAC-SHA256 under a key that is used often: its two blocks are made once."""

    def __init__(self, key):
        self._inner, self._outer = _pads(key)

    def mac(self, *parts) -> bytes:
        return _hash(self._outer, (_hash(self._inner, parts),))


def constant_time_eq(a, b) -> bool:
    """Equality whose time depends on the length alone."""
    if len(a) != len(b):
        return False
    difference = 0
    for i in range(len(a)):
        difference |= a[i] ^ b[i]
    return difference == 0


def zero(buffer: bytearray) -> None:
    """Overwrites `buffer` in place; bytes and ints cannot be wiped, so secrets live in a bytearray."""
    for i in range(len(buffer)):
        buffer[i] = 0


def pbkdf2_steps(password, salt, iterations: int, slice_iterations: int):
    """PBKDF2-HMAC-SHA256, first block only, in slices: yields None after each, and the 32-byte key last."""
    if iterations < 1:
        raise ValueError("iterations")
    inner, outer = _pads(password)
    try:
        block = _hash(outer, (_hash(inner, (salt, b"\0\0\0\1")),))
        total = int.from_bytes(block, "big")
        for done in range(1, iterations):
            if done % slice_iterations == 0:
                yield None
            state = sha256(inner)
            state.update(block)
            block = state.digest()
            state = sha256(outer)
            state.update(block)
            block = state.digest()
            total ^= int.from_bytes(block, "big")
    finally:
        zero(inner)
        zero(outer)
    yield total.to_bytes(32, "big")


def pbkdf2_sha256(password, salt, iterations: int) -> bytes:
    """The 32-byte key in one go."""
    return next(pbkdf2_steps(password, salt, iterations, iterations))


def hkdf(key, info, n: int) -> bytes:
    """`n` bytes (at most 8,160) of HKDF-SHA256 with an empty salt."""
    if n > 255 * 32:
        raise ValueError("n")
    secret = hmac_sha256(b"", key)
    block, out = b"", b""
    while len(out) < n:
        block = hmac_sha256(secret, block, info, bytes([len(out) // 32 + 1]))
        out += block
    return out[:n]
