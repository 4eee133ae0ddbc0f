"""Boxes against labels, and the card's plots of them."""

from pathlib import Path

import numpy as np
import pytest

from models.detector.data import Face, Frame
from models.detector.metrics import Found, match, measure

POINTS = np.array([[10, 10], [30, 10], [20, 20], [12, 30], [28, 30]], np.float32)


def face(x: float, side: float = 40, ignore: bool = False) -> Face:
    return Face(np.array([x, 0, side, side], np.float32), POINTS + np.array([x, 0]), ignore)


def box(x: float, score: int = 10, side: float = 40) -> Found:
    return Found(score, np.array([x, 0, side, side], np.float32), POINTS + np.array([x + 1, 0]))


def frame(*faces: Face) -> Frame:
    return Frame("a", "web", np.zeros((240, 320), np.uint8), list(faces))


def test_each_box_finds_one_face_and_what_is_left_is_false():
    first, second = face(0), face(100)
    pairs, false = match(frame(first, second), [box(2), box(4), box(200)])
    assert [(label is first, found is not None) for label, found in pairs] == [(True, True), (False, False)]
    assert false == 2


def test_faces_that_do_not_count_take_their_box_along():
    small, doubtful = face(0, 30), face(100, ignore=True)
    pairs, false = match(frame(small, doubtful), [box(0, side=30), box(110)])
    assert pairs == [] and false == 0


def test_figures_of_hits_misses_and_false_boxes():
    frames = [frame(face(0), face(100)), frame()]
    figures = measure(frames, [[box(0), box(101, score=4)], [box(0, score=5)]], 5)
    assert (figures["recall"], figures["faces"], figures["false_per_100_empty"]) == (0.5, 2, 100.0)
    assert figures["landmark_nme"] == pytest.approx(100 * 1 / 20)


def test_the_plots_are_drawn_and_come_out_the_same_again(tmp_path: Path):
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    from models.detector.plots import draw

    frames = [frame(face(x, side)) for x, side in ((0, 34), (10, 44), (20, 50), (0, 70), (0, 120))] + [frame()] * 20
    found = [[Found(score, f.faces[0].box, f.faces[0].points)] for score, f in enumerate(frames[:5], 3)]
    found += [[box(0, score=4)]] + [[]] * 19
    for name in ("once", "again"):
        draw((frames, found), (frames[:3] + frames[5:], found[:3] + found[5:]), 4, tmp_path / name)
    once, again = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("once", "again"))
    assert set(once) == {"froc.svg", "failures.svg"} and once == again
    assert all(content.lstrip().startswith(b"<?xml") for content in once.values())
