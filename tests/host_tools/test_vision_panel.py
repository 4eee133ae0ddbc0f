"""Host and panel see the same: every integer and every template byte, with the panel's files run by
MicroPython."""

import json
import os
import subprocess
import sys
from array import array
from pathlib import Path

import numpy as np
import pytest

from firmware.vision import quality
from firmware.vision.align import SIDE, halved, similarity
from host_tools.vision.frames import HEIGHT, WIDTH, View, render
from host_tools.vision.image import half2x2, warp
from host_tools.vision.pictures import load_grey
from host_tools.vision.pipeline import MODELS, FacePipeline
from host_tools.vision.pixelstats import level, measure

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = np.array(((38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20))) - 9


def on_panel(source: str, folder: Path, *arguments: object) -> list:
    """Runs MicroPython source that prints one JSON value a line."""
    script = folder / "script.py"
    script.write_text(source)
    micropython = os.environ.get("MENSHEN_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")
    command = [micropython, "-X", "heapsize=16M", str(script), *map(str, arguments)]
    environment = dict(os.environ, MICROPYPATH=f"{ROOT}:.frozen")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def random_landmarks(count: int) -> list[list[list[int]]]:
    """Turned, grown, shifted and dented templates in 1/16 px."""
    rng = np.random.default_rng(3)
    sets = []
    for _ in range(count):
        size, angle = rng.uniform(0.3, 3), rng.uniform(-1, 1)
        turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = TEMPLATE @ turn.T + rng.uniform(-50, 200, 2) + rng.normal(0, 3, (5, 2))
        sets.append(np.rint(points * 16).astype(int).tolist())
    return sets


def test_alignment_is_the_same_on_both_and_the_least_squares_one(tmp_path: Path) -> None:
    sets = random_landmarks(200)
    (tmp_path / "points.json").write_text(json.dumps(sets))
    source = """
import json, sys
from firmware.vision.align import SIDE, halved, similarity
for points in json.load(open(sys.argv[1])):
    t = similarity(points)
    print(json.dumps([t, halved(t)]))
"""
    for points, (panel, panel_half) in zip(sets, on_panel(source, tmp_path, tmp_path / "points.json"), strict=True):
        host = similarity(points)
        assert list(host) == panel
        assert list(halved(host)) == panel_half
        assert np.abs(np.array(host) / 65536 - least_squares(np.array(points) / 16)).max() < 1e-5


def least_squares(points: np.ndarray) -> np.ndarray:
    """(a, b, tx, ty) from template to points: the float solution from points to template, inverted."""
    x, y = points.T
    rows = np.vstack([np.c_[x, -y, np.ones(5), np.zeros(5)], np.c_[y, x, np.zeros(5), np.ones(5)]])
    a, b, tx, ty = np.linalg.lstsq(rows, TEMPLATE.T.reshape(-1), rcond=None)[0]
    inverse = np.linalg.inv(np.array([[a, -b, tx], [b, a, ty], [0, 0, 1]]))
    return np.array([inverse[0, 0], inverse[1, 0], inverse[0, 2], inverse[1, 2]])


def test_the_aligned_face_is_a_float_reference_within_a_grey_level(portrait: np.ndarray) -> None:
    """Float least squares, float bilinear, rounded; test_vision_image.py compares the panel with the host."""
    frame = frames_of(portrait)[0]
    for points in random_landmarks(40):
        exact = least_squares(np.array(points) / 16)
        assert np.abs(warp(frame, similarity(points), SIDE) - sampled(frame, exact)).max() <= 1
        small, (a, b, tx, ty) = half2x2(frame), exact
        halving = np.array([a / 2, b / 2, (tx - 0.5) / 2, (ty - 0.5) / 2])
        assert np.abs(warp(small, halved(similarity(points)), SIDE) - sampled(small, halving)).max() <= 1


def sampled(image: np.ndarray, transform: np.ndarray) -> np.ndarray:
    a, b, tx, ty = transform
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(float)
    height, width = image.shape
    u, v = np.clip(a * x - b * y + tx, 0, width - 1), np.clip(b * x + a * y + ty, 0, height - 1)
    i, j = np.minimum(u.astype(int), width - 2), np.minimum(v.astype(int), height - 2)
    pixels = image.astype(float)
    upper, lower = (pixels[j + n, i] * (1 - u + i) + pixels[j + n, i + 1] * (u - i) for n in (0, 1))
    return np.rint(upper * (1 - v + j) + lower * (v - j))


def test_pixel_statistics_are_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    faces = [rng.integers(0, 256, (96, 96), dtype=np.uint8) for _ in range(4)]
    faces += [face // 9 + shift for face, shift in zip(faces, (3, 100, 220), strict=False)]
    faces += [np.full((96, 96), value, np.uint8) for value in (0, 255)]
    faces.append(np.where(np.indices((96, 96)).sum(0) % 2, 255, 0).astype(np.uint8))  # the largest energies
    (tmp_path / "faces.bin").write_bytes(b"".join(face.tobytes() for face in faces))
    source = """
import binascii, json, sys
from array import array
from firmware.vision.pixelstats import level, measure
from firmware.vision.quality import STATS, levels
with open(sys.argv[1], "rb") as file:
    while True:
        face = bytearray(file.read(9216))
        if not face:
            break
        out = array("i", [0] * STATS)
        measure(face, out)
        gain, offset = levels(out)
        level(face, gain, offset)
        print(json.dumps([list(out), gain, offset, binascii.hexlify(face).decode()]))
"""
    expected = []
    for face in faces:
        stats = measure(face)
        gain, offset = quality.levels(stats)
        expected.append([stats, gain, offset, level(face, gain, offset).tobytes().hex()])
    assert on_panel(source, tmp_path, tmp_path / "faces.bin") == expected


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    from matplotlib.cbook import get_sample_data

    return load_grey(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))


