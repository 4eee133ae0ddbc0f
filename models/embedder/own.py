"""Your own pictures: a folder per person, any picture size; found and aligned by the shipped detector.

    DIR/alice/anything.jpg          one folder per person, two pictures or more each
    DIR/bob/1.png
    DIR/val.txt                     optional: names of the persons kept back for testing, one a line
    DIR/groups.csv                  optional: person,group (the threshold is then set on strangers of one group)

Without val.txt every fifth person is kept back, in the order of the SHA-256 of the name. A picture in which there is
not exactly one face is left out and named. Nothing is written into DIR.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

from firmware.base.errors import MenshenError, NoFace
from firmware.vision.align import similarity
from host_tools.vision.frames import render
from host_tools.vision.image import warp
from host_tools.vision.pictures import load_grey
from host_tools.vision.pipeline import VIEWS, FacePipeline, locate
from models.data import CORNER, STORED_SIDE, Faces, table
from models.graph import Graph

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
FMR = 1e-3  # of strangers, at the threshold
_KEPT_BACK = 5


def aligned(photo: Path, pipeline: FacePipeline) -> np.ndarray:
    """The only face as uint8 [112, 112], to the ArcFace template. MenshenError when there is none, or several."""
    grey = load_grey(photo)
    frame = render(grey, locate(grey, pipeline), VIEWS[0])
    found = pipeline.find(frame)
    if not found:
        raise NoFace("the face is lost once it is enlarged")
    a, b, tx, ty = similarity(max(found, key=lambda face: face[3])[5])
    return warp(frame, (a, b, tx - CORNER * (a - b), ty - CORNER * (a + b)), STORED_SIDE)


def kept_back(folder: Path, persons: list[str]) -> set[str]:
    listed = folder / "val.txt"
    if listed.exists():
        return set(listed.read_text(encoding="utf-8").split("\n")) & set(persons)
    order = sorted(persons, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return set(order[::_KEPT_BACK])


def load(folder: Path) -> Faces:
    """All usable faces, splits "train" and "val". ValueError when too little is left to train and to test."""
    pipeline = FacePipeline()
    pictures = sorted(p for p in folder.glob("*/*") if p.suffix.lower() in PICTURES)
    back = kept_back(folder, sorted({p.parent.name for p in pictures}))
    files, images = [], []
    for count, path in enumerate(pictures, 1):
        print(f"\rfaces: {count}/{len(pictures)}", end="", file=sys.stderr, flush=True)
        try:
            images.append(aligned(path, pipeline))
            files.append(path)
        except MenshenError as error:
            print(f"\rleft out: {path}: {error}", file=sys.stderr)
    print(file=sys.stderr)
    names = np.array([p.parent.name for p in files])
    split = np.array(["val" if name in back else "train" for name in names])
    for part in ("train", "val"):
        if len(set(names[split == part])) < 2:
            raise ValueError(f"{folder}: fewer than two persons with usable pictures to {part} with")
    unknown = np.full(len(files), -1)
    return Faces(
        np.array([str(p.relative_to(folder)) for p in files]),
        names,
        split,
        unknown,
        unknown.astype(str),
        np.stack(images),
    )


def strangers(folder: Path, faces: Faces, z: np.ndarray) -> tuple[np.ndarray, str]:
    """Scores of kept-back pairs that set the threshold, and what they are: of one group where groups are given."""
    from models.embedder.metrics import pair_scores

    names = faces.identity[faces.rows("val")]
    left, right, scores = pair_scores(z)
    apart = names[left] != names[right]
    if not (folder / "groups.csv").exists():
        return scores[apart], "strangers of any kind"
    group = {row["person"]: row["group"] for row in table(folder / "groups.csv")}
    own = np.array([group.get(name, "") for name in names])
    alike = apart & (own[left] == own[right]) & (own[left] != "")
    return scores[alike], "strangers of one group"


def figures(folder: Path, faces: Faces, graph: Graph) -> tuple[int, dict]:
    """The threshold in Q14 and the int8 net's rates on the persons kept back."""
    from models.embedder import metrics
    from models.embedder.evaluate import embed

    rows = faces.rows("val")
    z = embed(graph, faces.images[rows], "val")
    scores, kind = strangers(folder, faces, z)
    if not len(scores):
        raise ValueError(f"{folder}: no pairs of {kind} among the persons kept back")
    limit = metrics.threshold_at(scores, FMR)
    left, right, every = metrics.pair_scores(z)
    same = faces.identity[rows][left] == faces.identity[rows][right]
    report = {
        "threshold_from": kind,
        "threshold_pairs": len(scores),
        "val_persons": len(set(faces.identity[rows])),
        "val_same_pairs": int(same.sum()),
        "val_impostor_pairs": int((~same).sum()),
        "val_tar_shipped": metrics.accepted(every[same], limit) if same.any() else None,
        "val_far_shipped": metrics.accepted(every[~same], limit),
    }
    return round(limit * metrics.Q14), report
