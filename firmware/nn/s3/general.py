# ruff: noqa: F821 (ptr8 and ptr32 are viper's)
"""What the vector routines leave over: the mean over a map too large for QACC. Viper, on int8 activations."""

import micropython

from firmware.base.compat import const

# The record of an operator (firmware/nn/model.py).
_IN = const(0)
_IN_PITCH = const(1)
_OUT = const(2)
_COUT = const(7)
_IN_ROWS = const(15)
_IN_COLS = const(16)


@micropython.viper
def avgpool(x: ptr8, w: ptr8, s: int, rec: ptr32):
    """The mean over the whole map, halves away from zero."""
    c = rec[_COUT]
    count = rec[_IN_ROWS] * rec[_IN_COLS]
    source = int(x) + rec[_IN]
    out = ptr8(int(x) + rec[_OUT])
    channel = 0
    while channel < c:
        s = 0
        row = 0
        while row < rec[_IN_ROWS]:
            x = ptr8(source + channel + row * rec[_IN_PITCH])
            n = rec[_IN_COLS]
            while n:
                s += (x[0] ^ 128) - 128
                x = ptr8(int(x) + c)
                n -= 1
            row += 1
        out[channel] = 0 - (count // 2 - s) // count if s < 0 else (s + count // 2) // count
        channel += 1
