"""The panel's kernels equal TFLite's reference kernels byte for byte, layer by layer, on random networks."""

from pathlib import Path

import nn_graphs
import pytest
from nn_panel import first_difference, interpreters, reference, run_panel

from models.pack import write_pack

pytest.importorskip("ai_edge_litert", reason="writing .tflite needs ai-edge-litert (the train extra)")

GRAPHS = {f"mixed{seed}": nn_graphs.mixed(seed) for seed in range(6)}
GRAPHS |= {"ties": nn_graphs.ties(), "saturating": nn_graphs.saturating()}
GRAPHS |= {f"narrow{seed}": nn_graphs.narrow(seed) for seed in range(2)}
GRAPHS |= {f"scaled{seed}": nn_graphs.scaled(seed) for seed in range(2)}
GRAPHS |= {f"patched{seed}": nn_graphs.patched(seed) for seed in range(2)}
GRAPHS |= {"scaled_ties": nn_graphs.scaled_ties(), "scaled_extremes": nn_graphs.scaled_extremes()}


@pytest.mark.parametrize("micropython", interpreters())
@pytest.mark.parametrize("name", GRAPHS)
def test_every_layer_equals_the_reference(name: str, micropython: str, tmp_path: Path) -> None:
    from models.tflite_writer import write_tflite

    graph = GRAPHS[name]
    pixels = nn_graphs.images(graph, 6)
    expected = reference(graph, write_tflite(graph.expose_all()), pixels)
    got = run_panel(micropython, write_pack(graph), pixels, tmp_path)
    assert first_difference(graph, got, expected) == ""
