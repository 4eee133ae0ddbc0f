"""Golden vectors, recorded from TFLite's reference kernels: `python tests/models/test_nn_golden.py` records
them anew.
"""

from pathlib import Path

import nn_graphs
import numpy as np
import pytest
from nn_panel import ROOT, first_difference, interpreters, reference, run_panel

from models.pack import write_pack

FOLDER = ROOT / "tests" / "golden" / "nn"
GRAPHS = {
    "mixed": lambda: nn_graphs.mixed(0),
    "ties": nn_graphs.ties,
    "narrow": lambda: nn_graphs.narrow(0),
    "scaled": lambda: nn_graphs.scaled(0),
    "scaled_ties": nn_graphs.scaled_ties,
    "patched": lambda: nn_graphs.patched(0),
}
IMAGES = 4


@pytest.mark.parametrize("micropython", interpreters())
@pytest.mark.parametrize("kernels", ["", "kernels_viper", "kernels_plain"])
@pytest.mark.parametrize("name", GRAPHS)
def test_recorded_layers_come_out_again(name: str, kernels: str, micropython: str, tmp_path: Path) -> None:
    graph = GRAPHS[name]()
    pack, pixels, expected = ((FOLDER / f"{name}.{kind}").read_bytes() for kind in ("pack", "images", "results"))
    got = run_panel(micropython, pack, np.frombuffer(pixels, np.uint8), tmp_path, kernels)
    assert first_difference(graph, got, expected) == ""


@pytest.mark.parametrize("name", GRAPHS)
def test_the_writer_still_writes_the_recorded_pack(name: str) -> None:
    """A change of format or arena plan must be meant, and then be recorded."""
    assert write_pack(GRAPHS[name]()) == (FOLDER / f"{name}.pack").read_bytes()


def record() -> None:
    from models.tflite_writer import write_tflite

    for name, make in GRAPHS.items():
        graph = make()
        pixels = nn_graphs.images(graph, IMAGES)
        results = reference(graph, write_tflite(graph.expose_all()), pixels)
        for kind, content in (
            ("pack", write_pack(graph)),
            ("images", pixels.tobytes()),
            ("results", results),
        ):
            (FOLDER / f"{name}.{kind}").write_bytes(content)


if __name__ == "__main__":
    record()
