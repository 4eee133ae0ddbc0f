"""Detections against labels: recall, false boxes, landmark error. Plain numpy, no network in here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from firmware.vision.detector import FaceDecoder
from models.detector.data import Face, Frame

MATCH_OVERLAP = 0.5  # intersection over union
SMALLEST = 32  # longer side of a face that counts, in pixels of the 320x240 frame
LOWEST_SCORE = -64  # a logit of -4: below every threshold that ships

Heads = Sequence[np.ndarray]  # two int8 arrays, flat
Network = Callable[[np.ndarray], Heads]  # from a uint8 (240, 320) frame


@dataclass(eq=False)  # arrays compare to arrays
class Found:
    score: int
    box: np.ndarray
    points: np.ndarray


def detect(network: Network, frame: np.ndarray, threshold: int = LOWEST_SCORE) -> list[Found]:
    """Faces in a 320x240 frame, as the panel's own decoder reports them.

    Scores do not depend on the threshold, but places do a little: cells near it vote.
    """
    heads = [memoryview(h.astype(np.int8).tobytes()).cast("b") for h in network(frame)]
    faces = FaceDecoder(threshold).decode(heads)
    return [Found(f[0], np.array(f[1:5], np.float32), np.array(f[5], np.float32) / 16) for f in faces]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    span = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.maximum(span, 0)))
    return shared / (float(np.prod(a[2:]) + np.prod(b[2:])) - shared)


def match(frame: Frame, kept: list[Found]) -> tuple[list[tuple[Face, Found | None]], int]:
    """The frame's faces that count, each with the box that found it, if any; and how many boxes are on no face."""
    free, pairs = list(kept), []
    for face in sorted(frame.faces, key=lambda f: f.ignore):
        best = max(free, key=lambda f: overlap(f.box, face.box), default=None)
        if best is not None and overlap(best.box, face.box) < (0.2 if face.ignore else MATCH_OVERLAP):
            best = None
        if best is not None:
            free.remove(best)
        if not face.ignore and face.box[2:].max() >= SMALLEST:
            pairs.append((face, best))
    return pairs, len(free)


def measure(frames: Sequence[Frame], found: Sequence[list[Found]], threshold: int) -> dict[str, float]:
    """Figures of the detections that reach the threshold."""
    sizes, hits, errors = [], [], []
    empty = false_empty = false_faces = 0
    for frame, every in zip(frames, found, strict=True):
        kept = [f for f in every if f.score >= threshold]
        if not frame.faces:
            empty += 1
            false_empty += len(kept)
            continue
        pairs, false = match(frame, kept)
        false_faces += false
        for face, box in pairs:
            sizes.append(float(face.box[2:].max()))
            hits.append(box is not None)
            if box is not None:
                errors.append(point_error(box.points, face.points))
    return {
        "recall": _mean(hits),
        "recall_32_64": _mean([h for h, s in zip(hits, sizes, strict=True) if s < 64]),
        "recall_64_200": _mean([h for h, s in zip(hits, sizes, strict=True) if 64 <= s <= 200]),
        "recall_over_200": _mean([h for h, s in zip(hits, sizes, strict=True) if s > 200]),
        "false_per_100_empty": round(100 * false_empty / max(1, empty), 2),
        "false_per_100_with_faces": round(100 * false_faces / max(1, len(frames) - empty), 2),
        "landmark_nme": round(100 * _mean(errors), 2),
        "landmark_nme_median": round(100 * float(np.median(errors)) if errors else 0.0, 2),
        "faces": len(hits),
        "empty_frames": empty,
    }


def point_error(got: np.ndarray, want: np.ndarray) -> float:
    """Mean distance of the five points over the labelled eye distance."""
    eyes = max(1.0, float(np.linalg.norm(want[0] - want[1])))
    return float(np.linalg.norm(got - want, axis=1).mean()) / eyes


def choose_threshold(empty: Sequence[list[Found]], false_per_100: float) -> int:
    """The lowest score that leaves at most so many boxes on empty pictures."""
    scores = sorted((f.score for found in empty for f in found), reverse=True)
    allowed = int(false_per_100 * len(empty) / 100)
    return scores[allowed] + 1 if len(scores) > allowed else LOWEST_SCORE


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4) if len(values) else 0.0
