# ruff: noqa: F821 (ptr8 and ptr32 are viper's)
"""Portable kernels in viper, right on 32-bit and on 64-bit builds. The interface they implement stands in
firmware/nn/kernels.py.

A viper byte load is unsigned, so everything here is: activations are kept as u = q + 128, weights as
w + 128 (flipped in place by `prepare`). Then sum(w * u) = sum((w + 128) * u) - 128 * sum(u), and sum(u) is
shared by all outputs of a pixel. A bias word holds bias - zero * sum(w) + _LIFT, plus the rounding constant
where the output is a ReLU's; _LIFT keeps it non-negative, because a 64-bit build does not sign-extend
32-bit loads. It goes again with the pixel's correction.

The inner loops are written for viper's register allocation: the first three arguments live in registers,
`s = w[i] * x[j] + s` needs no spill, and constant indices fold into the load.
"""

import micropython

from firmware.base.compat import const

_LIFT = const(1 << 29)

# The record of an operator, an array("i"). Offsets are into the arena, weights and bias into the pack.
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
_SECOND = const(12)
_SECOND_PITCH = const(13)
_STRIDE = const(14)
_IN_ROWS = const(15)
_IN_COLS = const(16)
_ZERO = const(17)
_SCALES = const(18)
_TAPS = const(20)


@micropython.viper
def prepare(pack: ptr8, weights: int, bias: int, taps: int, cout: int, group: int, zero: int, shift: int, linear: int):
    """Turns one operator's weights and biases into this module's form. Blocks of `group` channels, [cout /
    group][taps][group].

    zero: the input's zero point + 128. Not idempotent: once per pack buffer.
    """
    rounding = 0
    if linear == 0 and shift != 0:
        rounding = (1 << (shift - 1)) + 1
    biases = ptr32(int(pack) + bias)
    w = ptr8(int(pack) + weights)
    at = 0
    while at < cout:
        k = 0
        while k < group:
            total = 0
            t = k
            end = taps * group
            while t < end:
                v = w[t] ^ 128
                w[t] = v
                total += v - 128
                t += group
            biases[at + k] = biases[at + k] - zero * total + rounding + _LIFT
            k += 1
        w = ptr8(int(w) + taps * group)
        at += group


@micropython.viper
def conv1x1(x: ptr8, w: ptr8, s: int, rec: ptr32):
    arena = int(x)
    weights = int(w) + rec[_WEIGHTS]
    biases = int(w) + rec[_BIAS]
    cin = rec[_CIN]
    cout = rec[_COUT]
    shift = rec[_SHIFT]
    linear = rec[_LINEAR]
    half = 1 << (shift - 1)
    back = cin * 16 - 16
    columns = rec[_COLS]
    in_row = arena + rec[_IN]
    out_row = arena + rec[_OUT]
    rows = rec[_ROWS]
    while rows:
        pixel = in_row
        out = ptr8(out_row)
        column = columns
        while column:
            x = ptr8(pixel)
            s = 0
            n = cin
            while n:
                s = x[0] + s
                s = x[1] + s
                s = x[2] + s
                s = x[3] + s
                s = x[4] + s
                s = x[5] + s
                s = x[6] + s
                s = x[7] + s
                s = x[8] + s
                s = x[9] + s
                s = x[10] + s
                s = x[11] + s
                s = x[12] + s
                s = x[13] + s
                s = x[14] + s
                s = x[15] + s
                x = ptr8(int(x) + 16)
                n -= 16
            base = 0 - (s << 7) - _LIFT
            bias = ptr32(biases)
            block = weights
            channel = cout
            while channel:
                k = 16
                while k:
                    s = bias[0] + base
                    x = ptr8(pixel)
                    w = ptr8(block)
                    n = cin
                    while n:
                        s = w[0] * x[0] + s
                        s = w[16] * x[1] + s
                        s = w[32] * x[2] + s
                        s = w[48] * x[3] + s
                        s = w[64] * x[4] + s
                        s = w[80] * x[5] + s
                        s = w[96] * x[6] + s
                        s = w[112] * x[7] + s
                        s = w[128] * x[8] + s
                        s = w[144] * x[9] + s
                        s = w[160] * x[10] + s
                        s = w[176] * x[11] + s
                        s = w[192] * x[12] + s
                        s = w[208] * x[13] + s
                        s = w[224] * x[14] + s
                        s = w[240] * x[15] + s
                        x = ptr8(int(x) + 16)
                        w = ptr8(int(w) + 256)
                        n -= 16
                    if linear:
                        # TFLite rounds twice: an exact negative tie goes away from zero.
                        s = s + half + 1 if s >= 0 else s + half - 1
                        s = (s >> shift) + 128
                    else:
                        s = s >> shift
                    if s > 255:
                        s = 255
                    elif s < 0:
                        s = 0
                    out[0] = s
                    out = ptr8(int(out) + 1)
                    bias = ptr32(int(bias) + 4)
                    block += 1
                    k -= 1
                block += back
                channel -= 16
            pixel += cin
            column -= 1
        in_row += rec[_IN_PITCH]
        out_row += rec[_OUT_PITCH]
        rows -= 1


