"""The labels checked by eye: the table is whole, and reads as its actions say."""

import csv
from collections import Counter

import pytest

from models.detector import checked
from models.detector.data import Frame, part


def rows() -> list[dict[str, str]]:
    with open(checked.TABLE, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_row_is_of_the_held_back_part():
    assert all(part(row["file"]) == "held" for row in rows())


def test_the_quotas_are_filled():
    frames = {(row["file"], row["source"]) for row in rows()}
    assert Counter(source for _, source in frames) == checked.QUOTA
    assert len({row["file"] for row in rows() if row["action"] != "empty"}) >= 120


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


def test_the_choice_follows_the_name_alone():
    names = [f"celeba/{n}.jpg" for n in range(100)]
    frames = [Frame(name, "celeba", None) for name in names]
    chosen = checked.choose(frames)
    assert len(chosen) == checked.QUOTA["celeba"]
    assert [f.file for f in checked.choose(frames[::-1])] == [f.file for f in chosen]


@pytest.mark.parametrize("column", checked.COLUMNS)
def test_the_table_has_its_columns(column):
    assert column in rows()[0]
