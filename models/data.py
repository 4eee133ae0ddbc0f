"""The shared face images: reading the zips, their tables and splits, with a decoded cache.

Aligned faces are 112x112 to the ArcFace template. The panel aligns to the 96x96 pixels of it that begin at (9, 9), at
the same scale, so a 96x96 view is a piece of the 112x112 image, as `inner` cuts it.
"""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

STORED_SIDE = 112
FACE_SIDE = 96
CORNER = 9  # of the 96x96 face in the 112x112 one; firmware/vision/align.py has the same
CACHE = Path(os.environ.get("MENSHEN_CACHE", Path(__file__).resolve().parents[1] / ".cache"))
_HELD_BACK = 3  # every third All-Age-Faces person sets thresholds and is never trained on


@dataclass
class Faces:
    """Aligned grey faces and what is known of them, row by row."""

    files: np.ndarray  # names inside the zip
    identity: np.ndarray  # str
    split: np.ndarray  # "train", "val", "aaf_train", "aaf_held"
    age: np.ndarray  # years, -1 unknown
    gender: np.ndarray  # "F", "M", "" unknown
    images: np.ndarray  # uint8 [n, 112, 112]

    def rows(self, *splits: str) -> np.ndarray:
        return np.flatnonzero(np.isin(self.split, splits))


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def decode(archive: Path, names: Iterable[str], colour: bool = False) -> Iterator[np.ndarray]:
    """uint8 images of a zip, [h, w] grey or [h, w, 3] RGB, in the order of `names`."""
    from PIL import Image

    with zipfile.ZipFile(archive) as bundle:
        for name in names:
            with Image.open(io.BytesIO(bundle.read(name))) as picture:
                yield np.asarray(picture.convert("RGB" if colour else "L"))


def cached_grey(archive: Path, names: list[str], label: str) -> np.ndarray:
    """All images of `names` as one uint8 array, decoded once and kept in the cache folder."""
    path = CACHE / f"{label}_grey.npy"
    if path.exists():
        images = np.load(path, mmap_mode="r")
        if len(images) == len(names):
            return images
    images = np.stack(list(decode(archive, names)))
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npy")
    np.save(partial, images)
    partial.replace(path)
    return images


def load_matcher(faces: Path) -> Faces:
    """Labelled identities and the one-image-per-person All-Age-Faces set."""
    folder = Path(faces) / "matcher"
    rows = table(folder / "index.csv")
    for place, row in enumerate(table(folder / "aaf.csv")):
        row["split"] = "aaf_held" if place % _HELD_BACK == 0 else "aaf_train"
        rows.append(row)

    def column(key: str, default: str) -> np.ndarray:
        return np.array([row.get(key) or default for row in rows])

    files = column("file", "")
    return Faces(
        files,
        column("identity", ""),
        column("split", ""),
        column("age", "-1").astype(float).astype(int),
        column("gender", ""),
        cached_grey(folder / "images.zip", list(files), "matcher"),
    )


def load_lfw(faces: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """LFW View 2: images uint8 [n, 112, 112]; per pair the two image rows, same (bool), fold; image names."""
    folder = Path(faces) / "eval_lfw"
    pairs = table(folder / "pairs.csv")
    with zipfile.ZipFile(folder / "images.zip") as bundle:
        names = sorted(n for n in bundle.namelist() if n.lower().endswith(".jpg"))
    place = {name.split("/", 1)[1]: row for row, name in enumerate(names)}
    ends = np.array([[place[pair["file_a"]], place[pair["file_b"]]] for pair in pairs])
    same = np.array([pair["same"] == "1" for pair in pairs])
    fold = np.array([int(pair["fold"]) for pair in pairs])
    return cached_grey(folder / "images.zip", names, "lfw"), ends, same, fold, np.array(names)


def inner(images: np.ndarray) -> np.ndarray:
    """uint8 [n, 112, 112] to uint8 [n, 96, 96]: what the panel's alignment leaves of the ArcFace template's square."""
    return np.ascontiguousarray(images[:, CORNER : CORNER + FACE_SIDE, CORNER : CORNER + FACE_SIDE])
