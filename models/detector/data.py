"""The shared `detect` set: frames, teacher's labels, and the split into train, tune and held-back.

Coordinates here are pixels of the stored frame (longest side at most 320), box as x, y, w, h with the
origin top left, landmarks in image order: right eye, left eye, nose, right mouth corner, left mouth corner.
Coordinate 0 is the centre of the first pixel.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

FRAME_W, FRAME_H = 320, 240
POINTS = ("reye", "leye", "nose", "rmouth", "lmouth")
MIRRORED = [1, 0, 2, 4, 3]  # in a mirrored picture the right eye is the left eye
HELD_PERCENT, TUNE_PERCENT = 18, 7
SURROUND = 114  # grey about a picture that fills less than the frame


@dataclass
class Face:
    box: np.ndarray  # x, y, w, h
    points: np.ndarray  # (5, 2)
    ignore: bool = False


@dataclass
class Frame:
    file: str
    source: str
    pixels: np.ndarray  # uint8 grey (h, w)
    faces: list[Face] = field(default_factory=list)


def part(file: str) -> str:
    """`held`, `tune` or `train`: by the file's name alone, so the split survives additions."""
    bucket = int(hashlib.sha256(file.encode()).hexdigest()[:8], 16) % 100
    if bucket < HELD_PERCENT:
        return "held"
    return "tune" if bucket < HELD_PERCENT + TUNE_PERCENT else "train"


def read_labels(folder: Path) -> dict[str, tuple[str, list[Face]]]:
    """file -> (source, faces); no faces where the set says the frame is empty."""
    labels: dict[str, tuple[str, list[Face]]] = {}
    with open(folder / "labels.csv", newline="") as rows:
        for row in csv.DictReader(rows):
            _, faces = labels.setdefault(row["file"], (row["set"], []))
            if row["face"] == "-1":
                continue
            box = np.array([float(row[k]) for k in "xywh"], np.float32)
            points = np.array([[float(row[p + "_x"]), float(row[p + "_y"])] for p in POINTS], np.float32)
            faces.append(Face(box, points, row["ignore"] == "1"))
    return labels


def read_frames(faces_dir: str | Path, parts: tuple[str, ...]) -> list[Frame]:
    """Decodes the frames of the given parts to grey, in the order of the labels."""
    folder = Path(faces_dir) / "detect"
    frames = []
    with zipfile.ZipFile(folder / "images.zip") as pack:
        for file, (source, faces) in read_labels(folder).items():
            if part(file) not in parts:
                continue
            with Image.open(io.BytesIO(pack.read("images/" + file))) as image:
                frames.append(Frame(file, source, np.asarray(image.convert("L")), faces))
    return frames


def fitting(pixels: np.ndarray) -> float:
    """The scale at which a picture fits into the frame: down where it must, never up."""
    height, width = pixels.shape
    return min(1.0, FRAME_W / width, FRAME_H / height)


def fit(frame: Frame) -> Frame:
    """The frame centred in 320x240: scaled down where it does not fit, never up, the rest plain grey."""
    height, width = frame.pixels.shape
    scale = fitting(frame.pixels)
    size = (round(width * scale), round(height * scale))
    image = Image.fromarray(frame.pixels)
    if scale < 1:
        image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (FRAME_W - size[0]) // 2, (FRAME_H - size[1]) // 2
    canvas = np.full((FRAME_H, FRAME_W), SURROUND, np.uint8)
    canvas[top : top + size[1], left : left + size[0]] = np.asarray(image)
    shift = np.array([left, top], np.float32) + (scale - 1) / 2  # coordinates count from pixel centres
    faces = []
    for face in frame.faces:
        box = np.concatenate([face.box[:2] * scale + shift, face.box[2:] * scale])
        faces.append(Face(box, face.points * scale + shift, face.ignore))
    return Frame(frame.file, frame.source, canvas, faces)
