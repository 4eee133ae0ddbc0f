"""X25519 key agreement (RFC 7748 section 5) on plain big integers."""

from firmware.base.errors import AuthError

_P = (1 << 255) - 19
_A24 = 121665
BASE = b"\x09" + bytes(31)


def _ladder(k: int, u: int) -> int:
    x2, z2, x3, z3 = 1, 0, u, 1
    swap = 0
    for bit in range(254, -1, -1):
        kt = (k >> bit) & 1
        if swap ^ kt:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = kt
        a = x2 + z2
        b = x2 - z2
        aa = a * a % _P
        bb = b * b % _P
        e = aa - bb
        da = (x3 - z3) * a % _P
        cb = (x3 + z3) * b % _P
        x3 = (da + cb) * (da + cb) % _P
        z3 = (da - cb) * (da - cb) % _P * u % _P
        x2 = aa * bb % _P
        z2 = e * (aa + _A24 * e) % _P
    if swap:
        x2, z2 = x3, z3
    return x2 * pow(z2, _P - 2, _P) % _P


def x25519(k, u=BASE) -> bytes:
    """32-byte shared secret of the scalar `k` and the u-coordinate `u`, or the public key of `k`.

    AuthError when the other side sent a point of low order, which would make the secret known to anyone.
    """
    if len(k) != 32 or len(u) != 32:
        raise AuthError("An X25519 key has 32 bytes.")
    scalar = int.from_bytes(bytes(k), "little") & ~7 & ((1 << 254) - 1) | (1 << 254)
    result = _ladder(scalar, (int.from_bytes(bytes(u), "little") & ((1 << 255) - 1)) % _P)
    if result == 0:
        raise AuthError("The X25519 point has a low order.")
    return result.to_bytes(32, "little")
