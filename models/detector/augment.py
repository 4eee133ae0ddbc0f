"""Training scenes: photographs warped onto empty rooms, at the network's input size (160x120 grey).

A scene is drawn at a random place, size and roll with known faces, then lit, blurred and made noisy.
Only train-part frames may be given; OpenCV is needed here and nowhere else.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from models.detector.data import Face, Frame

W, H = 160, 120
MIN_FACE, MAX_FACE = 12.0, 106.0  # height of a face in input pixels; half of that in the 320x240 frame
SOURCE_WEIGHT = {"celeba": 0.42, "web": 0.2, "aaf": 0.16, "mask": 0.12, "nomask": 0.1}
_FLIP = [1, 0, 2, 4, 3]  # mirrored, the right eye is the left eye


class Scenes:
    """Draws scenes without end from the given frames; `rng` decides everything."""

    def __init__(self, frames: list[Frame]):
        self.rooms = [_pyramid(f.pixels) for f in frames if not f.faces]
        self.photos: dict[str, list[tuple[list[np.ndarray], list[Face]]]] = {}
        for frame in frames:
            if any(not f.ignore for f in frame.faces):
                self.photos.setdefault(frame.source, []).append((_pyramid(frame.pixels), frame.faces))
        self.sources = sorted(self.photos)
        weights = np.array([SOURCE_WEIGHT.get(s, 0.1) for s in self.sources])
        self.weights = weights / max(1e-9, weights.sum())

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, list[Face]]:
        """A uint8 (120, 160) image and its faces in that image's pixels."""
        canvas = self.room(rng)
        faces: list[Face] = []
        count = rng.choice([0, 1, 2, 3], p=[0.12, 0.58, 0.2, 0.1])
        for index in range(count):
            limit = MAX_FACE if count == 1 else 60.0
            canvas, faces = self._photo(rng, canvas, faces, limit, last=index == count - 1)
        if rng.random() < 0.15:
            canvas = self._occlude(rng, canvas, faces)
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
        return _warp(levels, move, scale, cv2.BORDER_REFLECT)

    def _photo(self, rng, canvas, faces, limit, last):
        """Lays one photograph over the canvas so that a face of it gets the size and place drawn."""
        photos = self.photos[self.sources[rng.choice(len(self.sources), p=self.weights)]]
        levels, own = photos[rng.integers(len(photos))]
        good = [f for f in own if not f.ignore]
        face = good[rng.integers(len(good))]
        size = math.exp(rng.uniform(math.log(MIN_FACE), math.log(limit)))
        scale = min(size / face.box[3], 2.5)
        size = scale * face.box[3]
        angle = rng.uniform(-32, 32) if rng.random() < 0.4 else rng.normal(0, 5)
        flip = rng.random() < 0.5
        margin = 0.35 * size
        place = (_between(rng, margin, W - margin), _between(rng, margin, H - margin))
        move = _affine(face.box[:2] + face.box[2:] / 2, place, scale, angle, flip)
        mask = self._mask(rng, levels, face, move, scale)
        warped = _warp(levels, move, scale, cv2.BORDER_REPLICATE)
        canvas = (canvas + (warped.astype(np.float32) - canvas) * mask).astype(np.uint8)
        kept = [f for f in (_hidden(f, mask) for f in faces) if f]
        added = [_move_face(f, move, scale, angle, flip) for f in own]
        return canvas, kept + [f for f in (_visible(f, mask) for f in added) if f]

    def _mask(self, rng, levels, face, move, scale):
        """What the photograph covers: all of itself, or (feathered) only the head and the shoulders."""
        height, width = levels[0].shape
        x0, y0, x1, y1 = 0.0, 0.0, float(width), float(height)
        style = rng.random()
        if style < 0.5:
            x, y, w, h = face.box
            grow = rng.uniform(0.35, 1.4, 4)
            x0, y0 = max(x0, x - grow[0] * w), max(y0, y - grow[1] * h)
            x1, y1 = min(x1, x + w + grow[2] * w), min(y1, y + h + grow[3] * h)
        elif style < 0.6:
            return np.ones((H, W), np.float32)  # replicated edges: a frame that the photograph fills
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ move[:, :2].T + move[:, 2]
        mask = np.zeros((H, W), np.float32)
        cv2.fillConvexPoly(mask, np.round(corners * 16).astype(np.int32), 1.0, cv2.LINE_8, 4)
        if style < 0.4:
            feather = 1 + 2 * int(rng.uniform(0.03, 0.16) * scale * face.box[3])
            mask = cv2.blur(cv2.erode(mask, np.ones((feather, feather))), (feather, feather))
        return mask

    def _occlude(self, rng, canvas, faces):
        """A patch of a room over part of a face, or anywhere: its edges alone must not mean a face."""
        patch = self.room(rng)
        if faces and rng.random() < 0.4:
            x, y, w, h = faces[rng.integers(len(faces))].box
            pw, ph = w * rng.uniform(0.2, 0.5), h * rng.uniform(0.15, 0.35)
            px, py = x + rng.uniform(-0.2, 0.9) * w, y + rng.uniform(-0.1, 0.9) * h
        else:
            pw, ph = rng.uniform(8, 70), rng.uniform(8, 70)
            px, py = rng.uniform(0, W - 8), rng.uniform(0, H - 8)
        mask = np.zeros((H, W), np.float32)
        x0, y0 = max(0, int(px)), max(0, int(py))
        mask[y0 : max(0, int(py + ph)), x0 : max(0, int(px + pw))] = 1
        if rng.random() < 0.5:
            mask = cv2.blur(mask, (5, 5))
        faces[:] = [f for f in (_hidden(f, mask) for f in faces) if f]
        return (canvas + (patch.astype(np.float32) - canvas) * mask).astype(np.uint8)


