"""What a pack's meta says about the picture of firmware/nn/golden.py is what the panel's kernels make of it."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from nn_panel import ROOT, interpreters, run_panel

from firmware.nn.golden import noise
from firmware.nn.pack import Pack

RECORDED = ROOT / "tests/golden/nn"
PACKS = [*sorted(RECORDED.glob("*.pack")), *sorted((ROOT / "models").glob("*/*.pack"))]


def test_the_noise_is_as_documented() -> None:
    assert list(noise(4)) == [(x >> 8) & 255 for x in (74, 5624, 28652, 51840)]
    assert len(set(noise(256))) > 100


@pytest.mark.parametrize("micropython", interpreters())
@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_the_panel_gives_what_the_meta_says(path: Path, micropython: str, tmp_path: Path) -> None:
    content = path.read_bytes()
    pack = Pack(content)
    height, width = pack.input_shape
    picture = np.frombuffer(noise(height * width), np.uint8).reshape(1, height, width)
    got = run_panel(micropython, content, picture, tmp_path)
    padding = {op.output: op.padding for op in pack.ops}
    sizes = [pack.tensors[i].pixels() * (pack.tensors[i].channels - padding[i]) for i in pack.outputs]
    at = len(got) - sum(sizes)
    for size, expected in zip(sizes, pack.meta["golden"], strict=True):
        assert hashlib.sha256(got[at : at + size]).hexdigest() == expected
        at += size
