"""Kernels in plain Python, for a machine without native code; small rather than fast. The interface stands in
firmware/nn/kernels.py.

Activations are kept as q + 128, weights as the pack has them, biases less zero * the sum of their weights.
"""

import struct

_IN, _IN_PITCH, _OUT, _OUT_PITCH, _ROWS, _COLS, _CIN, _COUT = range(8)
_WEIGHTS, _BIAS, _SHIFT, _LINEAR, _SECOND, _SECOND_PITCH, _STRIDE, _IN_ROWS, _IN_COLS, _ZERO = range(8, 18)
_SCALES, _PADDING, _TAPS = range(18, 21)


def prepare(pack, weights, bias, taps, cout, group, zero, shift, linear):
    for channel in range(cout):
        at = weights + channel // group * taps * group + channel % group
        total = sum((pack[at + tap * group] ^ 128) - 128 for tap in range(taps))
        (value,) = struct.unpack_from("<i", pack, bias + 4 * channel)
        struct.pack_into("<i", pack, bias + 4 * channel, value - zero * total)


def conv1x1(arena, pack, _, record):
    _convolve(arena, pack, record, range(record[_CIN]), record[_CIN], 16)


def conv3x3(arena, pack, _, record):
    _convolve(arena, pack, record, _window(record), record[_STRIDE], 16)


def dw3x3(arena, pack, _, record):
    depth = record[_COUT]
    _convolve(arena, pack, record, _window(record), record[_STRIDE] * depth, depth, 1)


def scaled(arena, pack, _, record):
    if record[_TAPS] != 9:
        conv1x1(arena, pack, 0, record)
    elif record[_CIN] == 1:
        conv3x3(arena, pack, 0, record)
    else:
        dw3x3(arena, pack, 0, record)


def _window(record) -> list:
    return [y * record[_IN_PITCH] + x * record[_CIN] for y in range(3) for x in range(3)]


def _convolve(arena, pack, record, places, step: int, group: int, own: int = 0) -> None:
    """`places`: a pixel's inputs, from its first; `step`: to the next pixel; `own`: 1 where a channel reads its own."""
    cout, taps = record[_COUT], len(places)
    biases = struct.unpack_from("<%di" % cout, pack, record[_BIAS])
    for row in range(record[_ROWS]):
        pixel = record[_IN] + row * record[_STRIDE] * record[_IN_PITCH]
        to = record[_OUT] + row * record[_OUT_PITCH]
        for _ in range(record[_COLS]):
            for channel in range(cout):
                total, at = biases[channel], pixel + own * channel
                weight = record[_WEIGHTS] + channel // group * taps * group + channel % group
                for place in places:
                    total += ((pack[weight] ^ 128) - 128) * arena[at + place]
                    weight += group
                arena[to] = _scale(total, pack, channel, record) if record[_SCALES] else _requantise(total, record)
                to += 1
            pixel += step


def _requantise(total: int, record) -> int:
    """To 0..255 as TFLite rounds: halves away from zero, and a ReLU's up."""
    shift, linear = record[_SHIFT], record[_LINEAR]
    up = 1 if total >= 0 or not linear else -1
    value = (total + (1 << (shift - 1)) + up >> shift) + (128 if linear else 0)
    return min(max(value, 0), 255)


def _scale(total: int, pack, channel: int, record) -> int:
    """By the channel's multiplier, as TFLite rounds: to nearest twice, halves up, then away from zero."""
    m, less = struct.unpack_from("<II", pack, record[_SCALES] + 8 * channel)
    value = (total * m + (1 << 30)) >> 31
    value = (value + (1 << less) - (1 if value < 0 else 0)) >> (less + 1)
    return min(max(value + (128 if record[_LINEAR] else 0), 0), 255)


def add(arena, pack, _, record):
    for row in range(record[_ROWS]):
        first = record[_IN] + row * record[_IN_PITCH]
        second = record[_SECOND] + row * record[_SECOND_PITCH]
        to = record[_OUT] + row * record[_OUT_PITCH]
        for i in range(record[_COLS] * record[_COUT]):
            arena[to + i] = min(max(arena[first + i] + arena[second + i] - record[_ZERO], 0), 255)


def avgpool(arena, pack, _, record):
    c, count = record[_COUT], record[_IN_ROWS] * record[_IN_COLS]
    for channel in range(c):
        total = -128 * count
        for row in range(record[_IN_ROWS]):
            at = record[_IN] + row * record[_IN_PITCH] + channel
            total += sum(arena[at + column * c] for column in range(record[_IN_COLS]))
        mean = (abs(total) + count // 2) // count
        arena[record[_OUT] + channel] = 128 + (mean if total >= 0 else -mean)


def load(arena, pixels, record):
    """A row at a time, or four pixels of one where the input has 4x4 of them for channels."""
    columns, side = record[_IN_COLS], 1
    run, gap, runs = columns, 0, 1
    if record[_CIN] == 16:
        side, run, gap, runs = 4, 4, 16, columns
    at = 0
    for row in range(side * record[_IN_ROWS]):
        to = record[_IN] + row // side * record[_IN_PITCH] + row % side * side
        for _ in range(runs):
            arena[to : to + run] = pixels[at : at + run]
            to += gap
            at += run


def store(arena, out, record):
    length = record[_COLS] * record[_COUT]
    for row in range(record[_ROWS]):
        at = record[_OUT] + row * record[_OUT_PITCH]
        for i in range(length):
            out[row * length + i] = arena[at + i] - 128


def fill(arena, border):
    for run in range(border[1]):
        start, length, gap, repeats = border[2 + 4 * run : 6 + 4 * run]
        for row in range(repeats):
            for i in range(start + row * gap, start + row * gap + length):
                arena[i] = border[0]


def clear(buffer, n):
    for i in range(n):
        buffer[i] = 0
