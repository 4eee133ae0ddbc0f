"""From the detector's int8 heads to faces: worked examples, and CPython against MicroPython."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from firmware.vision.detector import HEADS, FaceDecoder, same_face, size16

ROOT = Path(__file__).resolve().parents[2]
SILENT = -100


def heads(*cells: tuple[int, int, list[int]]) -> list[np.ndarray]:
    """Two silent heads, but for (head, cell, first channels)."""
    out = [np.full((columns * rows, 16), 0, np.int8) for columns, rows, _, _ in HEADS]
    for head in out:
        head[:, 0] = SILENT
    for head, cell, channels in cells:
        out[head][cell, : len(channels)] = channels
    return out


def decode(out: list[np.ndarray], threshold: int = 0) -> list[tuple]:
    return FaceDecoder(threshold).decode([memoryview(head.tobytes()).cast("b") for head in out])


def test_silence_is_no_face():
    assert decode(heads()) == []


def test_a_cell_of_the_fine_head_by_hand():
    points = [-16, -16, 16, -16, 0, 0, -12, 16, 12, 16]
    (face,) = decode(heads((0, 5 * 20 + 7, [40, 4, -8, 0, 32, *points])))
    # cell (7, 5) of stride 8: centre at input 60, 44, frame 120.5, 88.5; a step is half a frame pixel
    score, x, y, w, h, marks = face
    assert (score, w) == (40, 40) and h == round(40 * 2**0.5)
    assert (x, y) == (122 - 20 + 1, 84 - 28)
    assert marks[2] == (1928, 1416)
    assert marks[0] == (1928 - 128, 1416 - 128)


def test_sizes_are_powers_of_two_to_an_eighth_of_a_pixel():
    for reference in (20, 60):
        for q in range(-128, 128):
            assert abs(size16(reference, q) - 32 * reference * 2 ** (q / 64)) <= 2


def test_the_threshold_is_the_least_score_that_counts():
    out = heads((1, 3, [25]))
    assert len(decode(out, 25)) == 1
    assert decode(out, 26) == []


def test_of_two_boxes_on_one_face_the_better_stays():
    faces = decode(heads((0, 100, [30]), (0, 101, [50]), (0, 115, [20])))
    assert [f[0] for f in faces] == [50, 20]


def test_a_weaker_neighbour_moves_the_face_by_its_weight():
    alone = decode(heads((0, 101, [50])))[0]
    (pair,) = decode(heads((0, 100, [10]), (0, 101, [50])))
    # cell 100 lies 256 sixteenths to the left; the weights are 10 + 8 + 4 against 50 + 8 + 4
    assert pair[5][2][0] == (alone[5][2][0] * 84 - 256 * 22) // 84


def test_a_cell_below_the_threshold_votes_but_finds_nothing():
    assert decode(heads((0, 100, [-4]))) == []
    assert len(decode(heads((0, 100, [-4]), (0, 101, [50])))) == 1


def test_a_box_inside_another_is_the_same_face():
    assert same_face((9, 0, 0, 100, 100, ()), (5, 10, 10, 30, 30, ()))
    assert not same_face((9, 0, 0, 100, 100, ()), (5, 90, 0, 100, 100, ()))


def test_a_wall_of_hits_stays_bounded():
    out = heads()
    for head in out:
        head[:, 0] = 127
        head[:, 3:5] = -128
    assert len(decode(out)) == 8


def test_micropython_decodes_the_same(tmp_path):
    micropython = os.environ.get("MENSHEN_MICROPYTHON") or Path(sys.executable).parent / "micropython"
    if not Path(micropython).exists():
        pytest.skip(f"no MicroPython at {micropython}")
    rng = np.random.default_rng(7)
    out = [rng.integers(-128, 128, (columns * rows, 16)).astype(np.int8) for columns, rows, _, _ in HEADS]
    for number, head in enumerate(out):
        (tmp_path / f"head{number}").write_bytes(head.tobytes())
    script = (
        "import array, json, sys\n"
        "from firmware.vision.detector import FaceDecoder\n"
        "out = [memoryview(array.array('b', open(path, 'rb').read())) for path in sys.argv[1:]]\n"
        "print(json.dumps(FaceDecoder(40).decode(out)))\n"
    )
    (tmp_path / "decode.py").write_text(script)
    command = [str(micropython), str(tmp_path / "decode.py"), *(str(tmp_path / f"head{n}") for n in range(2))]
    environment = dict(os.environ, MICROPYPATH=f"{ROOT}:.frozen")
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(result.stdout) == json.loads(json.dumps(decode(out, 40)))
