# ruff: noqa: F821 (ptr8 and ptr32 are viper's)
"""What the vector routines leave over: 3x3 operators whose sums do not fit into QACC, and the mean over a map. Viper,
on int8 activations; right on 32-bit and on 64-bit builds.
"""

import micropython

from firmware.base.compat import const

_LIFT = const(0x20000000)  # firmware/nn/s3/prepare.py

# The record of an operator (firmware/nn/model.py).
_IN = const(0)
_IN_PITCH = const(1)
_OUT = const(2)
_OUT_PITCH = const(3)
_ROWS = const(4)
_COLS = const(5)
_CIN = const(6)
_COUT = const(7)
_WEIGHTS = const(8)
_BIAS = const(9)
_SHIFT = const(10)
_LINEAR = const(11)
_STRIDE = const(14)
_IN_ROWS = const(15)
_IN_COLS = const(16)


@micropython.viper
def window3x3(x: ptr8, w: ptr8, s: int, rec: ptr32):
    """conv3x3 of one channel, or dw3x3 of as many as come out. Weights [Cout / 16][9][16]."""
    depth = rec[_CIN]
    cout = rec[_COUT]
    shift = rec[_SHIFT]
    half = 1 << (shift - 1)
    linear = rec[_LINEAR]
    biases = ptr32(int(w) + rec[_BIAS])
    weights = int(w) + rec[_WEIGHTS]
    in_row = int(x) + rec[_IN]
    out_row = int(x) + rec[_OUT]
    down = rec[_IN_PITCH] - 3 * depth
    row = 0
    while row < rec[_ROWS]:
        out = ptr8(out_row)
        pixel = in_row
        column = 0
        while column < rec[_COLS]:
            channel = 0
            while channel < cout:
                x = ptr8(pixel)
                if depth > 1:
                    x = ptr8(pixel + channel)
                w = ptr8(weights + 9 * (channel & -16) + (channel & 15))
                s = biases[channel] - _LIFT
                tap = 0
                while tap < 9:
                    s += ((w[0] ^ 128) - 128) * ((x[0] ^ 128) - 128)
                    w = ptr8(int(w) + 16)
                    x = ptr8(int(x) + depth)
                    tap += 1
                    if tap == 3 or tap == 6:
                        x = ptr8(int(x) + down)
                if linear:
                    s = s + half + 1 if s >= 0 else s + half - 1
                    s = s >> shift
                else:
                    s = ((s + half + 1) >> shift) - 128
                if s > 127:
                    s = 127
                elif s < -128:
                    s = -128
                out[0] = s
                out = ptr8(int(out) + 1)
                channel += 1
            pixel += depth * rec[_STRIDE]
            column += 1
        in_row += rec[_IN_PITCH] * rec[_STRIDE]
        out_row += rec[_OUT_PITCH]
        row += 1


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
