"""Faces with five points for the closer look: the `detect` set's, and matcher pictures with the teacher's points.

A matcher picture that shows a face of the `detect` set's tune or held-back part is left out, so that those parts stay
unseen here as well.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from models.data import load_matcher
from models.detector.augment import pyramid
from models.detector.data import Face, read_frames

TEACHER = "teachers/yunet_n_640_640.onnx"
SMALLEST = 24  # longer side of a labelled face, in pixels of its picture
_TEMPLATE = np.array([[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [41.55, 92.37], [70.73, 92.20]])  # at 112 px
_MOST_OF_ONE = 3  # pictures of one identity
_GRID, _TILE = 4, 160  # tiles that the teacher sees at once
_STRAIGHT = 0.15  # turn of the head
_SAME_PICTURE = 0.9  # correlation of two faces, aligned and shrunk
_FLIP = [1, 0, 2, 4, 3]


@dataclass
class Portrait:
    levels: list[np.ndarray]  # the picture and its halvings
    faces: list[Face]  # those to learn from first, then (ignore) those to keep away from
    source: str


def detect_portraits(faces_dir: str | Path, part: str = "train") -> list[Portrait]:
    portraits = []
    for frame in read_frames(faces_dir, (part,)):
        good = [f for f in frame.faces if not f.ignore and f.box[2:].max() >= SMALLEST]
        if good:
            rest = [Face(f.box, f.points, True) for f in frame.faces if not any(f is g for g in good)]
            portraits.append(Portrait(pyramid(frame.pixels), good + rest, frame.source))
    return portraits


def matcher_portraits(faces_dir: str | Path, cache: Path, labelled: list[Portrait]) -> list[Portrait]:
    """Aligned 112x112 pictures with points by the teacher, who is asked once: `cache` keeps its answers.

    Tight crops mislead it a little, all alike: on average its points are moved to where `labelled` faces have them.
    """
    matcher = load_matcher(Path(faces_dir))
    if not cache.exists():
        rows = _some_of_each(matcher)
        points = np.stack(list(_ask_teacher(faces_dir, list(matcher.files[rows]))))
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, rows=rows, points=points)
    known = np.load(cache)
    rows, points = known["rows"], known["points"]
    found = ~np.isnan(points).any(axis=(1, 2))
    unseen = _unlike(matcher.images[rows], faces_dir)
    points = (
        points + _mean_shape(f.points for p in labelled for f in p.faces if not f.ignore) - _mean_shape(points[found])
    )
    box = np.array([20, 8, 72, 96], np.float32)
    return [
        Portrait(pyramid(np.asarray(matcher.images[row])), [Face(box, place.astype(np.float32))], "matcher")
        for row, place, good in zip(rows, points, found & unseen, strict=True)
        if good
    ]


def _mean_shape(faces: Iterable[np.ndarray]) -> np.ndarray:
    """The five points of faces that look straight ahead, each laid on the template at 112 px, on average."""
    straight = [points for points in faces if Face(np.zeros(4), points).turn < _STRAIGHT]
    moves = [fit_similarity(points, _TEMPLATE) for points in straight]
    return np.mean([p @ move[:, :2].T + move[:, 2] for p, move in zip(straight, moves, strict=True)], axis=0)


def fit_similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """2x3, least squares."""
    a, b = source - source.mean(0), target - target.mean(0)
    spread = (a * a).sum()
    along, across = (a * b).sum() / spread, (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / spread
    linear = np.array([[along, -across], [across, along]])
    return np.concatenate([linear, (target.mean(0) - linear @ source.mean(0))[:, None]], axis=1)


def _some_of_each(matcher) -> np.ndarray:
    """A few pictures of each training identity, and every All-Age-Faces person that training may use."""
    rows, seen = [], {}
    for row in matcher.rows("train", "aaf_train"):
        name = matcher.identity[row] or str(row)
        seen[name] = seen.get(name, 0) + 1
        if seen[name] <= _MOST_OF_ONE:
            rows.append(row)
    return np.array(rows)


def _ask_teacher(faces_dir: str | Path, files: list[str]) -> Iterator[np.ndarray]:
    """The mean of its points on each picture and on the mirrored picture; NaN where it finds no face."""
    teacher = cv2.FaceDetectorYN.create(str(Path(faces_dir) / TEACHER), "", (_GRID * _TILE,) * 2, 0.5, 0.3, 200)
    count = _GRID * _GRID
    with zipfile.ZipFile(Path(faces_dir) / "matcher" / "images.zip") as pack:
        for start in range(0, len(files), count):
            names = files[start : start + count]
            pictures = [np.asarray(Image.open(io.BytesIO(pack.read(n))).convert("RGB"))[..., ::-1] for n in names]
            plain = _points_of(teacher, pictures)
            mirrored = _points_of(teacher, [p[:, ::-1] for p in pictures])
            back = mirrored[:, _FLIP] * [-1, 1] + [pictures[0].shape[0] - 1, 0]
            yield from (plain + back) / 2
            if start // count % 100 == 0:
                print(f"teacher: {start} of {len(files)} pictures", flush=True)


def _points_of(teacher, pictures: list[np.ndarray]) -> np.ndarray:
    """(n, 5, 2) in pixels of each picture, which lie in a grid of tiles."""
    side, inner = pictures[0].shape[0], _TILE - 16
    scale = inner / side
    sheet = np.full((_GRID * _TILE, _GRID * _TILE, 3), 114, np.uint8)
    for place, picture in enumerate(pictures):
        y, x = (_TILE * n + 8 for n in divmod(place, _GRID))
        sheet[y : y + inner, x : x + inner] = cv2.resize(np.ascontiguousarray(picture), (inner, inner))
    points = np.full((len(pictures), 5, 2), np.nan)
    best = np.zeros(len(pictures))
    faces = teacher.detect(sheet)[1]
    for face in [] if faces is None else faces:
        centre = face[:2] + face[2:4] / 2
        place = int(centre[1] // _TILE) * _GRID + int(centre[0] // _TILE)
        if 0 <= place < len(pictures) and face[14] > best[place]:
            corner = np.array([place % _GRID, place // _GRID]) * _TILE + 8
            best[place] = face[14]
            points[place] = (face[4:14].reshape(5, 2) - corner + 0.5) / scale - 0.5
    return points


def _unlike(images: np.ndarray, faces_dir: str | Path) -> np.ndarray:
    """Which 112x112 pictures show no face of the tune or held-back part."""
    guarded = []
    for frame in read_frames(faces_dir, ("tune", "held")):
        for face in frame.faces:
            move = fit_similarity(face.points.astype(np.float64), _TEMPLATE)
            guarded.append(cv2.warpAffine(frame.pixels, move, (112, 112), borderMode=cv2.BORDER_REPLICATE))
    like = _signature(np.stack(guarded))
    return (_signature(images) @ like.T).max(axis=1) < _SAME_PICTURE


def _signature(images: np.ndarray) -> np.ndarray:
    """The middle of each picture, shrunk, of mean zero and length one."""
    small = np.stack(
        [cv2.resize(np.asarray(i[20:108, 12:100]), (22, 22), interpolation=cv2.INTER_AREA) for i in images]
    )
    flat = small.reshape(len(small), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True).clip(1e-6)
