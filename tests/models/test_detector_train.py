"""Training can go on from the weights that ship."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch (the `train` extra)")
pytest.importorskip("cv2", reason="training needs OpenCV (the `train` extra)")

from models.detector.train import as_network, from_tflite
from models.runtime import Int8Model

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "detector" / "detector.tflite"


def test_a_net_to_start_from_computes_what_the_int8_one_does() -> None:
    started, shipped = as_network(from_tflite(SHIPPED)), Int8Model(SHIPPED).run
    y, x = np.mgrid[0:120, 0:160]
    picture = (128 + 60 * np.sin(x / 9) * np.cos(y / 7) + (x > 80) * 40).astype(np.uint8)
    for mine, theirs in zip(started(picture), shipped(picture), strict=True):
        off = np.abs(mine.ravel().astype(int) - theirs.ravel())
        assert off.mean() < 3 and theirs.std() > 10  # sixteenths; activations are not rounded here