def frames_of(photo: np.ndarray) -> list[np.ndarray]:
    """Near, far, turned, dim, bright, noisy; and an empty wall."""
    eyes = (222.0, 190.0), (304.0, 187.0)
    views = [
        View(40),
        View(20),
        View(70),
        View(33, roll=10),
        View(36, roll=-8, gain=0.5),
        View(30, gain=1.3, shift=(40, 20)),
    ]
    frames = [render(photo, eyes, view) for view in views]
    noise = np.random.default_rng(5).normal(0, 6, (HEIGHT, WIDTH))
    frames.append(np.clip(frames[0] + noise, 0, 255).astype(np.uint8))
    return [*frames, np.full((HEIGHT, WIDTH), 120, np.uint8)]


PANEL_PIPELINE = """
import json, sys
from firmware.nn.model import Model
from firmware.vision import quality
from firmware.vision.pipeline import FacePipeline
frame = bytearray(320 * 240)
models = sys.argv[1]
packs = [Model("%s/%s/%s.pack" % (models, name, name)) for name in ("detector", "embedder")]
pipeline = FacePipeline(packs[0], packs[1], frame)
with open(sys.argv[2], "rb") as file:
    while file.readinto(frame):
        pipeline.find()
        face, hint = pipeline.judge(quality.LENIENT)
        faces, template, aligned = pipeline.faces, None, None
        if not hint:
            template = [b & 255 for b in pipeline.embed()]
            aligned = sum(pipeline.aligned)
        print(json.dumps([faces, hint, aligned, template]))
        pipeline.wipe()
        assert not any(frame) and not any(pipeline.aligned) and not any(pipeline.embedding)
"""


def test_templates_are_the_same_byte_for_byte(tmp_path: Path, portrait: np.ndarray) -> None:
    frames = frames_of(portrait)
    (tmp_path / "frames.bin").write_bytes(b"".join(frame.tobytes() for frame in frames))
    panel = on_panel(PANEL_PIPELINE, tmp_path, MODELS, tmp_path / "frames.bin")
    pipeline = FacePipeline()
    embedded = 0
    for frame, (faces, hint, light, template) in zip(frames, panel, strict=True):
        look = pipeline.look(frame, quality.LENIENT)
        assert json.loads(json.dumps(look.faces)) == faces
        assert look.hint == hint
        if look.embedding is None:
            assert template is None
            continue
        embedded += 1
        assert look.aligned is not None and int(look.aligned.astype(int).sum()) == light
        assert look.embedding.tobytes() == bytes(template)
    assert embedded >= 3


def test_the_gallery_scores_the_same_on_both(tmp_path: Path) -> None:
    from firmware.biometrics.match import Gallery

    rng = np.random.default_rng(6)
    vectors = rng.integers(-128, 128, (12, 128), dtype=np.int8)
    vectors[6:] = np.clip(vectors[:6].astype(int) + rng.integers(-60, 60, (6, 128)), -128, 127)
    (tmp_path / "vectors.bin").write_bytes(vectors.tobytes())
    source = """
import json, sys
from firmware.biometrics.dot import dots
from firmware.biometrics.match import Gallery
gallery = Gallery(b"m", dots, 8, 2)
data = open(sys.argv[1], "rb").read()
vectors = [data[i * 128 : i * 128 + 128] for i in range(12)]
for i in range(3):
    gallery.add(b"%d" % i, b"m", vectors[2 * i : 2 * i + 2])
for v in vectors[6:]:
    best, score, second, second_score = gallery.match(v, b"m")
    print(json.dumps([best.decode(), score, second.decode(), second_score]))
"""

    def dots(probe: bytes, table: bytes, start: int, count: int, out: list[int]) -> None:
        a = np.frombuffer(probe, np.int8).astype(int)
        for i in range(count):
            out[i] = int(a @ np.frombuffer(table, np.int8)[start + i * 128 : start + i * 128 + 128])

    gallery = Gallery(b"m", dots, 8, 2)
    for i in range(3):
        gallery.add(b"%d" % i, b"m", [v.tobytes() for v in vectors[2 * i : 2 * i + 2]])
    host = []
    for vector in vectors[6:]:
        best, score, second, second_score = gallery.match(vector.tobytes(), b"m")
        host.append([best.decode(), score, second.decode(), second_score])
        norms = np.linalg.norm(vector.astype(float)) * np.linalg.norm(vectors[:6].astype(float), axis=1)
        assert abs(score - 16384 * (vectors[:6].astype(float) @ vector.astype(float) / norms).max()) < 1
    assert on_panel(source, tmp_path, tmp_path / "vectors.bin") == host


def test_statistics_fit_the_panels_words() -> None:
    worst = np.where(np.indices((96, 96)).sum(0) // 8 % 2, 255, 0).astype(np.uint8)
    array("i", measure(worst))
    assert max(56 * 48 * 510 * 510, *measure(worst)) < 2**31
