"""Training scenes: photographs warped onto empty rooms, in a 320x240 grey frame.

A scene is drawn at a random place, size and roll with known faces, then lit, blurred and made noisy. Now and then the
face of a photograph gives way to another head, a mask or sunglasses. Only train-part frames may be given; OpenCV is
needed here and in relabel.py.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from models.detector.data import FRAME_H, FRAME_W, MIRRORED, SURROUND, Face, Frame, fitting

W, H = FRAME_W, FRAME_H
MIN_FACE, MAX_FACE = 23.0, 212.0  # height of a face
SOURCE_WEIGHT = {"celeba": 0.42, "web": 0.2, "aaf": 0.16, "mask": 0.12, "nomask": 0.1}
_HEADS = "fiw"  # source of the pictures that only give heads
_SWAPPED, _SWAPPED_WHOLE = 0.35, 0.15  # of the faces of laid and of whole photographs, where heads are given
_COVERED, _COVERED_WHOLE = 0.14, 0.06  # likewise: by a mask or sunglasses
_ALIKE = 0.16  # how far another head's points may lie from the face's, of the eye distance
_NOISE = 1 << 20
_WHOLE = 0.4  # of the scenes: one photograph as it is, small faces in their own surroundings
_SMALL, _MORE_SMALL = 64.0, 0.3  # so many of the faces are no higher than this
_OUTLINE = np.array([(math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 24, endpoint=False)])


class Scenes:
    """Draws scenes without end from the given frames; `rng` decides everything."""

    def __init__(self, frames: list[Frame]):
        self.rooms = [_pyramid(f.pixels) for f in frames if not f.faces]
        self.heads = [(_pyramid(f.pixels), f.faces[0]) for f in frames if f.source == _HEADS]
        self.photos: dict[str, list[tuple[list[np.ndarray], list[Face]]]] = {}
        for frame in frames:
            if frame.source != _HEADS and any(not f.ignore for f in frame.faces):
                self.photos.setdefault(frame.source, []).append((_pyramid(frame.pixels), frame.faces))
        self.whole = [photo for photos in self.photos.values() for photo in photos for _ in range(_showings(photo))]
        self.sources = sorted(self.photos)
        weights = np.array([SOURCE_WEIGHT.get(s, 0.1) for s in self.sources])
        self.weights = weights / max(1e-9, weights.sum())

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, list[Face]]:
        """A uint8 (240, 320) image and its faces in that image's pixels."""
        if rng.random() < _WHOLE:
            return self._whole(rng)
        canvas = self.room(rng)
        faces: list[Face] = []
        count = rng.choice([0, 1, 2, 3], p=[0.12, 0.58, 0.2, 0.1])
        for _ in range(count):
            limit = MAX_FACE if count == 1 else 120.0
            if rng.random() < _MORE_SMALL:
                limit = _SMALL
            faces = self._photo(rng, canvas, faces, limit)
        _cover_some(rng, canvas, faces, _COVERED)
        if rng.random() < 0.15:
            self._occlude(rng, canvas, faces)
        return light(rng, canvas), faces

    def room(self, rng: np.random.Generator) -> np.ndarray:
        """Some part of an empty room (or now and then nothing but shades), not yet lit."""
        if rng.random() < 0.12:
            return _plain(rng)
        levels = self.rooms[rng.integers(len(self.rooms))]
        height, width = levels[0].shape
        cover = max(W / width, H / height)
        scale = cover * math.exp(rng.uniform(0.0, 1.1))
        angle = rng.normal(0, 6) if rng.random() < 0.7 else rng.uniform(-30, 30)
        centre = (rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height)
        move = _affine(centre, (W / 2, H / 2), scale, angle, rng.random() < 0.5)
        return _warp(levels, move, scale, cv2.BORDER_REFLECT, (0, 0, W, H))

    def _whole(self, rng):
        """One photograph, fitted into the frame as evaluation does, or somewhat nearer or farther."""
        levels, own = self.whole[rng.integers(len(self.whole))]
        height, width = levels[0].shape
        low, high = max(-1.0, min(0.0, math.log(26 / _smallest(levels, own)))), 0.2
        scale = fitting(levels[0]) * math.exp(rng.normal(0, 0.06) if rng.random() < 0.5 else rng.uniform(low, high))
        angle = rng.uniform(-20, 20) if rng.random() < 0.15 else rng.normal(0, 3)
        flip = rng.random() < 0.5
        spare = np.abs([W - scale * width, H - scale * height]) / 2
        place = np.array([W, H]) / 2 + spare * rng.uniform(-1, 1, 2) * (rng.random() < 0.7)
        move = _affine(((width - 1) / 2, (height - 1) / 2), place - 0.5, scale, angle, flip)
        shown, window = _polygon(_corners(move, 0, 0, width - 1, height - 1))
        ground = rng.random()
        if ground < 0.3:
            canvas = self.room(rng)
        else:
            canvas = np.full((H, W), SURROUND if ground < 0.65 else rng.integers(0, 256), np.uint8)
        if ground > 0.8:
            window, shown[:] = (0, 0, W, H), 255  # replicated edges
        _lay(canvas, _warp(levels, move, scale, cv2.BORDER_REPLICATE, window), shown, window, False)
        faces = self._shown(rng, canvas, own, move, (scale, angle, flip), shown, _SWAPPED_WHOLE)
        _cover_some(rng, canvas, faces, _COVERED_WHOLE)
        return (light(rng, canvas) if rng.random() < 0.6 else canvas), faces

    def _photo(self, rng, canvas, faces, limit):
        """Lays one photograph over the canvas so that a face of it gets the size and place drawn."""
        source = self.sources[rng.choice(len(self.sources), p=self.weights)]
        photos = self.photos[source]
        levels, own = photos[rng.integers(len(photos))]
        good = [f for f in own if not f.ignore]
        face = good[rng.integers(len(good))]
        size = math.exp(rng.uniform(math.log(MIN_FACE), math.log(limit)))
        scale = min(size / face.box[3], 3.0)
        size = scale * face.box[3]
        angle = rng.uniform(-32, 32) if rng.random() < 0.4 else rng.normal(0, 5)
        flip = rng.random() < 0.5
        margin = 0.35 * size
        place = (_between(rng, margin, W - margin), _between(rng, margin, H - margin))
        move = _affine(face.box[:2] + face.box[2:] / 2, place, scale, angle, flip)
        mask, window, is_soft = self._mask(rng, levels, face, move, scale)
        if window is None:
            return faces
        warped = _warp(levels, move, scale, cv2.BORDER_REPLICATE, window)
        _lay(canvas, warped, mask, window, is_soft)
        kept = [f for f in (_hidden(f, mask) for f in faces) if f]
        swapped = 0.0 if source == "mask" else _SWAPPED
        return kept + self._shown(rng, canvas, own, move, (scale, angle, flip), mask, swapped)

    def _shown(self, rng, canvas, own, move, turned, mask, swapped):
        """The faces of a photograph laid under `mask`, some of them given way to other heads."""
        faces = []
        for face in own:
            other = None
            if self.heads and swapped and not face.ignore and rng.random() < swapped:
                other = self._head(rng, canvas, face, move, mask)
            faces.append(other or _move_face(face, move, *turned))
        return [f for f in (_visible(f, mask) for f in faces) if f]

    def _head(self, rng, canvas, face, move, shown):
        """Another head in the place of a photograph's face, where one of some tried looks the same way."""
        for _ in range(4):
            levels, head = self.heads[rng.integers(len(self.heads))]
            flip = rng.random() < 0.5
            seat = _seat(head, face, flip)
            if seat is not None:
                break
        else:
            return None
        outline = head.box[:2] + head.box[2:] * (0.5 + _OUTLINE * rng.uniform(0.5, 0.6) * (1.0, 1.02))
        side = levels[0].shape[0] - 1
        outline = outline.clip(0, side)
        whole = _compose(move, seat)
        scale = math.sqrt(abs(np.linalg.det(whole[:, :2])))
        mask, window = _polygon(outline @ whole[:, :2].T + whole[:, 2])
        if window is None:
            return None
        _soften(mask, window, 1 + 2 * int(rng.uniform(0.03, 0.08) * scale * head.box[3]))
        part = _part(mask, window)
        np.minimum(part, _part(shown, window), out=part)
        warped = _warp(levels, whole, scale, cv2.BORDER_REPLICATE, window)
        inside = part > 127
        if not inside.any():
            return None
        under = _part(canvas, window)
        (mine, spread), (theirs, other) = ((p[inside].mean(), p[inside].std()) for p in (warped, under))
        gain = min(max(other / max(spread, 1.0), 0.6), 1.6)
        warped = cv2.convertScaleAbs(warped, alpha=gain, beta=theirs - gain * mine) if theirs > gain * mine else warped
        _lay(canvas, warped, mask, window, True)
        angle = math.degrees(math.atan2(whole[1, 1], whole[0, 1])) - 90
        mirrored = np.linalg.det(whole[:, :2]) < 0
        return _move_face(head, whole, scale, angle, mirrored)

    def _mask(self, rng, levels, face, move, scale):
        """What the photograph covers: all of itself, or (feathered) only the head and the shoulders. 0 to 255, the
        window where it is not 0, and whether there is anything between.
        """
        height, width = levels[0].shape
        x0, y0, x1, y1 = 0.0, 0.0, float(width), float(height)
        style = rng.random()
        if style < 0.5:
            x, y, w, h = face.box
            grow = rng.uniform(0.35, 1.4, 4)
            x0, y0 = max(x0, x - grow[0] * w), max(y0, y - grow[1] * h)
            x1, y1 = min(x1, x + w + grow[2] * w), min(y1, y + h + grow[3] * h)
        elif style < 0.6:
            return np.full((H, W), 255, np.uint8), (0, 0, W, H), False  # replicated edges: the photograph fills all
        mask, window = _polygon(_corners(move, x0, y0, x1, y1))
        if style < 0.4 and window is not None:
            _soften(mask, window, 1 + 2 * int(rng.uniform(0.03, 0.16) * scale * face.box[3]))
        return mask, window, style < 0.4

    def _occlude(self, rng, canvas, faces):
        """A patch of a room over part of a face, or anywhere: its edges alone must not mean a face."""
        patch = self.room(rng)
        if faces and rng.random() < 0.4:
            x, y, w, h = faces[rng.integers(len(faces))].box
            pw, ph = w * rng.uniform(0.2, 0.5), h * rng.uniform(0.15, 0.35)
            px, py = x + rng.uniform(-0.2, 0.9) * w, y + rng.uniform(-0.1, 0.9) * h
        else:
            pw, ph = rng.uniform(16, 140), rng.uniform(16, 140)
            px, py = rng.uniform(0, W - 16), rng.uniform(0, H - 16)
        mask, window = _polygon(np.array([[px, py], [px + pw, py], [px + pw, py + ph], [px, py + ph]]))
        if window is None:
            return
        is_soft = rng.random() < 0.5
        if is_soft:
            _soften(mask, window, 9)
        _lay(canvas, _part(patch, window), mask, window, is_soft)
        faces[:] = [f for f in (_hidden(f, mask) for f in faces) if f]


