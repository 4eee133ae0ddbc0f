# ruff: noqa: F821 (ptr8 is viper's)
"""Grey images, 8 bit, row-major, width w and height h, in the caller's buffers. Nothing is allocated.

host_tools/vision/image.py is the twin in numpy; the definitions below hold for both, and a test compares
them byte for byte.
"""

import micropython
import uctypes

from firmware.base.compat import const
from firmware.nn import kernels

_SMALL = const(1 << 29)  # what passes into machine code as it is


def half2x2(src, dst, w: int, h: int) -> None:
    """dst[y][x] = (sum of the 2x2 block at (2x, 2y) + 2) >> 2; w and h even, dst is w/2 x h/2."""
    machine = kernels.machine()
    if machine is None or not machine.half2x2(uctypes.addressof(src), uctypes.addressof(dst), w, h):
        _half2x2(src, dst, w, h)


@micropython.viper
def _half2x2(src: ptr8, dst: ptr8, w: int, h: int):
    while h:
        below = ptr8(int(src) + w)
        x = 0
        while x < w:
            dst[0] = (src[x] + src[x + 1] + below[x] + below[x + 1] + 2) >> 2
            dst = ptr8(int(dst) + 1)
            x += 2
        src = ptr8(int(below) + w)
        h -= 2


def warp(src, w: int, h: int, dst, n: int, transform) -> None:
    """Samples src at u = a*x - b*y + tx, v = b*x + a*y + ty for each pixel (x, y) of dst, n x n. transform
    is (a, b, tx, ty) in Q16; |u|, |v| < 2**31 over all of dst.

    Bilinear with the top 8 fraction bits: i = u >> 16, f = (u >> 8) & 255, likewise j, g from v; dst =
    (p00*(256-f)*(256-g) + p10*f*(256-g) + p01*(256-f)*g + p11*f*g + 32768) >> 16, where p00 is the pixel at
    column i, row j, p10 its right and p01 its lower neighbour; columns and rows outside are those of the
    nearest edge.
    """
    a, b, tx, ty = transform
    machine = kernels.machine()
    if machine is None or max(abs(a), abs(b), abs(tx), abs(ty)) >= _SMALL:
        _warp(src, w, h, dst, n, a, b, tx, ty)
    else:
        machine.warp(uctypes.addressof(src), w, h, uctypes.addressof(dst), n, a, b, tx, ty)


@micropython.viper
def _warp(src: ptr8, w: int, h: int, dst: ptr8, n: int, a: int, b: int, tx: int, ty: int):
    right = w - 1
    bottom = h - 1
    y = 0
    while y < n:
        u = tx - b * y
        v = ty + a * y
        x = 0
        while x < n:
            i = u >> 16
            j = v >> 16
            f = (u >> 8) & 255
            g = (v >> 8) & 255
            i1 = i + 1
            j1 = j + 1
            if i < 0:
                i = 0
                if i1 < 0:
                    i1 = 0
            if i1 > right:
                i1 = right
                if i > right:
                    i = right
            if j < 0:
                j = 0
                if j1 < 0:
                    j1 = 0
            if j1 > bottom:
                j1 = bottom
                if j > bottom:
                    j = bottom
            top = ptr8(int(src) + j * w)
            low = ptr8(int(src) + j1 * w)
            upper = top[i] * (256 - f) + top[i1] * f
            lower = low[i] * (256 - f) + low[i1] * f
            dst[0] = (upper * (256 - g) + lower * g + 32768) >> 16
            dst = ptr8(int(dst) + 1)
            u += a
            v += b
            x += 1
        y += 1
