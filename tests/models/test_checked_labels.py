"""The labels checked by eye: the table is whole, and reads as its actions say."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from models.detector import checked
from models.detector.data import part, read_frames

SHARED = Path(__file__).resolve().parents[3] / "shared" / "faces"


def rows() -> list[dict[str, str]]:
    with open(checked.TABLE, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_row_is_of_the_held_back_part():
    assert all(part(row["file"]) == "held" for row in rows())


def test_the_table_has_every_frame_of_the_held_back_part():
    frames = {(row["file"], row["source"]) for row in rows()}
    sources = Counter(source for _, source in frames)
    assert sources == {"celeba": 204, "web": 83, "aaf": 30, "nomask": 25, "mask": 24, "background": 108}
    if not (SHARED / "detect").exists():
        pytest.skip("the shared face data is not here")
    assert frames == {(f.file, f.source) for f in read_frames(SHARED, ("held",))}


def test_removed_faces_are_not_read_and_ignored_ones_count_neither_way():
    found = checked.read()
    actions = Counter(row["action"] for row in rows())
    faces = [face for every in found.values() for face in every]
    assert sum(face.ignore for face in faces) == actions["ignored"]
    assert len(faces) == actions["ignored"] + actions["kept"] + actions["moved"] + actions["added"]
    assert sum(not every for every in found.values()) == actions["empty"]


def test_points_stand_as_eyes_above_the_mouth():
    for every in checked.read().values():
        for face in every:
            if face.ignore:
                continue
            eyes, mouth = face.points[:2].mean(0), face.points[3:].mean(0)
            assert eyes[1] < mouth[1] and face.points[0, 0] < face.points[1, 0]


@pytest.mark.parametrize("column", checked.COLUMNS)
def test_the_table_has_its_columns(column):
    assert column in rows()[0]
