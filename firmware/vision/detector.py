"""Faces out of the detector's two int8 heads, in integers throughout.

A head is a grid of cells, 16 int8 channels each, all at scale 1/16: score logit; centre x, y; size w, h;
five points x, y; one spare. Offsets count from the cell's centre in half strides, sizes are
4 * log2(size / reference). Cells, strides and references count in a grid of 160x120, the frame is 320x240: factor
two, and the grid's point 0 lies at frame coordinate 1/2.
"""

from firmware.base.compat import const

# columns, rows, stride, reference size (both on the grid): small faces, then large ones
HEADS = ((20, 15, 8, 20), (10, 8, 16, 60))
CHANNELS = const(16)
POINTS = const(5)
_MAX_FACES = const(8)
_MAX_CANDIDATES = const(48)
_VOTE_BELOW = const(8)  # cells so far below the threshold still say where a face is
# 2**(i/64) in Q14 for i in 0..63
_POW2 = tuple(int(16384 * 2 ** (i / 64) + 0.5) for i in range(64))


def size16(reference: int, q: int) -> int:
    """A side in 1/16 frame pixels from its int8 logarithm."""
    return (reference * 32 * _POW2[q & 63]) >> (14 - (q >> 6))


def overlap(a, b) -> tuple:
    """Of two faces' boxes: the area they share, and the area of each."""
    w = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    h = min(a[2] + a[4], b[2] + b[4]) - max(a[2], b[2])
    return (w * h if w > 0 and h > 0 else 0), a[3] * a[4], b[3] * b[4]


def alike(a, b) -> bool:
    """Overlap over union above 0.4."""
    shared, area_a, area_b = overlap(a, b)
    return 10 * shared > 4 * (area_a + area_b - shared)


def same_face(a, b) -> bool:
    """Alike, or one box mostly inside the other."""
    shared, area_a, area_b = overlap(a, b)
    return alike(a, b) or 10 * shared > 7 * min(area_a, area_b)


class FaceDecoder:
    """Turns head outputs into faces; `threshold` is an int8 logit in sixteenths, from the pack's meta."""

    def __init__(self, threshold: int):
        self.threshold = threshold

    def decode(self, outputs) -> list:
        """The two heads' outputs (flat NHWC, signed bytes), at most 8 faces, best first.

        A face is (score, x, y, w, h, points): score the int8 logit, the box in whole frame pixels, points
        five (x, y) in 1/16 frame pixels: right eye, left eye, nose, right and left corner of the mouth.
        The best cell finds a face; it and its neighbours say where, each with a weight that rises with its score.
        """
        groups = []  # best cell's face, sum of weights, weighted sums of the 14 coordinates
        least = self.threshold - _VOTE_BELOW
        for score, head, cell in self._candidates(outputs, least):
            place = _place(outputs[head], HEADS[head], cell)
            face = _face(score, place)
            group = _first_same(groups, face)
            if group is None:
                if score < self.threshold or len(groups) == _MAX_FACES:
                    continue
                group = [face, 0, [0] * len(place)]
                groups.append(group)
            if alike(face, group[0]):
                _vote(group, place, score - least + 4)
        return [_face(group[0][0], [total // group[1] for total in group[2]]) for group in groups]

    def _candidates(self, outputs, least: int) -> list:
        found = []
        for head, out in enumerate(outputs):
            for at in range(0, HEADS[head][0] * HEADS[head][1] * CHANNELS, CHANNELS):
                if out[at] >= least:
                    found.append((out[at], head, at // CHANNELS))
        found.sort(reverse=True)
        return found[:_MAX_CANDIDATES]


def _place(out, head, cell: int) -> list:
    """x, y, w, h, then the points' x, y by turns, in 1/16 frame pixels."""
    columns, _, stride, reference = head
    cx = (2 * (cell % columns) + 1) * stride * 16 + 8
    cy = (2 * (cell // columns) + 1) * stride * 16 + 8
    _, dx, dy, w, h = out[cell * CHANNELS : cell * CHANNELS + 5]
    w, h = size16(reference, w), size16(reference, h)
    place = [cx + dx * stride - w // 2, cy + dy * stride - h // 2, w, h]
    offsets = out[cell * CHANNELS + 5 : cell * CHANNELS + 5 + 2 * POINTS]
    for i in range(0, 2 * POINTS, 2):
        place += (cx + offsets[i] * stride, cy + offsets[i + 1] * stride)
    return place


def _face(score: int, place) -> tuple:
    x, y, w, h = [(side + 8) >> 4 for side in place[:4]]
    return score, x, y, w, h, tuple((place[i], place[i + 1]) for i in range(4, len(place), 2))


def _first_same(groups, face):
    for group in groups:
        if same_face(face, group[0]):
            return group
    return None


def _vote(group, place, weight: int) -> None:
    group[1] += weight
    sums = group[2]
    for i, value in enumerate(place):
        sums[i] += weight * value