@micropython.viper
def dw3x3(x: ptr8, o: ptr8, s: int, rec: ptr32):
    weights = int(o) + rec[_WEIGHTS]
    biases = ptr32(int(o) + rec[_BIAS])
    c = rec[_COUT]
    step = c * rec[_STRIDE]
    shift = rec[_SHIFT]
    linear = rec[_LINEAR]
    half = 1 << (shift - 1)
    columns = rec[_COLS]
    i2 = c + c
    i3 = rec[_IN_PITCH]
    i4 = i3 + c
    i5 = i3 + i2
    i6 = i3 + i3
    i7 = i6 + c
    i8 = i6 + i2
    in_row = int(x) + rec[_IN]
    out_row = int(x) + rec[_OUT]
    rows = rec[_ROWS]
    while rows:
        channel = 0
        while channel < c:
            w = ptr8(weights + channel)
            w0 = w[0] - 128
            w1 = w[c] - 128
            w2 = w[i2] - 128
            w = ptr8(int(w) + i2 + c)
            w3 = w[0] - 128
            w4 = w[c] - 128
            w5 = w[i2] - 128
            w = ptr8(int(w) + i2 + c)
            w6 = w[0] - 128
            w7 = w[c] - 128
            w8 = w[i2] - 128
            b = biases[channel] - _LIFT
            x = ptr8(in_row + channel)
            o = ptr8(out_row + channel)
            n = columns
            while n:
                s = w0 * x[0] + b
                s = w1 * x[c] + s
                s = w2 * x[i2] + s
                s = w3 * x[i3] + s
                s = w4 * x[i4] + s
                s = w5 * x[i5] + s
                s = w6 * x[i6] + s
                s = w7 * x[i7] + s
                s = w8 * x[i8] + s
                if linear:
                    s = s + half + 1 if s >= 0 else s + half - 1
                    s = (s >> shift) + 128
                else:
                    s = s >> shift
                if s > 255:
                    s = 255
                elif s < 0:
                    s = 0
                o[0] = s
                o = ptr8(int(o) + c)
                x = ptr8(int(x) + step)
                n -= 1
            channel += 1
        in_row += i3 * rec[_STRIDE]
        out_row += rec[_OUT_PITCH]
        rows -= 1