def _showings(photo) -> int:
    """Whole photographs with small faces are few, and shown the more often."""
    smallest = _smallest(*photo)
    return 4 if smallest < 48 else 3 if smallest < 64 else 2 if smallest < 90 else 1


def _smallest(levels, faces) -> float:
    """Longer side of the smallest face that counts, in pixels of the frame that the photograph is fitted into."""
    return min(f.box[2:].max() for f in faces if not f.ignore) * fitting(levels[0])


def light(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Exposure, backlight, blur and sensor noise."""
    out = image
    if rng.random() < 0.3:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 2.4))
    elif rng.random() < 0.08:
        out = cv2.filter2D(out, -1, _streak(rng))
    ramps = None
    if rng.random() < 0.3:
        across = np.linspace(rng.uniform(0.35, 1), rng.uniform(0.8, 1.5), W, dtype=np.float32)
        ramps = np.broadcast_to(across[::-1] if rng.random() < 0.5 else across, (H, W))
    if rng.random() < 0.2:
        down = np.linspace(rng.uniform(0.5, 1.4), rng.uniform(0.5, 1.4), H, dtype=np.float32)[:, None]
        ramps = np.broadcast_to(down, (H, W)) if ramps is None else ramps * down
    if ramps is not None:
        out = cv2.multiply(out, np.ascontiguousarray(ramps), dtype=cv2.CV_8U)
    gamma = math.exp(rng.normal(0, 0.3))
    gain = math.exp(rng.normal(0, 0.25))
    curve = 255 * np.clip(np.arange(256, dtype=np.float32) * (gain / 255), 0, 1) ** gamma
    mean = float(curve[round(cv2.mean(out)[0])])
    curve = (curve - mean) * rng.uniform(0.55, 1.25) + mean + rng.normal(0, 14)
    out = cv2.LUT(out, np.clip(curve + 0.5, 0, 255).astype(np.uint8))
    if rng.random() < 0.75:
        start = rng.integers(_NOISE - W * H)
        noise = _noise()[start : start + W * H].reshape(H, W)
        out = cv2.add(out, cv2.multiply(noise, float(rng.uniform(0.3, 8))), dtype=cv2.CV_8U)
    return out


_bank: list[np.ndarray] = []


def _noise() -> np.ndarray:
    """Standard normal noise, the same at every call: drawing it anew would cost more than all else."""
    if not _bank:
        _bank.append(np.random.default_rng(7).standard_normal(_NOISE, np.float32))
    return _bank[0]


def _cover_some(rng, canvas, faces, share):
    """A mask or sunglasses on so many of the faces that count."""
    for face in faces:
        if not face.ignore and rng.random() < share:
            (_cover if rng.random() < 0.6 else _shade)(rng, canvas, face)


def _cover(rng, canvas, face):
    """A mask over nose, mouth and chin, as the points say where they are."""
    eyes, nose, mouth = face.points[:2].mean(0), face.points[2], face.points[3:].mean(0)
    down = mouth - eyes
    side = np.array([down[1], -down[0]]) * (0.5 * face.box[2] / max(1.0, float(np.hypot(*down))))
    top, chin = nose - down * rng.uniform(0.1, 0.4), mouth + down * rng.uniform(0.45, 0.75)
    width = rng.uniform(0.85, 1.05)
    level = nose - down * rng.uniform(-0.1, 0.15)
    outline = [top, level + side * width, mouth + side * width * 0.9, chin + side * 0.45]
    outline += [chin - side * 0.45, mouth - side * width * 0.9, level - side * width]
    _paint(rng, canvas, np.array(outline), rng.uniform(15, 250), 0.03 * face.box[3])


def _shade(rng, canvas, face):
    """Sunglasses: a dark patch about each eye and a bar between."""
    right, left = face.points[:2]
    across = left - right
    if np.hypot(*across) < 0.2 * face.box[2]:
        return
    down = np.array([-across[1], across[0]])
    tone = rng.uniform(0, 90)
    half, tall = rng.uniform(0.32, 0.46), rng.uniform(0.2, 0.36)
    for eye in (right, left):
        outline = eye + down * 0.05 + (_OUTLINE[:, :1] * half) * across + (_OUTLINE[:, 1:] * tall) * down
        _paint(rng, canvas, outline, tone, 0.01 * face.box[3])
    bar = [right, left, left + down * 0.08, right + down * 0.08]
    _paint(rng, canvas, np.array(bar) - down * 0.08, tone, 0.01 * face.box[3])


def _paint(rng, canvas, outline, tone, feather):
    mask, window = _polygon(outline)
    if window is None:
        return
    _soften(mask, window, 1 + 2 * int(feather))
    part = _part(canvas, window)
    keep = rng.uniform(0, 0.35)
    _lay(canvas, cv2.convertScaleAbs(part, alpha=keep, beta=(1 - keep) * tone), mask, window, True)


def _corners(move, x0, y0, x1, y1):
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ move[:, :2].T + move[:, 2]


def _polygon(corners):
    """A mask of 255 within convex corners, and the window (x0, y0, x1, y1) about it, None outside the frame."""
    mask = np.zeros((H, W), np.uint8)
    low, high = np.floor(corners.min(0)).astype(int) - 1, np.ceil(corners.max(0)).astype(int) + 2
    x0, y0, x1, y1 = max(0, int(low[0])), max(0, int(low[1])), min(W, int(high[0])), min(H, int(high[1]))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return mask, None
    cv2.fillConvexPoly(mask, np.round(corners * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    return mask, (x0, y0, x1, y1)


def _soften(mask, window, feather):
    part = _part(mask, window)
    if feather > 1:
        part[:] = cv2.blur(cv2.erode(part, np.ones((feather, feather), np.uint8)), (feather, feather))


def _part(image, window):
    x0, y0, x1, y1 = window
    return image[y0:y1, x0:x1]


def _lay(canvas, picture, mask, window, is_soft):
    """`picture`, of the window's size, over the canvas."""
    under, part = _part(canvas, window), np.ascontiguousarray(_part(mask, window))
    if is_soft:
        weight = part.astype(np.float32) * np.float32(1 / 255)
        under[:] = cv2.blendLinear(np.ascontiguousarray(picture), np.ascontiguousarray(under), weight, 1 - weight)
    else:
        np.copyto(under, picture, where=part > 127)


def _seat(head, face, flip):
    """2x3 from a head's picture to a face's by their points, None where they look different ways."""
    points = head.points * (-1, 1) if flip else head.points
    source = points[MIRRORED] if flip else points
    a, b = source - source.mean(0), face.points - face.points.mean(0)
    norm = float((a * a).sum())
    c, s = float((a * b).sum()) / norm, float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / norm
    linear = np.array([[c, -s], [s, c]])
    eyes = max(1.0, float(np.hypot(*(face.points[1] - face.points[0]))))
    if float(np.linalg.norm(a @ linear.T - b, axis=1).mean()) > _ALIKE * eyes:
        return None
    if flip:
        linear = linear * (-1, 1)
    return np.concatenate([linear, (face.points.mean(0) - linear @ head.points.mean(0))[:, None]], axis=1)


def _compose(second, first):
    """2x3: first `first`, then `second`."""
    linear = second[:, :2] @ first[:, :2]
    return np.concatenate([linear, second[:, :2] @ first[:, 2:] + second[:, 2:]], axis=1)


def _pyramid(pixels):
    levels = [pixels]
    for _ in range(3):
        height, width = levels[-1].shape
        if min(height, width) < 16:
            break
        half = ((width + 1) // 2, (height + 1) // 2)
        levels.append(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA))
    return levels


def _affine(source, target, scale, angle, flip):
    """2x3: about `source`, mirrored, turned by `angle` degrees clockwise, scaled, then moved to `target`."""
    turn = math.radians(angle)
    c, s = scale * math.cos(turn), scale * math.sin(turn)
    sign = -1.0 if flip else 1.0
    linear = np.array([[c * sign, -s], [s * sign, c]])
    return np.concatenate([linear, (np.array(target) - linear @ np.array(source))[:, None]], axis=1)


def _warp(levels, move, scale, border, window):
    """The window of the warped picture, from the pyramid level that leaves at most a halving to the bilinear filter."""
    level = min(len(levels) - 1, max(0, math.floor(-math.log2(scale) + 0.35)))
    times = levels[0].shape[1] / levels[level].shape[1]
    move = move.copy()
    move[:, 2] += move[:, :2].sum(axis=1) * (times - 1) / 2  # its pixel centres lie between the source's
    move[:, :2] *= times
    x0, y0, x1, y1 = window
    move[:, 2] -= (x0, y0)
    return cv2.warpAffine(levels[level], move, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=border)


def _move_face(face, move, scale, angle, flip):
    """The box of a turned face is that of the turned ellipse which fills its upright box. Labels count from pixels'
    edges (relabel.py), `move` from their centres.
    """
    centre = move[:, :2] @ (face.box[:2] + face.box[2:] / 2 - 0.5) + move[:, 2] + 0.5
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    w, h = scale * face.box[2], scale * face.box[3]
    size = np.array([math.hypot(w * c, h * s), math.hypot(w * s, h * c)])
    points = (face.points - 0.5) @ move[:, :2].T + move[:, 2] + 0.5
    box = np.concatenate([centre - size / 2, size]).astype(np.float32)
    return Face(box, (points[MIRRORED] if flip else points).astype(np.float32), face.ignore)


def _window(face, mask):
    x, y, w, h = face.box
    return mask[max(0, int(y)) : max(0, int(y + h)), max(0, int(x)) : max(0, int(x + w))]


def _hidden(face, mask):
    """An earlier face under a later picture: kept, no longer counted, or gone."""
    window = _window(face, mask)
    covered = float(window.mean()) / 255 if window.size else 0.0
    if covered > 0.9:
        return None
    return Face(face.box, face.points, face.ignore or covered > 0.3)


def _visible(face, mask):
    """A new face cut by the frame or by its own mask."""
    shown = float(_window(face, mask).sum()) / 255 / max(1.0, float(face.box[2] * face.box[3]))
    if shown < 0.12:
        return None
    small = max(face.box[2:]) < MIN_FACE - 2
    return Face(face.box, face.points, face.ignore or shown < 0.6 or small)


def _plain(rng):
    if rng.random() < 0.5:
        return np.full((H, W), rng.integers(0, 256), np.uint8)
    noise = rng.uniform(0, 255, (rng.integers(2, 9), rng.integers(2, 9))).astype(np.float32)
    return cv2.resize(noise, (W, H), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def _streak(rng):
    length = int(rng.integers(5, 15))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, math.pi)
    half = (length - 1) / 2
    for step in np.linspace(-half, half, 4 * length):
        kernel[round(half + step * math.sin(angle)), round(half + step * math.cos(angle))] = 1
    return kernel / kernel.sum()


def _between(rng, low, high):
    return rng.uniform(low, high) if high > low else (low + high) / 2
