"""Light and sharpness of an aligned face, counted and evened in viper; host_tools.vision.pixelstats is the twin.

Only the middle of the face counts (eyes to mouth), not hair and background: rows 32..87, columns 24..71 of
96x96.
"""

import micropython

from firmware.vision.quality import STATS


@micropython.viper
def _measure(face: ptr8, out: ptr32):  # noqa: F821
    total = squares = dark = bright = fine_x = wide_x = fine_y = wide_y = 0
    row = 32 * 96
    while row < 88 * 96:
        at = row + 24
        end = row + 72
        while at < end:
            p = face[at]
            total += p
            squares += p * p
            if p < 8:
                dark += 1
            if p > 247:
                bright += 1
            p += p
            d = face[at - 2] + face[at + 2] - p
            fine_x += d * d
            d = face[at - 8] + face[at + 8] - p
            wide_x += d * d
            d = face[at - 192] + face[at + 192] - p
            fine_y += d * d
            d = face[at - 768] + face[at + 768] - p
            wide_y += d * d
            at += 1
        row += 96
    out[0] = total
    out[1] = dark
    out[2] = bright
    out[3] = fine_x
    out[4] = wide_x
    out[5] = fine_y
    out[6] = wide_y
    out[7] = squares


def measure(face, out) -> None:
    """`face`: 96x96 grey bytes; `out`: array("i") of STATS numbers, see quality.judge_pixels."""
    if len(face) < 96 * 96 or len(out) < STATS:
        raise ValueError("a 96x96 face and %d ints" % STATS)
    _measure(face, out)


@micropython.viper
def _level(face: ptr8, gain: int, offset: int):  # noqa: F821
    i = 0
    while i < 96 * 96:
        p = (face[i] * gain + offset + 128) >> 8
        if p < 0:
            p = 0
        if p > 255:
            p = 255
        face[i] = p
        i += 1


def level(face, gain: int, offset: int) -> None:
    """Applies quality.levels to a 96x96 face in place."""
    if (gain, offset) != (256, 0):
        _level(face, gain, offset)