@micropython.viper
def conv3x3(x: ptr8, w: ptr8, s: int, rec: ptr32):
    weights = int(w) + rec[_WEIGHTS]
    biases = int(w) + rec[_BIAS]
    stride = rec[_STRIDE]
    cout = rec[_COUT]
    shift = rec[_SHIFT]
    linear = rec[_LINEAR]
    half = 1 << (shift - 1)
    columns = rec[_COLS]
    pitch = rec[_IN_PITCH]
    in_row = int(x) + rec[_IN]
    out_row = int(x) + rec[_OUT]
    rows = rec[_ROWS]
    while rows:
        out = ptr8(out_row)
        column = 0
        while column < columns:
            x = ptr8(in_row + column * stride)
            x0 = x[0]
            x1 = x[1]
            x2 = x[2]
            x = ptr8(int(x) + pitch)
            x3 = x[0]
            x4 = x[1]
            x5 = x[2]
            x = ptr8(int(x) + pitch)
            x6 = x[0]
            x7 = x[1]
            x8 = x[2]
            base = 0 - ((x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8) << 7) - _LIFT
            bias = ptr32(biases)
            w = ptr8(weights)
            channel = cout
            while channel:
                k = 16
                while k:
                    s = bias[0] + base
                    s = w[0] * x0 + s
                    s = w[16] * x1 + s
                    s = w[32] * x2 + s
                    s = w[48] * x3 + s
                    s = w[64] * x4 + s
                    s = w[80] * x5 + s
                    s = w[96] * x6 + s
                    s = w[112] * x7 + s
                    s = w[128] * x8 + s
                    if linear:
                        s = s + half + 1 if s >= 0 else s + half - 1
                        s = (s >> shift) + 128
                    else:
                        s = s >> shift
                    if s > 255:
                        s = 255
                    elif s < 0:
                        s = 0
                    out[0] = s
                    out = ptr8(int(out) + 1)
                    bias = ptr32(int(bias) + 4)
                    w = ptr8(int(w) + 1)
                    k -= 1
                w = ptr8(int(w) + 128)
                channel -= 16
            column += 1
        in_row += pitch * stride
        out_row += rec[_OUT_PITCH]
        rows -= 1


