"""The closer look: where its points lie in the frame, whom it keeps, and what ships."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from firmware.vision import closeup
from firmware.vision.align import similarity

MODELS = Path(__file__).resolve().parents[2] / "models"
MANIFEST = json.loads((MODELS / "closeup" / "manifest.json").read_text())
DETECTOR = json.loads((MODELS / "detector" / "manifest.json").read_text())
# The template in 1/16 px at 96 px, times 2 and turned by 10 degrees, in the frame.
TURN = 2 * np.array([[0.985, -0.174], [0.174, 0.985]])
POINTS = [tuple(p) for p in np.rint(np.array([(525, 709), (1008, 706), (768, 984), (570, 1267), (970, 1264)]) @ TURN.T)]
LANDMARKS = tuple((int(x) + 900, int(y) + 400) for x, y in POINTS)
NOTHING = [0] * closeup.OUTPUTS


def near(found, expected, slack: float) -> bool:
    return bool(np.abs(np.array(found) - np.array(expected)).max() <= slack)


def test_no_correction_leaves_a_template_shaped_face_where_it_is() -> None:
    assert near(closeup.points_in_frame(NOTHING, closeup.view_of(LANDMARKS)), LANDMARKS, 3)


def test_a_correction_is_in_pixels_of_the_upright_view() -> None:
    out = [0, 0, 16, -32, *NOTHING[4:]]  # the other eye: a pixel to the right, two up
    a, b, _, _ = (v / 65536 for v in closeup.view_of(LANDMARKS))
    plain = closeup.points_in_frame(NOTHING, closeup.view_of(LANDMARKS))
    moved = closeup.points_in_frame(out, closeup.view_of(LANDMARKS))
    assert near(np.subtract(moved[1], plain[1]), (16 * a + 32 * b, 16 * b - 32 * a), 1)
    assert moved[0] == plain[0] and moved[2:] == plain[2:]


def test_the_view_is_the_aligned_square_and_a_margin() -> None:
    a, b, tx, ty = similarity(LANDMARKS)
    va, vb, vx, vy = closeup.view_of(LANDMARKS)
    for x, y in ((0, 0), (47, 0), (20, 40)):
        u, v = 2.625 * x - 89 / 6, 2.625 * y + 1 / 3  # the same place in the aligned face
        assert near((va * x - vb * y + vx, vb * x + va * y + vy), (a * u - b * v + tx, b * u + a * v + ty), 128)


def test_points_that_span_no_face_get_no_view() -> None:
    assert closeup.view_of([(100, 100)] * 5) is None


def face(score: int, shift: int) -> tuple:
    return score, 10, 10, 50, 60, tuple((x + shift, y) for x, y in LANDMARKS)


def test_both_scores_count_together() -> None:
    view = closeup.view_of(LANDMARKS)
    judged = closeup.judge((-7, 1, 2, 3, 4, LANDMARKS), [*NOTHING[:10], 40, *NOTHING[11:]], view)
    assert judged[0] == 33 and near(judged[5], LANDMARKS, 3)


def test_the_box_is_about_the_turned_ellipse() -> None:
    """Outputs of 64 in 4 * log2 sixteenths are an octave: 32 by 64 pixels of an upright view, 2 frame pixels each."""
    out = [*NOTHING[:11], 0, 0, 0, 64, 0]
    x, y = closeup.CENTRE[0] / 8 + 50, closeup.CENTRE[1] / 8 + 20
    assert near(closeup.box_in_frame(out, (131072, 0, 50 << 16, 20 << 16)), (x - 32, y - 64, 64, 128), 1)
    turned = closeup.box_in_frame(out, (0, 131072, 200 << 16, 20 << 16))
    assert near(turned[2:], (128, 64), 1)
    slanted = closeup.box_in_frame(out, (92682, 92682, 200 << 16, 20 << 16))  # 45 degrees
    assert near(slanted[2:], (101.2, 101.2), 1)


def test_the_best_come_first_and_each_face_once() -> None:
    seen = [face(5, 0), face(30, 4000), face(20, 90), face(-3, 9000)]
    assert [f[0] for f in closeup.choose(seen, 0)] == [30, 20]
    assert [f[0] for f in closeup.choose(seen, -10)] == [30, 20, -3]


@pytest.mark.parametrize("name", ["closeup.tflite", "closeup.pack"])
def test_the_manifest_names_the_files_that_ship(name: str) -> None:
    content = (MODELS / "closeup" / name).read_bytes()
    assert MANIFEST["files"][name] == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_it_was_tuned_with_the_detector_that_ships() -> None:
    assert MANIFEST["detector_sha256"] == DETECTOR["files"]["detector.tflite"]["sha256"]


def test_both_looks_fit_the_detectors_budget() -> None:
    assert MANIFEST["macs"] <= 1_500_000 and DETECTOR["macs"] <= 10_000_000
    assert MANIFEST["weights_bytes"] + DETECTOR["weights_bytes"] <= 150_000
    assert MANIFEST["arena_bytes"] <= 128 * 1024
    assert all(name.endswith("_fc") for name in MANIFEST["accumulators_beyond_20_bits"])  # sums in 32 bits
