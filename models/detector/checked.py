"""Labels of the held-back frames, looked at and corrected by eye: how to read the table.

checked_labels.csv has a row per face, or one with face -1 for a frame without any. Its action says what the eye made of
the teacher's label: "kept", "moved" (box or points put right), "added" (the teacher missed it), "ignored" (no telling
where the points are, or no person's own face: counts neither way), "removed" (no face), "empty" (a room, and it is
empty). Rows "removed" stay in the table as a record; nothing reads them as a face.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.detector.data import POINTS, Face, Frame

TABLE = Path(__file__).resolve().parent / "checked_labels.csv"
COLUMNS = ["file", "source", "face", "x", "y", "w", "h", *(f"{p}_{axis}" for p in POINTS for axis in "xy"), "action"]


def read(table: Path = TABLE) -> dict[str, list[Face]]:
    """file -> its faces by eye; an empty list where there is none."""
    found: dict[str, list[Face]] = {}
    with open(table, newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            faces = found.setdefault(row["file"], [])
            if row["action"] in ("removed", "empty"):
                continue
            box = np.array([float(row[key]) for key in "xywh"], np.float32)
            points = np.array([[float(row[f"{p}_{axis}"]) for axis in "xy"] for p in POINTS], np.float32)
            faces.append(Face(box, points, row["action"] == "ignored"))
    return found


def relabelled(frames: Sequence[Frame], table: Path = TABLE) -> list[Frame]:
    """Those of `frames` that were checked, with the checked labels."""
    labels = read(table)
    return [replace(frame, faces=labels[frame.file]) for frame in frames if frame.file in labels]
