"""How well the teacher agrees with its own labels: `python -m models.detector.teacher --faces ../shared/faces`.

The labels are YuNet's on colour pictures at 640 pixels. Here it sees the held-back frames in grey, as the panel would,
plain and mirrored, at 640 pixels all the same: what it then disagrees with itself is noise that no student can follow.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from models.closeup.data import TEACHER
from models.detector.data import Face, Frame, read_frames
from models.detector.metrics import SMALLEST, overlap, point_error

_SIDE = 640
_LEAST_SCORE = 0.3
_MATCH = 0.4
_FLIP = [1, 0, 2, 4, 3]


def look(teacher, pixels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes and points in pixels of the frame."""
    scale = _SIDE / max(pixels.shape)
    move = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
    large = cv2.warpAffine(pixels, move, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR)
    faces = teacher.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))[1]
    corner = (scale - 1) / 2
    return [
        (np.concatenate([f[:2] - corner, f[2:4]]) / scale, (f[4:14].reshape(5, 2) - corner) / scale)
        for f in ([] if faces is None else faces)
    ]


def points_on(face: Face, seen: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray | None:
    box, points = max(seen, key=lambda s: overlap(s[0], face.box), default=(None, None))
    return points if box is not None and overlap(box, face.box) >= _MATCH else None


def errors(teacher, frame: Frame) -> list[tuple[float, float, float]]:
    """Of each face that counts: plain, mirrored, and the mean of both against the label."""
    width = frame.pixels.shape[1]
    plain = look(teacher, frame.pixels)
    mirrored = [
        (np.array([width - 1 - box[0] - box[2], *box[1:]]), points[_FLIP] * [-1, 1] + [width - 1, 0])
        for box, points in look(teacher, np.ascontiguousarray(frame.pixels[:, ::-1]))
    ]
    rows = []
    for face in frame.faces:
        if face.ignore or face.box[2:].max() < SMALLEST:
            continue
        a, b = points_on(face, plain), points_on(face, mirrored)
        if a is not None and b is not None:
            rows.append(tuple(point_error(points, face.points) for points in (a, b, (a + b) / 2)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", required=True, type=Path, help="folder with detect/ and teachers/ in it")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    teacher = cv2.FaceDetectorYN.create(str(options.faces / TEACHER), "", (_SIDE, _SIDE), _LEAST_SCORE, 0.3, 200)
    frames = [f for f in read_frames(options.faces, ("held",)) if f.faces]
    rows = 100 * np.array([row for frame in frames for row in errors(teacher, frame)])
    names = ("plain", "mirrored", "mean_of_both")
    figures = {
        n: {"mean": round(c.mean(), 2), "median": round(float(np.median(c)), 2)}
        for n, c in zip(names, rows.T, strict=True)
    }
    print(json.dumps({"faces": len(rows), "landmark_nme": figures}))


if __name__ == "__main__":
    main()
