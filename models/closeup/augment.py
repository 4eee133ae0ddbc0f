"""What the closer look sees: faces placed by guess and by first look's kind of error, and what is no face.

A sample is 48x48 pixels, its class, and 15 floats: what the outputs should be (firmware/vision/closeup.py) but for the
score, in their units without the sixteenths: five points, box; then the eye distance in the view. The box is NaN where
no label tells it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from firmware.vision.align import _TEMPLATE_112
from firmware.vision.closeup import BOX_SIDE, CENTRE, SHAPE, SIDE
from models.closeup.data import Portrait, fit_similarity
from models.detector.augment import light, pyramid, resample

NOTHING, UNDECIDED, FACE = 0, -1, 1
TARGETS = 15
_AT_96 = np.array(_TEMPLATE_112) * 96 / 11200  # "at 96 px": the ArcFace template's square, 96 pixels wide
_SHAPE, _CENTRE = np.array(SHAPE) / 16, np.array(CENTRE) / 16
_VIEW = np.array([[2.25, 0, -5], [0, 2.25, 8]])  # from the view to 96 px
_MIDDLE = np.array([48.0, 61.0])  # of the view, at 96 px
_FRAME_SCALE = (0.3, 2.4)  # of a face at 96 px in the frame: a box of 28 to 220 px
_REACH = 78.0  # half side of the patch that is lit, at 96 px
_MOST_GROWN = 1.4  # of a picture, or it would be mush
_FLIP = [1, 0, 2, 4, 3]
_SOURCE_WEIGHT = {"celeba": 3.0, "web": 3.0, "mask": 5.0, "nomask": 4.0, "aaf": 2.0, "matcher": 0.25}
_KINDS, _SHARES = ("face", "beside", "room", "mistake"), (0.6, 0.12, 0.08, 0.2)


class Views:
    """Draws samples without end. `mistakes`: (frame, five points) that the detector took for faces."""

    def __init__(
        self, portraits: list[Portrait], rooms: list[np.ndarray], mistakes: list[tuple[np.ndarray, np.ndarray]]
    ):
        self.portraits, self.mistakes = portraits, [(pyramid(frame), points) for frame, points in mistakes]
        self.rooms = [pyramid(room) for room in rooms]
        turned = np.array([max(f.turn for f in p.faces if not f.ignore) > 0.3 for p in portraits])
        weights = np.array([_SOURCE_WEIGHT.get(p.source, 1.0) for p in portraits]) * np.where(turned, 2.5, 1.0)
        self.chances = np.cumsum(weights / weights.sum())
        self.framed = [n for n, p in enumerate(portraits) if p.source != "matcher"]

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, int, np.ndarray]:
        kind = _KINDS[rng.choice(len(_KINDS), p=_SHARES)]
        if kind == "mistake" and self.mistakes:
            levels, points = self.mistakes[rng.integers(len(self.mistakes))]
            view, _ = _view(rng, levels, points, _jitter(rng), zoom=math.exp(rng.normal(0, 0.1)))
            return view, NOTHING, np.zeros(TARGETS, np.float32)
        if kind in ("room", "mistake"):
            levels = self.rooms[rng.integers(len(self.rooms))]
            return self._nothing(rng, levels, [])
        if kind == "beside":
            portrait = self.portraits[self.framed[rng.integers(len(self.framed))]]
            return self._nothing(rng, portrait.levels, portrait.faces)
        place = min(int(np.searchsorted(self.chances, rng.random(), "right")), len(self.portraits) - 1)
        portrait = self.portraits[place]
        good = [f for f in portrait.faces if not f.ignore]
        return self._face(rng, portrait, good[rng.integers(len(good))])

    def _face(self, rng, portrait, face):
        centre = face.box[:2] + face.box[2:] / 2
        view, seen = _view(rng, portrait.levels, face.points, _jitter(rng), also=centre)
        if rng.random() < 0.12:
            _cover(rng, view)
        eyes = np.linalg.norm(seen[0] - seen[1])
        size = face.box[2:] * eyes / np.linalg.norm(face.points[0] - face.points[1])
        box = np.concatenate([seen[5] - _CENTRE, 4 * np.log2(size / BOX_SIDE)])
        if portrait.source == "matcher":
            box[:] = np.nan
        return view, FACE, np.concatenate([(seen[:5] - _SHAPE).ravel(), box, [eyes]]).astype(np.float32)

    def _nothing(self, rng, levels, faces):
        """Anywhere in the picture, at any size; undecided where a face comes near."""
        height, width = levels[0].shape
        scale = math.exp(rng.uniform(math.log(0.25), math.log(1.8)))
        angle = math.radians(rng.normal(0, 25))
        turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        if faces and rng.random() < 0.7:  # a face's hair, neck, shoulder
            face = faces[rng.integers(len(faces))]
            size = face.box[2:].max()
            scale = size / 100 * math.exp(rng.normal(0, 0.4))
            turn *= scale / math.hypot(*turn[:, 0])
            away = rng.uniform(0, 2 * math.pi)
            reach = rng.uniform(0.6, 1.6) * size
            centre = face.box[:2] + face.box[2:] / 2 + reach * np.array([math.cos(away), math.sin(away)])
        else:
            centre = rng.random(2) * [width, height]
        points = (_AT_96 - _MIDDLE) @ turn.T + centre
        kind = NOTHING
        for face in faces:
            off = np.abs(centre - face.box[:2] - face.box[2:] / 2) / np.maximum(face.box[2:], 1)
            if off.max() < 0.5 and 0.4 < scale * 100 / face.box[2:].max() < 2.2:
                kind = UNDECIDED
        view, _ = _view(rng, levels, points, np.array([[1.0, 0, 0], [0, 1, 0]]))
        return view, kind, np.zeros(TARGETS, np.float32)


def _jitter(rng) -> np.ndarray:
    """2x3 about the middle at 96 px: by how much a first look misplaces a face."""
    wide = rng.random() < 0.3
    size = math.exp(rng.normal(0, 0.2 if wide else 0.08))
    angle = math.radians(rng.normal(0, 14 if wide else 5))
    c, s = size * math.cos(angle), size * math.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    shift = rng.normal(0, 6.0 if wide else 2.5, 2)
    return np.concatenate([linear, (_MIDDLE + shift - linear @ _MIDDLE)[:, None]], axis=1)


def _view(rng, levels, points, jitter, zoom: float | None = None, also=(0.0, 0.0)):
    """The view as the panel would take it out of a frame in which the face has a size by chance (or the picture's
    own, times `zoom`), and the points in the view, the place `also` last."""
    home = fit_similarity(_AT_96, points)  # from 96 px to the picture
    flip = rng.random() < 0.5
    own = math.hypot(home[0, 0], home[1, 0])
    if zoom is None:
        low, high = _FRAME_SCALE
        wanted = math.exp(rng.uniform(math.log(low), math.log(high)))
        scale = min(wanted / own, _MOST_GROWN)
    else:
        scale = min(zoom, 1.2)
    if own * scale * 2.25 > 1.5:
        scale /= 2  # the panel samples large faces from the halved frame
    roll = math.atan2(home[1, 0], home[0, 0]) * (-1 if flip else 1)
    turn = rng.uniform(-0.55, 0.55) if rng.random() < 0.5 else rng.normal(0, 0.1)
    half = max(10, math.ceil(_REACH * own * scale))
    c, s = scale * math.cos(turn - roll), scale * math.sin(turn - roll)
    if zoom is not None:
        c, s = scale, 0.0  # a mistake is one as it lies
    linear = np.array([[c, -s], [s, c]]) @ np.diag([-1.0 if flip else 1.0, 1.0])
    middle = home[:, :2] @ _MIDDLE + home[:, 2]
    move = np.concatenate([linear, (half + rng.random(2) - linear @ middle)[:, None]], axis=1)
    patch = resample(levels, move, scale, cv2.BORDER_REPLICATE, (2 * half, 2 * half))
    patch = light(rng, patch)
    placed = np.vstack([points, also]) @ move[:, :2].T + move[:, 2]
    if flip:
        placed = placed[[*_FLIP, 5]]
    take = _after(_after(fit_similarity(_AT_96, placed[:5]), jitter), _VIEW)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(patch, take, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    seen = (placed - take[:, 2]) @ np.linalg.inv(take[:, :2]).T
    return view, seen


def _after(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """outer(inner(x))."""
    return np.concatenate([outer[:, :2] @ inner[:, :2], (outer[:, :2] @ inner[:, 2] + outer[:, 2])[:, None]], axis=1)


def _cover(rng, view) -> None:
    """A hand, a scarf, a phone: a flat or noisy patch."""
    width, height = rng.integers(6, 28, 2)
    x, y = rng.integers(0, SIDE - 6, 2)
    patch = rng.normal(rng.integers(0, 256), rng.uniform(1, 25), view[y : y + height, x : x + width].shape)
    view[y : y + height, x : x + width] = np.clip(patch, 0, 255)