@micropython.viper
def scaled(x: ptr8, w: ptr8, s: int, rec: ptr32):
    """conv1x1, conv3x3 or dw3x3 with a multiplier for each channel; small rather than fast."""
    taps = rec[_TAPS]
    depth = rec[_CIN]
    cout = rec[_COUT]
    stride = rec[_STRIDE]
    linear = rec[_LINEAR]
    pitch = rec[_IN_PITCH]
    weights = int(w) + rec[_WEIGHTS]
    biases = ptr32(int(w) + rec[_BIAS])
    scales = ptr32(int(w) + rec[_SCALES])
    step = 1
    group = 16
    own = 0
    if taps == 9 and depth > 1:
        step = depth
        group = cout
        own = 1
    in_row = int(x) + rec[_IN]
    out_row = int(x) + rec[_OUT]
    rows = rec[_ROWS]
    while rows:
        out = ptr8(out_row)
        pixel = in_row
        column = rec[_COLS]
        while column:
            channel = 0
            while channel < cout:
                x = ptr8(pixel + own * channel)
                w = ptr8(weights + channel // group * taps * group + channel % group)
                s = biases[channel] - _LIFT
                tap = 0
                while tap < taps:
                    s += (w[0] - 128) * x[0]
                    w = ptr8(int(w) + group)
                    x = ptr8(int(x) + step)
                    tap += 1
                    if taps == 9 and (tap == 3 or tap == 6):
                        x = ptr8(int(x) + pitch - 3 * step)
                # s * m >> 30 without a product of more than 31 bits; s has 28
                m = scales[2 * channel]
                high = s >> 14
                low = s & 0x3FFF
                m_high = m >> 16
                m_low = m & 0xFFFF
                cross = low * m_high
                rest = high * m_low + ((cross & 0x3FFF) << 2) + (low * m_low >> 14)
                s = high * m_high + (cross >> 14) + (rest >> 16)
                s = (s + 1) >> 1
                s = (((s + (s >> 31)) >> scales[2 * channel + 1]) + 1) >> 1
                if linear:
                    s += 128
                if s > 255:
                    s = 255
                elif s < 0:
                    s = 0
                out[0] = s
                out = ptr8(int(out) + 1)
                channel += 1
            pixel += depth * stride
            column -= 1
        in_row += pitch * stride
        out_row += rec[_OUT_PITCH]
        rows -= 1


@micropython.viper
def add(x: ptr8, y: ptr8, s: int, rec: ptr32):
    """Equal scales and zero points, which makes TFLite's add exact: only saturation is left."""
    arena = int(x)
    zero = rec[_ZERO]
    length = rec[_COLS] * rec[_COUT]
    row = 0
    while row < rec[_ROWS]:
        x = ptr8(arena + rec[_IN] + row * rec[_IN_PITCH])
        y = ptr8(arena + rec[_SECOND] + row * rec[_SECOND_PITCH])
        out = ptr8(arena + rec[_OUT] + row * rec[_OUT_PITCH])
        i = 0
        while i < length:
            s = x[i] + y[i] - zero
            if s > 255:
                s = 255
            elif s < 0:
                s = 0
            out[i] = s
            i += 1
        row += 1


@micropython.viper
def avgpool(x: ptr8, o: ptr8, s: int, rec: ptr32):
    """The mean over the whole map, of int8 values, halves away from zero."""
    c = rec[_COUT]
    rows = rec[_IN_ROWS]
    columns = rec[_IN_COLS]
    pitch = rec[_IN_PITCH]
    count = rows * columns
    source = int(x) + rec[_IN]
    o = ptr8(int(x) + rec[_OUT])
    channel = 0
    while channel < c:
        s = 0 - 128 * count
        row = 0
        while row < rows:
            x = ptr8(source + channel + row * pitch)
            n = columns
            while n:
                s = x[0] + s
                x = ptr8(int(x) + c)
                n -= 1
            row += 1
        s = 0 - (count // 2 - s) // count if s < 0 else (s + count // 2) // count
        o[channel] = s + 128
        channel += 1


@micropython.viper
def load(arena: ptr8, pixels: ptr8, rec: ptr32):
    """Copies an image into the input tensor: q = pixel - 128, so u = pixel. 16 channels are 4x4 pixels."""
    length = rec[_IN_COLS]
    row = 0
    if rec[_CIN] == 16:
        while row < 4 * rec[_IN_ROWS]:
            out = ptr8(int(arena) + rec[_IN] + (row >> 2) * rec[_IN_PITCH] + 4 * (row & 3))
            i = length
            while i:
                out[0] = pixels[0]
                out[1] = pixels[1]
                out[2] = pixels[2]
                out[3] = pixels[3]
                out = ptr8(int(out) + 16)
                pixels = ptr8(int(pixels) + 4)
                i -= 1
            row += 1
        return
    while row < rec[_IN_ROWS]:
        out = ptr8(int(arena) + rec[_IN] + row * rec[_IN_PITCH])
        i = 0
        while i < length:
            out[i] = pixels[i]
            i += 1
        pixels = ptr8(int(pixels) + length)
        row += 1


@micropython.viper
def store(arena: ptr8, out: ptr8, rec: ptr32):
    """Copies a tensor to `out` as int8, without its border."""
    length = rec[_COLS] * rec[_COUT]
    row = 0
    while row < rec[_ROWS]:
        x = ptr8(int(arena) + rec[_OUT] + row * rec[_OUT_PITCH])
        i = 0
        while i < length:
            out[i] = x[i] ^ 128
            i += 1
        out = ptr8(int(out) + length)
        row += 1


@micropython.viper
def fill(arena: ptr8, border: ptr32):
    """Writes a border's zero point. border: value + 128, count of runs, then per run start, bytes, gap,
    repeats.
    """
    value = border[0]
    runs = border[1]
    run = ptr32(int(border) + 8)
    while runs:
        at = int(arena) + run[0]
        length = run[1]
        repeats = run[3]
        while repeats:
            out = ptr8(at)
            n = length
            while n:
                n -= 1
                out[n] = value
            at += run[2]
            repeats -= 1
        run = ptr32(int(run) + 16)
        runs -= 1


@micropython.viper
def clear(buffer: ptr8, n: int):
    while n:
        n -= 1
        buffer[n] = 0
