"""The picture that proves a kernel set: the same noise on every machine, whose outputs' SHA-256 each pack's meta
names under "golden", in the outputs' order (int8, without border, channel fastest).
"""

from firmware.base.compat import const

_FACTOR = const(75)
_STEP = const(74)
_PRIME = const(65537)


def noise(count: int) -> bytearray:
    """Pixel n is bits 8 to 15 of x(n), x(n) = (75 x(n - 1) + 74) mod 65537, x before the first 0."""
    pixels = bytearray(count)
    x = 0
    for i in range(count):
        x = (x * _FACTOR + _STEP) % _PRIME
        pixels[i] = (x >> 8) & 255
    return pixels
