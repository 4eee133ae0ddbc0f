"""Similarity alignment of a face by its five landmarks, in exact integers, the same on every machine.

The embedder's 96 px input is the piece of the ArcFace template's 112 px square that begins at (9, 9). The least-squares
similarity from landmarks to template is inverted, because the warp asks for each destination pixel where it
lies in the frame.
"""

from firmware.base.compat import const
from firmware.base.errors import PoorQuality

SIDE = const(96)
_LARGE = (3 * 65536 // 2) ** 2  # beyond 1.5 frame pixels a step, sampling the frame would alias

# Hundredths of a pixel. Order: the eye on the image's left, the other eye, nose tip, the mouth corner on the left, the
# other corner.
_TEMPLATE_112 = ((3829, 5170), (7353, 5150), (5603, 7174), (4155, 9237), (7073, 9220))
_CORNER = const(900)
_TEMPLATE = tuple((x - _CORNER, y - _CORNER) for x, y in _TEMPLATE_112)
_SUM_X = sum(x for x, _ in _TEMPLATE)
_SUM_Y = sum(y for _, y in _TEMPLATE)
_SPREAD = sum((5 * x - _SUM_X) ** 2 + (5 * y - _SUM_Y) ** 2 for x, y in _TEMPLATE)


def _nearest(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def similarity(landmarks) -> tuple:
    """`landmarks`: five (x, y) in 1/16 px of the frame. Returns (a, b, tx, ty) in Q16, source from
    destination pixels:

    x_src = a * x_dst - b * y_dst + tx,   y_src = b * x_dst + a * y_dst + ty.

    PoorQuality when the points do not span a face.
    """
    sum_x = sum(x for x, _ in landmarks)
    sum_y = sum(y for _, y in landmarks)
    along = across = spread = 0
    for (x, y), (u, v) in zip(landmarks, _TEMPLATE):
        x, y = 5 * x - sum_x, 5 * y - sum_y  # 1/80 px from the mean
        u, v = 5 * u - _SUM_X, 5 * v - _SUM_Y  # 1/500 px from the mean
        along += x * u + y * v
        across += x * v - y * u
        spread += x * x + y * y
    square = along * along + across * across
    if not square or 4 * square < spread * _SPREAD:  # less than a quarter of their spread is a face's shape
        raise PoorQuality("the landmarks do not span a face")
    # (along + i across) / spread maps face to template; its inverse is spread (along - i across) / square.
    scale = 65536 * 25 * spread  # 500 / 80 = 25 / 4
    a = _nearest(scale * along, 4 * square)
    b = _nearest(-scale * across, 4 * square)
    tx = _nearest(65536 * (sum_x * square - spread * (along * _SUM_X + across * _SUM_Y)), 80 * square)
    ty = _nearest(65536 * (sum_y * square - spread * (along * _SUM_Y - across * _SUM_X)), 80 * square)
    return a, b, tx, ty


def is_large(transform) -> bool:
    """Should the face be sampled from the half-size frame?"""
    a, b, _, _ = transform
    return a * a + b * b > _LARGE


def halved(transform) -> tuple:
    """The same transform into a frame halved by 2x2 means, whose pixel 0 lies at frame coordinate 1/2."""
    a, b, tx, ty = transform
    return a >> 1, b >> 1, (tx - 32768) >> 1, (ty - 32768) >> 1