def light(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Exposure, backlight, blur and sensor noise (the noise of a 2x2 mean)."""
    out = image.astype(np.float32)
    if rng.random() < 0.3:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.3))
    elif rng.random() < 0.08:
        out = cv2.filter2D(out, -1, _streak(rng))
    if rng.random() < 0.3:
        ramp = np.linspace(rng.uniform(0.35, 1), rng.uniform(0.8, 1.5), W, dtype=np.float32)
        out *= ramp[::-1] if rng.random() < 0.5 else ramp
    if rng.random() < 0.2:
        out *= np.linspace(rng.uniform(0.5, 1.4), rng.uniform(0.5, 1.4), H, dtype=np.float32)[:, None]
    gamma = math.exp(rng.normal(0, 0.3))
    gain = math.exp(rng.normal(0, 0.25))
    curve = 255 * np.clip(np.arange(256, dtype=np.float32) * (gain / 255), 0, 1) ** gamma
    out = cv2.LUT(np.clip(out, 0, 255).astype(np.uint8), curve)
    mean = out.mean()
    out = (out - mean) * rng.uniform(0.55, 1.25) + mean + rng.normal(0, 14)
    if rng.random() < 0.75:
        out += rng.standard_normal(out.shape, np.float32) * rng.uniform(0.3, 6)
    return np.clip(out + 0.5, 0, 255).astype(np.uint8)


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


def _warp(levels, move, scale, border):
    """Warps from the pyramid level that leaves at most a halving to the bilinear filter."""
    level = min(len(levels) - 1, max(0, math.floor(-math.log2(scale) + 0.35)))
    times = levels[0].shape[1] / levels[level].shape[1]
    move = move.copy()
    move[:, 2] += move[:, :2].sum(axis=1) * (times - 1) / 2  # its pixel centres lie between the source's
    move[:, :2] *= times
    return cv2.warpAffine(levels[level], move, (W, H), flags=cv2.INTER_LINEAR, borderMode=border)


def _move_face(face, move, scale, angle, flip):
    """The box of a turned face is that of the turned ellipse which fills its upright box."""
    centre = move[:, :2] @ (face.box[:2] + face.box[2:] / 2) + move[:, 2]
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    w, h = scale * face.box[2], scale * face.box[3]
    size = np.array([math.hypot(w * c, h * s), math.hypot(w * s, h * c)])
    points = face.points @ move[:, :2].T + move[:, 2]
    box = np.concatenate([centre - size / 2, size]).astype(np.float32)
    return Face(box, (points[_FLIP] if flip else points).astype(np.float32), face.ignore)


def _window(face, mask):
    x, y, w, h = face.box
    return mask[max(0, int(y)) : max(0, int(y + h)), max(0, int(x)) : max(0, int(x + w))]


def _hidden(face, mask):
    """An earlier face under a later picture: kept, no longer counted, or gone."""
    window = _window(face, mask)
    covered = float(window.mean()) if window.size else 0.0
    if covered > 0.9:
        return None
    return Face(face.box, face.points, face.ignore or covered > 0.3)


def _visible(face, mask):
    """A new face cut by the frame or by its own mask."""
    shown = float(_window(face, mask).sum()) / max(1.0, float(face.box[2] * face.box[3]))
    if shown < 0.12:
        return None
    small = max(face.box[2:]) < MIN_FACE - 1
    return Face(face.box, face.points, face.ignore or shown < 0.6 or small)


def _plain(rng):
    if rng.random() < 0.5:
        return np.full((H, W), rng.integers(0, 256), np.uint8)
    noise = rng.uniform(0, 255, (rng.integers(2, 9), rng.integers(2, 9))).astype(np.float32)
    return cv2.resize(noise, (W, H), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def _streak(rng):
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, math.pi)
    half = (length - 1) / 2
    for step in np.linspace(-half, half, 4 * length):
        kernel[round(half + step * math.sin(angle)), round(half + step * math.cos(angle))] = 1
    return kernel / kernel.sum()


def _between(rng, low, high):
    return rng.uniform(low, high) if high > low else (low + high) / 2
