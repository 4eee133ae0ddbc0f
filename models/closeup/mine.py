"""What the detector takes for faces where there are none, in training rooms and photographs: the hardest lessons."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from models.detector.augment import affine, light, pyramid, resample
from models.detector.data import FRAME_H, FRAME_W, Face, Frame, fit, halve, read_frames
from models.detector.metrics import Heads, detect_heads, overlap
from models.simulate import read_tflite, run

_MOST_OF_VIEW = 4
_BATCH = 64


def mistakes(
    faces_dir: str | Path, detector: Path, views: int, least: int, seed: int, work: str | Path
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(320x240 frame, five points) of boxes that reach the score `least`; `views` of each room, one of each photo.

    Kept in the folder `work` for the next call with the same detector.
    """
    key = f"{hashlib.sha256(detector.read_bytes()).hexdigest()[:12]}-{views}-{least}-{seed}"
    cache = Path(work) / f"mistakes-{key}.npz"
    if not cache.exists():
        found = list(_find(faces_dir, read_tflite(detector), views, least, np.random.default_rng([seed, 77])))
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, frames=np.stack([f for f, _ in found]), points=np.stack([p for _, p in found]))
    kept = np.load(cache)
    return list(zip(kept["frames"], kept["points"], strict=True))


def _find(faces_dir, graph, views, least, rng) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    batch: list[tuple[np.ndarray, list[Face]]] = []
    for view in _views(read_frames(faces_dir, ("train",)), views, rng):
        batch.append(view)
        if len(batch) == _BATCH:
            yield from _wrong(graph, batch, least)
            batch = []


def _views(frames: list[Frame], views: int, rng) -> Iterator[tuple[np.ndarray, list[Face]]]:
    for frame in frames:
        if frame.faces:
            fitted = fit(frame)
            yield fitted.pixels, fitted.faces
            continue
        levels = pyramid(frame.pixels)
        for _ in range(views):
            yield room_view(rng, levels), []


def room_view(rng, levels) -> np.ndarray:
    """A 320x240 frame of a part of an empty room, turned and lit by chance."""
    height, width = levels[0].shape
    scale = max(FRAME_W / width, FRAME_H / height) * math.exp(rng.uniform(0.0, 0.7))
    angle = rng.normal(0, 6) if rng.random() < 0.7 else rng.uniform(-30, 30)
    centre = (rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height)
    move = affine(centre, (FRAME_W / 2, FRAME_H / 2), scale, angle, rng.random() < 0.5)
    return light(rng, resample(levels, move, scale, cv2.BORDER_REFLECT, (FRAME_W, FRAME_H)))


def _wrong(graph, batch, least) -> list[tuple[np.ndarray, np.ndarray]]:
    small, large = run(graph, np.stack([halve(frame) for frame, _ in batch]))
    wrong = []
    for (frame, faces), *heads in zip(batch, small, large, strict=True):
        both: Heads = heads
        seen = detect_heads(both, least)[:_MOST_OF_VIEW]
        wrong += [(frame, f.points) for f in seen if all(overlap(f.box, face.box) < 0.15 for face in faces)]
    return wrong
