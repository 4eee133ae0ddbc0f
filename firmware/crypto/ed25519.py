"""Ed25519 signatures (RFC 8032) on plain big integers.

Multiples of the base point come from a comb of _TEETH teeth, built at first use and kept. Python's integers
do not run in constant time: the key must not sign what an observer with a clock may choose at will.
"""

from firmware.base.compat import const
from firmware.crypto.sha512 import sha512

_P = (1 << 255) - 19
_L = (1 << 252) + 27742317777372353535851937790883648493  # order of the base point
_D = 0x52036CEE2B6FFE738CC740797779E89800700A4D4141D8AB75EB4DCA135978A3
_D2 = 0x2406D9DC56DFFCE7198E80F2EEF3D13000E0149A8283B156EBD69B9426B2F159
_SQRT_MINUS_1 = 0x2B8324804FC1DF0B2B4D00993DFBD7A72F431806AD2FE478C4EE1B274A0EA0B0
_TEETH = const(6)
_SPACING = const(43)  # 6 x 43 = 258 bits cover a scalar below _L

_BASE = b"\x58" + b"\x66" * 31  # y = 4/5, the even x

# Points are extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z (RFC 8032 section 5.1.4).
_NEUTRAL = (0, 1, 1, 0)

_comb = []


def _add(a: tuple, b: tuple) -> tuple:
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e = (y1 - x1) * (y2 - x2) % _P
    h = (y1 + x1) * (y2 + x2) % _P
    c = t1 * t2 % _P * _D2 % _P
    d = 2 * z1 * z2 % _P
    e, f, g, h = h - e, d - c, d + c, h + e
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _add_affine(a: tuple, b: tuple) -> tuple:
    """`b` is (y - x, y + x, 2dxy) of a comb's point."""
    x1, y1, z1, t1 = a
    minus, plus, t2 = b
    e = (y1 - x1) * minus % _P
    h = (y1 + x1) * plus % _P
    c = t1 * t2 % _P
    d = 2 * z1
    e, f, g, h = h - e, d - c, d + c, h + e
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(a: tuple) -> tuple:
    x1, y1, z1, _ = a
    aa = x1 * x1 % _P
    bb = y1 * y1 % _P
    h = aa + bb
    e = x1 + y1
    e = h - e * e % _P
    g = aa - bb
    f = 2 * z1 * z1 % _P + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _recover_x(y: int, sign: int):
    """The x that goes with `y`, or None when there is no such point (RFC 8032 section 5.1.3)."""
    u = (y * y - 1) % _P
    v = (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) % _P * pow(u * pow(v, 7, _P) % _P, (_P - 5) // 8, _P) % _P
    if v * x * x % _P != u:
        x = x * _SQRT_MINUS_1 % _P
        if v * x * x % _P != u:
            return None
    if x == 0 and sign:
        return None
    return _P - x if x & 1 != sign else x


def _affine_forms(points: list) -> list:
    """(y - x, y + x, 2dxy) of each point, all divisions shared (Montgomery's trick)."""
    products = [1]
    for point in points:
        products.append(products[-1] * point[2] % _P)
    inverse = pow(products[-1], _P - 2, _P)
    forms = []
    for i in range(len(points) - 1, -1, -1):
        x, y, z, _ = points[i]
        one_over_z = inverse * products[i] % _P
        inverse = inverse * z % _P
        x = x * one_over_z % _P
        y = y * one_over_z % _P
        forms.append((y - x, y + x, x * y % _P * _D2 % _P))
    forms.reverse()
    return forms


def _build_comb() -> None:
    """_comb[n - 1] = sum over the set bits i of n of 2^(i * _SPACING) B."""
    tooth = _decode(_BASE)
    points = []
    for i in range(_TEETH):
        points.append(tooth)
        for lower in range((1 << i) - 1):
            points.append(_add(points[lower], tooth))
        if i < _TEETH - 1:
            for _ in range(_SPACING):
                tooth = _double(tooth)
    _comb.extend(_affine_forms(points))


def _times_base(scalar: int) -> tuple:
    if not _comb:
        _build_comb()
    result = _NEUTRAL
    for column in range(_SPACING - 1, -1, -1):
        result = _double(result)
        index = 0
        for tooth in range(_TEETH):
            index |= ((scalar >> (column + tooth * _SPACING)) & 1) << tooth
        if index:
            result = _add_affine(result, _comb[index - 1])
    return result


def _times(scalar: int, point: tuple) -> tuple:
    """Any point, four bits at a time."""
    multiples = [_NEUTRAL, point]
    for _ in range(14):
        multiples.append(_add(multiples[-1], point))
    result = _NEUTRAL
    for shift in range(252, -1, -4):
        for _ in range(4):
            result = _double(result)
        result = _add(result, multiples[(scalar >> shift) & 15])
    return result


def _encode(point: tuple) -> bytes:
    x, y, z, _ = point
    one_over_z = pow(z, _P - 2, _P)
    x = x * one_over_z % _P
    y = y * one_over_z % _P
    return (y | ((x & 1) << 255)).to_bytes(32, "little")


def _decode(data):
    """The point, or None when `data` is not a canonical encoding of one."""
    y = int.from_bytes(bytes(data), "little")
    sign = y >> 255
    y &= (1 << 255) - 1
    x = _recover_x(y, sign) if y < _P else None
    return None if x is None else (x, y, 1, x * y % _P)


def _secret_scalar(seed) -> tuple:
    """(scalar, prefix) of a 32-byte seed (RFC 8032 section 5.1.5)."""
    digest = sha512(seed)
    scalar = int.from_bytes(digest[:32], "little")
    return scalar & ~7 & ((1 << 254) - 1) | (1 << 254), digest[32:]


def _hash_scalar(*parts) -> int:
    return int.from_bytes(sha512(b"".join(parts)), "little") % _L


def public_key(seed) -> bytes:
    """32-byte public key of a 32-byte seed."""
    return _encode(_times_base(_secret_scalar(seed)[0] % _L))


def sign(seed, message, public=None) -> bytes:
    """64-byte deterministic signature; passing the seed's own `public` key saves computing it again."""
    scalar, prefix = _secret_scalar(seed)
    public = public or _encode(_times_base(scalar % _L))
    message = bytes(message)
    r = _hash_scalar(prefix, message)
    encoded_r = _encode(_times_base(r))
    s = (r + _hash_scalar(encoded_r, public, message) * scalar) % _L
    return encoded_r + s.to_bytes(32, "little")


def verify(public, message, signature) -> bool:
    """True only for a canonical signature of `message` by the owner of `public` (without the cofactor)."""
    if len(public) != 32 or len(signature) != 64:
        return False
    public, signature = bytes(public), bytes(signature)
    point = _decode(public)
    s = int.from_bytes(signature[32:], "little")
    if point is None or s >= _L:
        return False
    k = _hash_scalar(signature[:32], public, bytes(message))
    x, y, z, t = _times(k, point)
    return _encode(_add(_times_base(s), (_P - x, y, z, _P - t))) == signature[:32]
