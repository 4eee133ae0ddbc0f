"""Steadier labels for training: the teacher's boxes and points averaged over several sizes and the mirror.

The shared labels come from one run of YuNet at 640 px. Here it looks at the coloured picture eight times; a face that
most looks agree on is labelled by their mean, one that few see again is a ghost and counts neither way. Of FIW's
pictures (tight crops of one person each) the face is labelled likewise. Only what is trained on is labelled anew:
held-back and tune frames keep the shared labels. The outcome is kept in a file and used again. Needs OpenCV.

The teacher's coordinates count from pixels' edges (its points in a mirrored picture of width w are w - x, to a tenth of
a pixel), and so do the shared labels.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from models.data import decode, table
from models.detector.data import MIRRORED, Face, Frame, read_frames
from models.detector.metrics import overlap

TEACHER = Path("teachers") / "yunet_n_640_640.onnx"
_LONG_SIDES = (400, 520, 640, 760)
_CROP_SIDES = (192, 256)
_MARGIN = 56  # replicated about a crop before the teacher looks
_SEEN, _DOUBTED = 0.75, 0.4  # of the looks: a face from here on; none up to here
_SURE, _LEAST = 0.6, 0.3  # mean score of a face; of what is counted as seen at all

Sighting = tuple[float, np.ndarray, np.ndarray]  # score, box x y w h, points (5, 2)
Teacher = Callable[[np.ndarray, int, int, float], list[Sighting]]


def teacher(faces_dir: str | Path) -> Teacher:
    """YuNet: looks(bgr, width, height, least score) resizes the picture, and reports in the picture's pixels,
    counted from their edges."""
    net = cv2.FaceDetectorYN.create(str(Path(faces_dir) / TEACHER), "", (320, 320), 0.5, 0.3, 50)

    def look(bgr: np.ndarray, width: int, height: int, least: float) -> list[Sighting]:
        rows, columns = bgr.shape[:2]
        shrinks = width < columns
        sized = cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        net.setInputSize((width, height))
        net.setScoreThreshold(least)
        found = net.detect(sized)[1]
        scale = np.array([columns / width, rows / height], np.float32)
        sightings = []
        for row in found if found is not None else ():
            box = np.concatenate([row[:2] * scale, row[2:4] * scale])
            sightings.append((float(row[14]), box, row[4:14].reshape(5, 2) * scale))
        return sightings

    return look


def _looks(look: Teacher, bgr: np.ndarray, sides: tuple[int, ...]) -> list[list[Sighting]]:
    height, width = bgr.shape[:2]
    every = []
    for side in sides:
        scale = side / max(height, width)
        size = round(width * scale), round(height * scale)
        every.append(look(bgr, *size, _LEAST))
        mirrored = look(cv2.flip(bgr, 1), *size, _LEAST)
        every.append([(score, _mirror_box(box, width), _mirror(points, width)) for score, box, points in mirrored])
    return every


def _mirror(points: np.ndarray, width: int) -> np.ndarray:
    return np.stack([width - points[MIRRORED, 0], points[MIRRORED, 1]], axis=1)


def _mirror_box(box: np.ndarray, width: int) -> np.ndarray:
    return np.array([width - box[0] - box[2], *box[1:]], np.float32)


def _matches(every: list[list[Sighting]], box: np.ndarray) -> list[Sighting]:
    """Each look's best sighting of what is at `box`."""
    best = [max(seen, key=lambda s: overlap(s[1], box), default=None) for seen in every]
    return [s for s in best if s is not None and overlap(s[1], box) > 0.45]


def _mean(seen: list[Sighting], ignore: bool) -> Face:
    box = np.mean([s[1] for s in seen], axis=0).astype(np.float32)
    return Face(box, np.mean([s[2] for s in seen], axis=0).astype(np.float32), ignore)


