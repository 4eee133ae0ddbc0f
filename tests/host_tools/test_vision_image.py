"""Panel and host halve and warp alike, byte for byte, far outside the picture included."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from host_tools.vision.image import half2x2, warp
from tests import mp32

ROOT = Path(__file__).resolve().parents[2]
SIDE = 96
PANEL = """
import json, sys
from firmware.vision.image import half2x2, warp
source, out, transforms = sys.argv[1:]
image = open(source, "rb").read()
half, face = bytearray(160 * 120), bytearray(96 * 96)
with open(out, "wb") as sink:
    half2x2(image, half, 320, 240)
    sink.write(half)
    for transform in json.load(open(transforms)):
        warp(image, 320, 240, face, 96, transform)
        sink.write(face)
"""


def interpreters() -> list[str]:
    found = [os.environ.get("MENSHEN_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")]
    return found + list(filter(None, [mp32.find()]))


def transforms() -> list[list[int]]:
    rng = np.random.default_rng(7)
    turn, size = rng.uniform(-np.pi, np.pi, 12), rng.uniform(0.2, 4, 12)
    a, b = size * np.cos(turn), size * np.sin(turn)
    shift = rng.uniform(-150, 400, (2, 12))
    drawn = np.rint(np.stack([a, b, *shift], 1) * 65536).astype(int).tolist()
    return [*drawn, [65536, 0, 0, 0], [65536, 0, 320 << 16, 240 << 16], [65536, 0, -(96 << 16), -(96 << 16)]]


@pytest.mark.parametrize("micropython", interpreters())
def test_panel_and_host_are_equal(micropython: str, tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (240, 320), dtype=np.uint8)
    image[:8], image[-8:] = 255, 0
    (tmp_path / "image").write_bytes(image.tobytes())
    (tmp_path / "panel.py").write_text(PANEL)
    (tmp_path / "transforms").write_text(json.dumps(transforms()))
    command = [micropython, *(str(tmp_path / name) for name in ("panel.py", "image", "out", "transforms"))]
    environment = dict(os.environ, MICROPYPATH=f"{ROOT}:.frozen")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = half2x2(image).tobytes() + b"".join(warp(image, t, SIDE).tobytes() for t in transforms())
    assert (tmp_path / "out").read_bytes() == expected


def test_the_identity_changes_nothing() -> None:
    image = np.random.default_rng(2).integers(0, 256, (96, 96), dtype=np.uint8)
    assert np.array_equal(warp(image, (65536, 0, 0, 0), 96), image)
