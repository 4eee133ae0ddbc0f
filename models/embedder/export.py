"""From a quantised net to what ships: embedder.tflite, embedder.pack, manifest.json, with the threshold.

    python -m models.embedder.export --faces ../shared/faces [--checkpoint embedder_float.pt]

A float checkpoint is centred and calibrated first, not fine-tuned: quick, and worse than what `train` exports.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch

from models import layers
from models.arena import plan_arena
from models.data import Faces, load_matcher
from models.embedder import metrics, own
from models.embedder.evaluate import HERE, embed
from models.embedder.net import Embedder
from models.graph import Graph
from models.pack import model_id, write_pack
from models.tflite_writer import write_tflite

SAME_GROUP_FMR = 1e-3


def threshold_q14(graph: Graph, faces: Faces) -> int:
    """Set on All-Age-Faces persons that the net never saw: adults of the same gender and age band."""
    rows = faces.rows("aaf_held")
    members = metrics.groups(faces.age[rows], faces.gender[rows])
    limit = metrics.same_group_threshold(embed(graph, faces.images[rows], "threshold"), members, SAME_GROUP_FMR)
    return round(limit * metrics.Q14)


def export(net: Embedder, faces: Faces, training: dict, folder: Path = HERE) -> dict:
    """Writes the three files; returns the manifest."""
    layers.fit_lanes(net)
    graph = net.graph({})
    return _write(graph, threshold_q14(graph, faces), training, folder)


def export_own(net: Embedder, faces: Faces, data: Path, training: dict, folder: Path) -> dict:
    """The same for a net trained on one's own pictures, its threshold and figures from the persons kept back."""
    layers.fit_lanes(net)
    graph = net.graph({})
    threshold, figures = own.figures(data, faces, graph)
    terms = "those of the pictures (and teachers) it was trained on, and of the net it went on from, if any"
    return _write(graph, threshold, training, folder, {"terms": terms, "figures": figures})


def _write(graph: Graph, threshold: int, training: dict, folder: Path, extra: dict | None = None) -> dict:
    graph.meta = {"kind": "embedder", "threshold_q14": threshold}
    files = {"embedder.tflite": write_tflite(graph), "embedder.pack": write_pack(graph)}
    manifest = {
        "name": "embedder",
        "terms": "research use only until retrained on licensed or consented data: see card.md",
        "model_id": model_id(graph).hex(),
        **graph.meta,
        "macs": graph.macs,
        "weights_bytes": graph.weight_bytes,
        "arena_bytes": plan_arena(graph).arena_bytes,
        "accumulators_beyond_20_bits": [a["op"] for a in graph.accumulators() if not a["fits20"]],
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
        },
        "training": training,
        **(extra or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def main() -> None:
    from models.embedder import train

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, default=train.CHECKPOINTS / "embedder_quant.pt")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    faces = load_matcher(options.faces)
    state = torch.load(options.checkpoint, weights_only=True, map_location="cpu")
    net = train.restore(state)
    if state["phase"] == "float":
        data = train.lessons(options.faces, faces)
        train.centre(net, data)
        train.quantise(net, data, state["seed"])
    print(json.dumps(export(net, faces, train.summary(state), options.out), indent=1))


if __name__ == "__main__":
    main()
