"""Recall and landmark error by size and roll: `python -m models.detector.sweep --faces ../shared/faces [--json]`.

Held-back frames, each turned and scaled about its largest clearly labelled face until that face has a given size
(longer side of its upright box, in frame pixels) and roll, in a 320x240 frame; only faces that need no more than a
third's enlargement. Found is a box with an overlap of 0.4 (a turned face's box is a guess) at the shipped threshold.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from host_tools.vision.pipeline import Finder, shipped_finder
from models.detector.augment import affine, move_face, pyramid, resample
from models.detector.data import FRAME_H, FRAME_W, Face, Frame, read_frames
from models.detector.metrics import as_found, overlap, point_error

SIZES = (28, 32, 40, 64, 100, 150, 200)
ROLLS = (-30, -15, 15, 30)
ROLLED_SIZE = 80
_OVERLAP = 0.4
_MOST_GROWN = 1.33


def placed(levels: list[np.ndarray], face: Face, size: float, roll: float) -> tuple[np.ndarray, Face]:
    """The frame, and the face in it."""
    scale = size / float(face.box[2:].max())
    centre = face.box[:2] + face.box[2:] / 2
    move = affine(centre, (FRAME_W / 2, FRAME_H / 2), scale, roll, False)
    frame = resample(levels, move, scale, cv2.BORDER_REPLICATE, (FRAME_W, FRAME_H))
    return frame, move_face(face, move, scale, roll, False)


def measure_at(finder: Finder, pictures: list[tuple[list[np.ndarray], Face]], size: float, roll: float) -> dict:
    hits, errors = [], []
    for levels, face in pictures:
        if size > _MOST_GROWN * face.box[2:].max():
            continue
        frame, moved = placed(levels, face, size, roll)
        found = as_found(finder.find(frame))
        best = max(found, key=lambda f: overlap(f.box, moved.box), default=None)
        hits.append(best is not None and overlap(best.box, moved.box) >= _OVERLAP)
        if hits[-1] and best is not None:
            errors.append(point_error(best.points, moved.points))
    return {
        "size": size,
        "roll": roll,
        "faces": len(hits),
        "recall": round(float(np.mean(hits)), 4),
        "landmark_nme": round(100 * float(np.mean(errors)), 2),
        "landmark_nme_median": round(100 * float(np.median(errors)), 2),
    }


def sweep(finder: Finder, faces_dir: str | Path) -> list[dict]:
    pictures = [
        (pyramid(frame.pixels), face)
        for frame in read_frames(faces_dir, ("held",))
        for face in [_largest(frame)]
        if face is not None
    ]
    places = [(size, 0) for size in SIZES] + [(ROLLED_SIZE, roll) for roll in ROLLS]
    return [measure_at(finder, pictures, *place) for place in places]


def _largest(frame: Frame) -> Face | None:
    return max((f for f in frame.faces if not f.ignore), key=lambda f: f.box[2:].max(), default=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", required=True, help="folder with detect/ in it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = sweep(shipped_finder(), options.faces)
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
