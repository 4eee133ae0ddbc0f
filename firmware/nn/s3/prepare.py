# ruff: noqa: F821 (ptr8 and ptr32 are viper's)
"""Weights and biases as the vector routines want them, written over the pack's.

A channel's sum starts at its bias B, with the input's zero point and, for a ReLU, the rounding and the output's zero
point folded in, and must come out of a lane of 20 bits as if the lane were wider. It does when no order of inputs
takes it out of range. For a ReLU it also does when a lane that saturates can no longer come back below what the
output's own saturation hides: from there on the true sum and the lane lie on the same side of it.

Biases afterwards, 64 bytes for 16 channels (firmware/nn/s3/common.s): QACC's lanes and a mark, or 16 words for ACCX
(conv1x1 and fc: that block's weights are transposed then) or for scaled3x3 (3x3: the whole operator). Where each
channel has a multiplier (shift 0), all blocks have words, without rounding constants.
"""

import struct
from array import array

import micropython

from firmware.base.compat import const

_LANE_MAX = const(524287)
_SHIFT_MAX = const(12)  # beyond it, 128 << shift alone fills a lane
_MARK = const(0x40000000)  # no word of a bias: those lie within 2**28


def prepare(pack, weights, bias, taps, cout, group, zero, shift, linear):
    is_window = taps == 9
    scratch = bytearray(taps * (group if is_window else 16))
    if group > 16:
        _by_block(pack, weights, cout, scratch)
    sums = array("i", (0, 0, 0))
    unit = 0 if linear or not shift else (1 << (shift - 1)) + 1
    fits = []
    for block in range(cout // 16):
        words = list(struct.unpack_from("<16i", pack, bias + 64 * block))
        start = weights + 16 * taps * block
        fit = 0 < shift <= _SHIFT_MAX
        for lane in range(16):
            _totals(pack, start + lane, taps, sums)
            words[lane] -= (zero - 128) * sums[0]
            first = words[lane] + (0 if linear else unit - (128 << shift))
            fit = fit and _lane_fits(pack, start + lane, taps, sums, first, linear, shift)
        fits.append(fit)
        struct.pack_into("<16i", pack, bias + 64 * block, *words)
    if is_window and not all(fits):
        fits = [False] * len(fits)
    for block, fit in enumerate(fits):
        at = bias + 64 * block
        words = struct.unpack_from("<16i", pack, at)
        if fit:
            offset = 0 if linear else unit - (128 << shift)
            _write_lanes(pack, at, [word + offset for word in words], shift)
        elif is_window:
            continue
        else:
            struct.pack_into("<16i", pack, at, *[word + unit for word in words])
            _transpose(pack, weights + 16 * taps * block, taps, scratch)


def _lane_fits(pack, at, taps, sums, first, linear, shift) -> bool:
    if not -_LANE_MAX <= first <= _LANE_MAX:
        return False
    up, down = sums[1], sums[2]
    if first + up <= _LANE_MAX and first - down >= -_LANE_MAX:
        return True
    return not linear and bool(_comes_out_right(pack, at, taps, sums, first, 127 << shift))


def _write_lanes(pack, at, lanes, shift) -> None:
    low = high = 0
    for i in range(8):
        low |= (lanes[i] & 0xFFFFF) << 20 * i
        high |= (lanes[8 + i] & 0xFFFFF) << 20 * i
    pack[at : at + 20] = low.to_bytes(20, "little")
    pack[at + 32 : at + 52] = high.to_bytes(20, "little")
    first = min(6, shift - 1)
    struct.pack_into("<BBB", pack, at + 24, 1, 1 << first, 1 << (shift - 1 - first))
    struct.pack_into("<I", pack, at + 60, _MARK)


@micropython.viper
def _totals(pack: ptr8, at: int, taps: int, sums: ptr32):
    """Of one channel, whose weights lie 16 apart: their sum, and how far the inputs can move its sum up and down."""
    w = ptr8(int(pack) + at)
    total = 0
    up = 0
    down = 0
    while taps:
        v = (w[0] ^ 128) - 128
        total += v
        if v > 0:
            up += 127 * v
            down += 128 * v
        else:
            up -= 128 * v
            down -= 127 * v
        w = ptr8(int(w) + 16)
        taps -= 1
    sums[0] = total
    sums[1] = up
    sums[2] = down


@micropython.viper
def _comes_out_right(pack: ptr8, at: int, taps: int, sums: ptr32, first: int, needed: int) -> int:
    """May the lane saturate? Follows the sum's extremes to where either first leaves the range; from there, moving
    back by all that the remaining inputs can, the lane must stay where the output saturates.
    """
    w = ptr8(int(pack) + at)
    high = first
    low = first
    rise = sums[1]
    fall = sums[2]
    is_over = 0
    is_under = 0
    while taps:
        v = (w[0] ^ 128) - 128
        if v > 0:
            high += 127 * v
            low -= 128 * v
            rise -= 127 * v
            fall -= 128 * v
        else:
            high -= 128 * v
            low += 127 * v
            rise += 128 * v
            fall += 127 * v
        if high > 524287 and is_over == 0:
            is_over = 1
            if 524287 - fall < needed:
                return 0
        if low < 0 - 524288 and is_under == 0:
            is_under = 1
            if rise - 524288 > 0 - needed - 1:
                return 0
        w = ptr8(int(w) + 16)
        taps -= 1
    return 1


@micropython.viper
def _by_block(pack: ptr8, weights: int, cout: int, scratch: ptr8):
    """[9][C] becomes [C / 16][9][16]; `scratch` has 9 * C bytes."""
    w = ptr8(int(pack) + weights)
    n = 9 * cout
    i = 0
    while i < n:
        scratch[i] = w[i]
        i += 1
    channel = 0
    while channel < cout:
        tap = 0
        while tap < 9:
            i = tap * cout + channel
            end = i + 16
            while i < end:
                w[0] = scratch[i]
                w = ptr8(int(w) + 1)
                i += 1
            tap += 1
        channel += 16


@micropython.viper
def _transpose(pack: ptr8, at: int, taps: int, scratch: ptr8):
    """A block's [taps][16] becomes [16][taps]; `scratch` has 16 * taps bytes."""
    w = ptr8(int(pack) + at)
    n = 16 * taps
    i = 0
    while i < n:
        scratch[i] = w[i]
        i += 1
    lane = 0
    while lane < 16:
        i = lane
        while i < n:
            w[0] = scratch[i]
            w = ptr8(int(w) + 1)
            i += 16
        lane += 1
