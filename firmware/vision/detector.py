"""Faces out of the detector's two int8 heads, in integers throughout.

A head is a grid of cells, 16 int8 channels each, all at scale 1/16: score logit; centre x, y; size w, h;
five points x, y; one spare. Offsets count from the cell's centre in half strides, sizes are
4 * log2(size / reference). The network sees 160x120, the frame is 320x240: factor two, and the centre
of input pixel 0 lies at frame coordinate 1/2.
"""

from firmware.base.compat import const

# columns, rows, stride, reference size (both in input pixels): small faces, then large ones
HEADS = ((20, 15, 8, 20), (10, 8, 16, 60))
CHANNELS = const(16)
POINTS = const(5)
_MAX_FACES = const(8)
_MAX_CANDIDATES = const(48)
# 2**(i/64) in Q14 for i in 0..63
_POW2 = tuple(int(16384 * 2 ** (i / 64) + 0.5) for i in range(64))


def size16(reference: int, q: int) -> int:
    """A side in 1/16 frame pixels from its int8 logarithm."""
    return (reference * 32 * _POW2[q & 63]) >> (14 - (q >> 6))


def same_face(a, b) -> bool:
    """Overlap over union above 0.4, or one box mostly inside the other."""
    w = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    h = min(a[2] + a[4], b[2] + b[4]) - max(a[2], b[2])
    if w <= 0 or h <= 0:
        return False
    shared, area_a, area_b = w * h, a[3] * a[4], b[3] * b[4]
    return 10 * shared > 4 * (area_a + area_b - shared) or 10 * shared > 7 * min(area_a, area_b)


class FaceDecoder:
    """Turns head outputs into faces; `threshold` is an int8 logit in sixteenths, from the pack's meta."""

    def __init__(self, threshold: int):
        self.threshold = threshold

    def decode(self, outputs) -> list:
        """The two heads' outputs (flat NHWC, signed bytes), at most 8 faces, best first.

        A face is (score, x, y, w, h, points): score the int8 logit, the box in whole frame pixels, points
        five (x, y) in 1/16 frame pixels: right eye, left eye, nose, right and left corner of the mouth.
        """
        faces = []
        for score, head, cell in self._candidates(outputs):
            face = _face(score, outputs[head], HEADS[head], cell)
            if not any(same_face(face, other) for other in faces):
                faces.append(face)
                if len(faces) == _MAX_FACES:
                    break
        return faces

    def _candidates(self, outputs) -> list:
        found = []
        threshold = self.threshold
        for head, out in enumerate(outputs):
            for at in range(0, HEADS[head][0] * HEADS[head][1] * CHANNELS, CHANNELS):
                if out[at] >= threshold:
                    found.append((out[at], head, at // CHANNELS))
        found.sort(reverse=True)
        return found[:_MAX_CANDIDATES]


def _face(score: int, out, head, cell: int) -> tuple:
    columns, _, stride, reference = head
    cx = (2 * (cell % columns) + 1) * stride * 16 + 8
    cy = (2 * (cell // columns) + 1) * stride * 16 + 8
    _, dx, dy, w, h = out[cell * CHANNELS : cell * CHANNELS + 5]
    w, h = size16(reference, w), size16(reference, h)
    x, y = (cx + dx * stride - w // 2 + 8) >> 4, (cy + dy * stride - h // 2 + 8) >> 4
    offsets = out[cell * CHANNELS + 5 : cell * CHANNELS + 5 + 2 * POINTS]
    points = tuple((cx + offsets[i] * stride, cy + offsets[i + 1] * stride) for i in range(0, 2 * POINTS, 2))
    return score, x, y, (w + 8) >> 4, (h + 8) >> 4, points
