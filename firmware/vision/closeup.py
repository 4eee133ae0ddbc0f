"""A closer look at what the detector took for a face: is it one, and where exactly are its five points?

The network sees 48x48 pixels around the points as the detector placed them, turned upright and grown to one size
whatever the face's size in the frame. Its 16 int8 outputs are in sixteenths: the five points' x, y by turns, in pixels
of that view from where they lie in the template; the logit of "a face"; the centre of the face's box, in pixels from
CENTRE, and 4 * log2 of its width and height by BOX_SIDE; one is spare.
"""

from firmware.base.compat import const
from firmware.base.errors import PoorQuality
from firmware.base.integers import isqrt
from firmware.vision.align import similarity
from firmware.vision.detector import size16

SIDE = const(48)
OUTPUTS = const(16)
BOX_SIDE = const(32)
CENTRE = (377, 360)  # 1/16 px
_SCORE, _BOX = const(10), const(11)
CANDIDATES = const(4)  # of a frame, the best
# A pixel of the view is 21/8 of one of the aligned face; the view's pixel (0, 0) lies there at (-89/6, 2/6).
_LEFT, _TOP = const(-89), const(2)
# Where the template's points (align.py) lie in the view, in 1/16 px.
SHAPE = ((269, 258), (484, 257), (377, 380), (289, 506), (467, 505))


def view_of(points):
    """The similarity (as image.warp has it) from the view to the frame; None when the points span no face."""
    try:
        a, b, tx, ty = similarity(points)
    except PoorQuality:
        return None
    return 21 * a >> 3, 21 * b >> 3, tx + (a * _LEFT - b * _TOP) // 6, ty + (b * _LEFT + a * _TOP) // 6


def points_in_frame(out, view) -> tuple:
    """The network's points, in 1/16 frame pixels."""
    a, b, tx, ty = view
    points = []
    for i in range(5):
        x, y = SHAPE[i][0] + out[2 * i], SHAPE[i][1] + out[2 * i + 1]
        points.append(((a * x - b * y + 16 * tx + 32768) >> 16, (b * x + a * y + 16 * ty + 32768) >> 16))
    return tuple(points)


def box_in_frame(out, view) -> tuple:
    """x, y, w, h in whole frame pixels, about the ellipse that fills the upright box in the view."""
    a, b, tx, ty = view
    x, y = CENTRE[0] + out[_BOX], CENTRE[1] + out[_BOX + 1]
    w, h = size16(BOX_SIDE // 2, out[_BOX + 2]), size16(BOX_SIDE // 2, out[_BOX + 3])
    width, height = isqrt((a * w) ** 2 + (b * h) ** 2), isqrt((b * w) ** 2 + (a * h) ** 2)
    left, top = a * x - b * y + 16 * tx - width // 2, b * x + a * y + 16 * ty - height // 2
    return tuple((side + (1 << 19)) >> 20 for side in (left, top, width, height))


def judge(face, out, view) -> tuple:
    """The detector's face after the closer look: box and points by it, and both networks' scores added."""
    return (face[0] + out[_SCORE],) + box_in_frame(out, view) + (points_in_frame(out, view),)


def choose(seen, threshold: int) -> list:
    """Those that are faces, best first, each once: a second box whose eyes and mouth lie on another's is left out."""
    faces = []
    for face in sorted((f for f in seen if f[0] >= threshold), key=lambda f: -f[0]):
        if not any(_same_points(face[5], other[5]) for other in faces):
            faces.append(face)
    return faces


def _same_points(a, b) -> bool:
    """Do the points lie, on average, within half the larger eye distance of each other?"""
    away = sum(abs(p[0] - q[0]) + abs(p[1] - q[1]) for p, q in zip(a, b))
    return 2 * away < 5 * max(_eyes(a), _eyes(b))


def _eyes(points) -> int:
    return abs(points[0][0] - points[1][0]) + abs(points[0][1] - points[1][1])
