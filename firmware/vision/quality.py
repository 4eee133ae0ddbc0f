"""Is a face good enough to learn (STRICT) or to compare (LENIENT)? If not, what the person can do about it.

Landmarks are five (x, y) in 1/16 frame pixels: eye on the image's left, other eye, nose, mouth corner on the
left, other corner. A judgement is a hint code; OK is 0, and HINTS holds the words for the screen.
"""

from firmware.base.compat import const
from firmware.base.integers import isqrt

OK = const(0)
NO_FACE = const(1)
ONE_PERSON = const(2)
COME_CLOSER = const(3)
MIDDLE = const(4)
LOOK_STRAIGHT = const(5)
MORE_LIGHT = const(6)
TOO_BRIGHT = const(7)
HOLD_STILL = const(8)
STEP_BACK = const(9)

HINTS = (
    "",
    "look at the camera",
    "one person only",
    "come closer",
    "move to the middle",
    "look straight",
    "more light",
    "too bright",
    "hold still",
    "step back",
)

LIT = (OK, TOO_BRIGHT, MORE_LIGHT, HOLD_STILL)  # judgements for which the face's light was measured

# Numbers that pixelstats.measure yields: light sum, dark, bright; energies fine x, wide x, fine y, wide y; sum of
# squares.
STATS = const(8)
_PIXELS = const(56 * 48)  # of the aligned face that they cover
# Ordinary portraits: mean light 97..185, standard deviation 21 and more for 95 in 100.
_DIM, _GLARING = const(100), const(185)
_FLAT = const(30)
_MOST_GAIN = const(6 * 256)
_CORNERS = ((24, 32), (71, 32), (24, 87), (71, 87))  # of that part


class Limits:
    """Eye distance in frame pixels; turn, roll and nod in per cent; light in grey levels; shares in per cent;
    sharpness in thousandths (see sharpness); other_size: how large, in per cent of the face's width, a
    second face may be."""

    def __init__(self, eyes, turn, roll, nod, light, clipped, sharpness, other_size):
        self.eyes = eyes
        self.turn = turn
        self.roll = roll
        self.nod = nod
        self.light = light
        self.clipped = clipped
        self.sharpness = sharpness
        self.other_size = other_size


# Of 2,371 labelled faces in detection frames fitted into 320x240 STRICT passes 46 % and LENIENT 75 %; a blur of sigma
# 2.5 px at 96 px is refused by LENIENT in 90 % (`python -m models.gate`; the whole table is in the embedder's card).
STRICT = Limits(24, 20, 36, (40, 72), (55, 215), 10, 45, 35)
LENIENT = Limits(13, 40, 70, (30, 85), (30, 235), 35, 16, 60)


def choose(faces, limits) -> tuple:
    """The one face to look at, and a hint: (face, OK), or (None, NO_FACE or ONE_PERSON).

    Faces are the detector's tuples; the widest counts, unless another one is too nearly as wide.
    """
    if not faces:
        return None, NO_FACE
    face = max(faces, key=lambda f: f[3])
    for other in faces:
        if other is not face and 100 * other[3] > limits.other_size * face[3]:
            return None, ONE_PERSON
    return face, OK


def judge_landmarks(points, limits) -> int:
    """Size and pose. The turn of the head shows in the nose leaving the middle of the eyes (as a share of the
    eye distance), the nod in where the nose lies between eyes and mouth; both are measured along and across
    the line of the eyes."""
    (rx, ry), (lx, ly), (nx, ny), (ax, ay), (bx, by) = points
    ex, ey = lx - rx, ly - ry
    square = ex * ex + ey * ey
    if square < (16 * limits.eyes) ** 2:
        return COME_CLOSER
    if ex <= 0 or 100 * abs(ey) > limits.roll * ex:
        return LOOK_STRAIGHT
    nx, ny = 2 * nx - rx - lx, 2 * ny - ry - ly  # twice the way from the middle of the eyes to the nose
    mx, my = ax + bx - rx - lx, ay + by - ry - ly  # and to the middle of the mouth
    nose, mouth = ny * ex - nx * ey, my * ex - mx * ey
    if 100 * abs(nx * ex + ny * ey) > limits.turn * 2 * square:
        return LOOK_STRAIGHT
    if not limits.nod[0] * mouth <= 100 * nose <= limits.nod[1] * mouth:
        return LOOK_STRAIGHT
    return OK


def judge_place(transform, width: int, height: int) -> int:
    """Do eyes to mouth, warped by `transform` (see align.similarity), lie within the frame?"""
    a, b, tx, ty = transform
    for u, v in _CORNERS:
        x, y = (a * u - b * v + tx) >> 16, (b * u + a * v + ty) >> 16
        if not (0 <= x < width and 0 <= y < height):
            return MIDDLE
    return OK


def judge_pixels(stats, limits) -> int:
    """Exposure and blur of the aligned face, from pixelstats.measure."""
    light = mean_light(stats)
    dark, bright = 100 * stats[1] // _PIXELS, 100 * stats[2] // _PIXELS
    if light < limits.light[0] or dark > limits.clipped:
        return MORE_LIGHT
    if light > limits.light[1] or bright > limits.clipped:
        return TOO_BRIGHT
    if sharpness(stats) < limits.sharpness:
        return HOLD_STILL
    return OK


def mean_light(stats) -> int:
    return stats[0] // _PIXELS


def levels(stats) -> tuple:
    """(gain in Q8, offset in Q8) that bring a dim, glaring or flat face to the edge of the range that ordinary
    portraits have: new = (pixel * gain + offset + 128) >> 8, cut to 0..255. (256, 0) leaves the face alone."""
    light = mean_light(stats)
    variance = (_PIXELS * stats[7] - stats[0] * stats[0]) // (_PIXELS * _PIXELS)
    spread = isqrt(variance << 8)  # standard deviation in 1/16
    gain = 256 if spread >= 16 * _FLAT else min(_MOST_GAIN, 256 * 16 * _FLAT // max(spread, 1))
    return gain, 256 * min(max(light, _DIM), _GLARING) - gain * light


def sharpness(stats) -> int:
    """Energy of second differences over 2 px as thousandths of that over 8 px, in the worse direction.

    A ratio, so that contrast and light cancel out; steps of 2 and 8 px, so that sensor noise counts little. A
    straight ramp of blur tends to 1000 / 4**4 = 4; sharp faces lie between 50 and 250.
    """
    return min(1000 * stats[3] // max(stats[4], 1), 1000 * stats[5] // max(stats[6], 1))
