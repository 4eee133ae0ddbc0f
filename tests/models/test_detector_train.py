"""Training can go on from the weights that ship; scenes and labels say where faces are."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch (the `train` extra)")
pytest.importorskip("cv2", reason="training needs OpenCV (the `train` extra)")

from models.detector.augment import Scenes
from models.detector.data import Face, Frame
from models.detector.net import Detector
from models.detector.relabel import _agreed
from models.detector.targets import POSITIVE, assign, mirrored
from models.detector.train import as_network
from models.layers import load_tflite
from models.runtime import Int8Model

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "detector" / "detector.tflite"


def test_a_net_to_start_from_computes_what_the_int8_one_does() -> None:
    net = Detector()
    load_tflite(net, SHIPPED)
    started, shipped = as_network(net), Int8Model(SHIPPED).run
    y, x = np.mgrid[0:240, 0:320]
    picture = (128 + 60 * np.sin(x / 18) * np.cos(y / 14) + (x > 160) * 40).astype(np.uint8)
    for mine, theirs in zip(started(picture), shipped(picture), strict=True):
        off = np.abs(mine.ravel().astype(int) - theirs.ravel())
        assert off.mean() < 3 and theirs.std() > 10  # sixteenths; activations are not rounded here


def face(x: float, y: float, size: float, ignore: bool = False) -> Face:
    places = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)])
    box = np.array([x, y, 0.8 * size, size], np.float32)
    return Face(box, (places * box[2:] + box[:2]).astype(np.float32), ignore)


def test_a_mirrored_scene_asks_for_the_mirrored_face() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        size = rng.uniform(24, 180)
        x, y = rng.uniform(0, 320 - 0.8 * size), rng.uniform(0, 240 - size)
        kind, target = mirrored(*assign([face(x, y, size)]))
        other_kind, other = assign([face(320 - x - 0.8 * size, y, size)])
        both = (kind == POSITIVE) & (other_kind == POSITIVE)
        assert both.any()
        assert np.abs(target[both] - other[both]).max() < 1e-3


def test_a_scene_holds_the_pictures_that_its_labels_name() -> None:
    """Photographs whose faces are white squares on black: what is labelled in a scene is bright."""
    photo, head = np.zeros((200, 200), np.uint8), np.full((112, 112), 255, np.uint8)
    photo[60:140, 68:132] = 255
    frames = [Frame("a", "web", photo, [face(68, 60, 80)]), Frame("r", "background", np.zeros((240, 320), np.uint8))]
    rng = np.random.default_rng(2)
    seen = 0
    for scenes in (Scenes(frames), Scenes([*frames, Frame("h", "fiw", head, [face(16, 6, 100)])])):
        for _ in range(40):
            image, faces = scenes.draw(rng)
            for found in faces:
                x, y = (found.box[:2] + found.box[2:] / 2).astype(int)
                if not found.ignore and 0 <= x < 320 and 0 <= y < 240:
                    seen += int(image[y, x] > np.median(image))
    assert seen > 60


def test_whole_photographs_keep_their_surroundings_and_labels() -> None:
    photo = np.full((240, 320), 60, np.uint8)
    photo[100:132, 150:176] = 250
    scenes = Scenes([Frame("a", "web", photo, [face(150, 100, 32)]), Frame("r", "background", photo)])
    rng = np.random.default_rng(3)
    for _ in range(20):
        image, faces = scenes._whole(rng)
        assert image.shape == (240, 320) and image.dtype == np.uint8
        for found in (f for f in faces if not f.ignore):
            x, y, w, h = found.box
            inside = image[int(y + h / 3) : int(y + 2 * h / 3), int(x + w / 3) : int(x + 2 * w / 3)]
            assert 20 < h < 50 and inside.mean() > np.median(image)


def test_labels_are_what_most_looks_agree_on() -> None:
    """Eight looks: one face seen by all of them, a ghost seen twice, another face that the label lacks."""
    good, ghost, missed = face(20, 20, 60), face(150, 30, 50), face(220, 120, 70)
    rng = np.random.default_rng(1)

    def look(f: Face) -> tuple[float, np.ndarray, np.ndarray]:
        off = rng.normal(0, 1, 2).astype(np.float32)
        return 0.8, f.box + np.r_[off, 0, 0].astype(np.float32), f.points + off

    looks = [[look(good), look(missed), *([look(ghost)] if n < 2 else [])] for n in range(8)]
    faces = _agreed(looks, [face(22, 19, 60), ghost])
    assert [f.ignore for f in faces] == [False, True, False]
    assert np.abs(faces[0].points - good.points).max() < 1.5
    assert np.abs(faces[2].box - missed.box).max() < 1.5
