"""The camera's picture on the screen: 320x240 bytes of grey to 240x180 pixels of eight greys, mirrored as
in a mirror.
"""

import micropython

from firmware.base.compat import const

WIDTH = const(240)
HEIGHT = const(180)
_FRAME_WIDTH = const(320)

# Ordered dither (Bayer, 4x4) in 1/256 of the step between two greys: the eye sees more than eight.
_BAYER = bytes((8, 136, 40, 168, 200, 72, 232, 104, 56, 184, 24, 152, 248, 120, 216, 88))


@micropython.viper
def _draw(frame: ptr8, out: ptr8, bayer: ptr8, top: int):  # noqa: F821
    at = top * 120
    y = 0
    while y < 180:
        row = (y * 4 // 3) * 320 + 319
        threshold = (y & 3) * 4
        x = 0
        while x < 240:
            left = frame[row - (x * 1366 >> 10)] * 7 + bayer[threshold + (x & 3)]
            right = frame[row - ((x + 1) * 1366 >> 10)] * 7 + bayer[threshold + (x & 3) + 1]
            out[at] = (left >> 8 << 4) | (right >> 8)
            at += 1
            x += 2
        y += 1


def draw(fb, frame, top: int) -> None:
    """Draws `frame` on the rows from `top` of a 240 pixels wide GS4_HMSB `fb`; allocates nothing."""
    _draw(frame, fb, _BAYER, top)


def place(x: int, y: int, top: int) -> tuple:
    """Where the frame's pixel is on the screen."""
    return WIDTH - 1 - x * 3 // 4, top + y * 3 // 4


def mark(fb, face, top: int, ink: int, accent: int) -> None:
    """The box and landmarks of `face`: (score, x, y, w, h, points), the box in frame pixels, points in
    1/16.
    """
    _, x, y, w, h, points = face
    right, upper = place(x, y, top)
    left, lower = place(x + w, y + h, top)
    _corners(fb, max(left, 0), max(upper, top), min(right, WIDTH - 1), min(lower, top + HEIGHT - 1), ink)
    for px, py in points:
        at_x, at_y = place(px >> 4, py >> 4, top)
        if top <= at_y < top + HEIGHT:
            fb.ellipse(at_x, at_y, 2, 2, accent, True)


def _corners(fb, left: int, upper: int, right: int, lower: int, ink: int) -> None:
    """The four corners of a box: they hide less of the face than its outline."""
    if right <= left or lower <= upper:
        return
    across, down = (right - left) // 4, (lower - upper) // 4
    for thick in range(3):
        for y in (upper + thick, lower - thick):
            fb.hline(left, y, across, ink)
            fb.hline(right - across + 1, y, across, ink)
        for x in (left + thick, right - thick):
            fb.vline(x, upper, down, ink)
            fb.vline(x, lower - down + 1, down, ink)
