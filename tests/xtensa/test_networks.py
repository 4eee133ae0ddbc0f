"""Whole networks through the shipped machine code: every layer equals the portable kernels, byte for byte; nothing is
read or written outside arena, pack and records.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from firmware.nn.pack import Pack
from models.pack import write_pack
from tests.xtensa.network import ROOT, Network, Step, micropython, run_micropython

sys.path.insert(0, str(ROOT / "tests" / "models"))
import nn_graphs
from nn_panel import interpreters, run_panel

GOLDEN = ROOT / "tests" / "golden" / "nn"
GRAPHS = {f"mixed{seed}": nn_graphs.mixed(seed) for seed in range(6)}
GRAPHS |= {"ties": nn_graphs.ties(), "saturating": nn_graphs.saturating()}
GRAPHS |= {f"patched{seed}": nn_graphs.patched(seed) for seed in range(2)}
GRAPHS |= {"narrow1": nn_graphs.narrow(1)}
GRAPHS |= {"scaled1": nn_graphs.scaled(1), "scaled_extremes": nn_graphs.scaled_extremes()}
_MARK = 0x40000000


def compare(pack: bytes, pixels: np.ndarray, expected: bytes) -> list[Step]:
    """Runs every picture; the steps taken."""
    network = Network(pack)
    at = 0
    steps = []
    for picture in pixels:
        steps.append(network.load(picture.tobytes()))
        for i, step in enumerate(network.steps()):
            result = network.result(i)
            assert result == expected[at : at + len(result)], f"operator {i}, {step.kind}"
            at += len(result)
            steps.append(step)
        steps.append(network.export())
        for output in network.outputs():
            assert output == expected[at : at + len(output)]
            at += len(output)
    assert at == len(expected)
    return steps


@pytest.mark.parametrize("name", ["mixed", "ties", "narrow", "scaled", "scaled_ties", "patched"])
def test_golden_vectors(name: str) -> None:
    """Recorded from TFLite's reference kernels."""
    pack, pixels, expected = ((GOLDEN / f"{name}.{kind}").read_bytes() for kind in ("pack", "images", "results"))
    steps = compare(pack, np.frombuffer(pixels, np.uint8).reshape(-1, *Pack(pack).input_shape), expected)
    assert name != "scaled" or {"scaled1x1", "scaled3x3"} <= {step.kind for step in steps}


@pytest.mark.parametrize("name", GRAPHS)
def test_random_networks(name: str, tmp_path: Path) -> None:
    graph = GRAPHS[name]
    pack, pixels = write_pack(graph), nn_graphs.images(graph, 5)
    expected = run_panel(micropython(), pack, pixels, tmp_path, "kernels_viper")
    steps = compare(pack, pixels, expected)
    if name == "saturating":
        assert "dw3x3 (scaled)" in [step.kind for step in steps]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "limit"), [("detector", 1_500_000), ("embedder", 8_000_000)])
def test_shipped_networks(name: str, limit: int, tmp_path: Path) -> None:
    """All layers, on noise (the smaller network) and on a face's kind of picture: smooth, bright in the middle; well
    within the budgets of 3 million instructions, and 12 million with the alignment."""
    pack = (ROOT / "models" / name / f"{name}.pack").read_bytes()
    height, width = Pack(pack).input_shape
    noise = np.random.default_rng(3).integers(0, 256, (height, width))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    smooth = 230 * np.exp(-2 * (x * x + y * y)) + 12 * np.sin(9 * x) * np.cos(7 * y) + 12
    pictures = [noise, np.clip(smooth, 0, 255)] if name == "detector" else [np.clip(smooth, 0, 255)]
    pixels = np.stack(pictures).astype(np.uint8)
    steps = compare(pack, pixels, run_panel(micropython(), pack, pixels, tmp_path, "kernels_viper"))
    assert not [step.kind for step in steps if "scaled" in step.kind]
    assert sum(step.total for step in steps) <= len(pixels) * limit


@pytest.mark.parametrize("name", ["detector", "embedder", "mixed", "saturating", "scaled1"])
def test_weights_are_prepared_alike_where_words_have_32_bits(name: str, tmp_path: Path) -> None:
    narrow = interpreters()[1:]
    if not narrow:
        pytest.skip("no 32-bit MicroPython: python3 -m tests.mp32")
    shipped = ROOT / "models" / name / f"{name}.pack"
    pack = tmp_path / "in.pack"
    pack.write_bytes(shipped.read_bytes() if shipped.exists() else write_pack(GRAPHS.get(name, GRAPHS["mixed1"])))
    for interpreter in (micropython(), *narrow):
        out = tmp_path / f"out{interpreter == micropython():d}"
        run_micropython("panel_open.py", str(pack), str(out), interpreter=interpreter)
    for suffix in (".pack", ".json"):
        assert (tmp_path / f"out0{suffix}").read_bytes() == (tmp_path / f"out1{suffix}").read_bytes()


def marks(network: Network) -> list[bool]:
    """Of each block of each conv1x1: does it go through QACC?"""
    words = np.frombuffer(network.pack_bytes, "<i4")
    return [
        words[record[9] // 4 + 16 * block + 15] == _MARK
        for kind, record in network.operators()
        if kind == "conv1x1"
        for block in range(record[7] // 16)
    ]


def biased(shift: int, columns: list[np.ndarray], linear: bool = False) -> nn_graphs.GraphMaker:
    """A network whose conv1x1 has the given columns of weights."""
    make = nn_graphs.GraphMaker(1, 6, 6)
    x = make.layer("conv3x3", "input", len(columns[0]), shift=4, gain=9)
    x = make.layer("conv1x1", x, len(columns), shift=shift, linear=linear)
    make.ops[-1].weights[:] = np.stack(columns, 1)
    make.ops[-1].bias[:] = -128 * np.stack(columns, 1).sum(0, dtype=np.int32)  # what the zero point adds
    return make.finish(x)


@pytest.mark.parametrize(
    ("column", "through_qacc"),
    [
        (np.full(64, 20), True),  # stays in range
        (np.r_[np.full(40, -127), np.full(24, 127)], False),  # can leave it and come back
        (np.r_[np.full(48, 127), np.full(8, -20), np.zeros(8)], True),  # can leave it, but not come back far
        (np.full(128, -127), False),
    ],
)
def test_a_lane_may_saturate_only_where_the_output_hides_it(column, through_qacc: bool, tmp_path: Path) -> None:
    column = column.astype(np.int8)
    spread = [column if i == 5 else np.zeros_like(column) for i in range(16)]
    pack = write_pack(biased(8, spread))
    pixels = nn_graphs.images(nn_graphs.mixed(3), 4)[:, :6, :6]
    pixels = np.ascontiguousarray(pixels)
    compare(pack, pixels, run_panel(micropython(), pack, pixels, tmp_path, "kernels_viper"))
    assert marks(Network(pack)) == [through_qacc]


def test_shifts_beyond_a_lane_and_linear_sums_beyond_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for shift, linear in ((13, False), (16, False), (12, True), (13, True), (9, True)):
        columns = [rng.integers(-127, 128, 96).astype(np.int8) for _ in range(32)]
        pack = write_pack(biased(shift, columns, linear))
        pixels = np.ascontiguousarray(nn_graphs.images(nn_graphs.mixed(3), 4)[:, :6, :6])
        compare(pack, pixels, run_panel(micropython(), pack, pixels, tmp_path, "kernels_viper"))
