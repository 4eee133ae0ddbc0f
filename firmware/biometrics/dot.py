"""Dot products of int8 vectors in viper, right where machine words have 32 or 64 bits."""

import micropython


@micropython.viper
def _dot(a: ptr8, b: ptr8, start: int) -> int:  # noqa: F821
    total = 0
    i = 0
    while i < 128:
        total += ((a[i] ^ 128) - 128) * ((b[start + i] ^ 128) - 128)
        i += 1
    return total


def dots(probe, table, start: int, count: int, out) -> None:
    """out[i] = probe . the i-th template of 128 int8 from byte `start` of `table`."""
    for i in range(count):
        out[i] = _dot(probe, table, start + i * 128)