def _agreed(every: list[list[Sighting]], labelled: list[Face]) -> list[Face]:
    """The labelled faces as most looks see them, and those that most looks see besides."""
    faces = []
    for face in labelled:
        seen = _matches(every, face.box)
        if _is_sure(seen, every):
            faces.append(_mean(seen, False))
        else:
            faces.append(replace(face, ignore=face.ignore or len(seen) <= _DOUBTED * len(every)))
    for _, box, _ in (sighting for seen in every for sighting in seen):
        if all(overlap(box, f.box) < 0.3 for f in faces):
            seen = _matches(every, box)
            if len(seen) > _DOUBTED * len(every):
                faces.append(_mean(seen, not _is_sure(seen, every)))
    return faces


def _is_sure(seen: list[Sighting], every: list[list[Sighting]]) -> bool:
    return len(seen) >= _SEEN * len(every) and float(np.mean([s[0] for s in seen])) >= _SURE


def relabelled(faces_dir: str | Path, frames: list[Frame], cache: Path) -> list[Frame]:
    """`frames` (of the train part) with the averaged labels; empty frames as they are."""
    if not cache.exists():
        look = teacher(faces_dir)
        peopled = [frame for frame in frames if frame.faces]
        names = ["images/" + frame.file for frame in peopled]
        pictures = decode(Path(faces_dir) / "detect" / "images.zip", names, colour=True)
        found = [
            (frame.file, _agreed(_looks(look, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), _LONG_SIDES), frame.faces))
            for frame, rgb in zip(peopled, pictures, strict=True)
        ]
        _keep(cache, found)
    known = _kept(cache)
    return [replace(frame, faces=known.get(frame.file, frame.faces)) for frame in frames]


def heads(faces_dir: str | Path, cache: Path) -> list[Frame]:
    """FIW's training pictures (112x112, grey), each with its one face, where most looks agree on it. The other
    sources of `matcher` are left out: their persons are in the held-back frames.
    """
    folder = Path(faces_dir) / "matcher"
    archive = folder / "images.zip"
    if not cache.exists():
        rows = table(folder / "index.csv")
        files = [r["file"] for r in rows if r["source"].startswith("FIW") and r["split"] == "train"]
        look = teacher(faces_dir)
        found = []
        for file, rgb in zip(files, decode(archive, files, colour=True), strict=True):
            bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
            wide = cv2.copyMakeBorder(bgr, *[_MARGIN] * 4, cv2.BORDER_REPLICATE)
            middle = np.array([_MARGIN + 20, _MARGIN + 8, 72, 100], np.float32)
            every = _looks(look, wide, _CROP_SIDES)
            seen = _matches(every, middle)
            if seen and _is_sure(seen, every):
                face = _mean(seen, False)
                found.append((file, [Face(face.box - [_MARGIN, _MARGIN, 0, 0], face.points - _MARGIN)]))
        _keep(cache, found)
    known = _kept(cache)
    pictures = decode(archive, known)
    return [Frame(file, "fiw", grey, faces) for (file, faces), grey in zip(known.items(), pictures, strict=True)]


def _keep(cache: Path, found: list[tuple[str, list[Face]]]) -> None:
    rows = [(file, *f.box, *f.points.ravel(), f.ignore) for file, faces in found for f in faces]
    cache.parent.mkdir(parents=True, exist_ok=True)
    with open(cache, "w", newline="") as out:
        csv.writer(out).writerows([*rows, *([file] for file, faces in found if not faces)])


def _kept(cache: Path) -> dict[str, list[Face]]:
    known: dict[str, list[Face]] = {}
    with open(cache, newline="") as rows:
        for row in csv.reader(rows):
            faces = known.setdefault(row[0], [])
            if len(row) > 1:
                values = np.array(row[1:15], np.float32)
                faces.append(Face(values[:4], values[4:].reshape(5, 2), row[15] == "True"))
    return known


def training_frames(faces_dir: str | Path, work: Path) -> list[Frame]:
    """What the detector learns from: the train part under steadier labels, and FIW's heads."""
    frames = relabelled(faces_dir, read_frames(faces_dir, ("train",)), work / "train_labels.csv")
    return frames + heads(faces_dir, work / "head_labels.csv")
