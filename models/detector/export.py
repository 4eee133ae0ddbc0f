"""From a quantised checkpoint to what ships: detector.tflite, detector.pack and manifest.json.

The threshold is set here, on the int8 model and views of the tune part's empty rooms; the held-back part is
only measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch

from models.arena import plan_arena
from models.detector.data import fit, read_frames
from models.detector.evaluate import HERE, evaluate
from models.detector.metrics import choose_threshold, detect
from models.detector.train import WORK, empty_views, shaped_for
from models.layers import fit_lanes
from models.pack import write_pack
from models.runtime import Int8Model
from models.tflite_writer import write_tflite

_VIEWS = 100  # of each empty room, to set the threshold on: with few it hangs on two or three of them


def export(checkpoint: Path, faces_dir: str | Path, false_per_100: float = 1.0, folder: Path = HERE) -> dict:
    """Writes the three files; returns the manifest."""
    state = torch.load(checkpoint, weights_only=True)
    net = shaped_for(state["phase"])
    net.load_state_dict(state["average"])
    fit_lanes(net)
    graph = net.to_graph({})
    graph.validate()
    tflite = write_tflite(graph)
    network = Int8Model(tflite).run
    rooms = [fit(f) for f in read_frames(faces_dir, ("tune",)) if not f.faces]
    views = empty_views(rooms, state["seed"] + 1, _VIEWS)
    threshold = choose_threshold([detect(network, view) for view in views], false_per_100)
    graph.meta = {"kind": "detector", "threshold": threshold}
    files = {"detector.tflite": tflite, "detector.pack": write_pack(graph)}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    manifest = {
        "name": "detector",
        "terms": "research use only: see card.md",
        "threshold": threshold,
        "macs": graph.macs,
        "weights_bytes": graph.weight_bytes,
        "arena_bytes": plan_arena(graph).arena_bytes,
        "accumulators_beyond_20_bits": [a["op"] for a in graph.accumulators() if not a["fits20"]],
        "files": {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in files.items()},
        "training": {"seed": state["seed"], "steps": state["step"], "minutes": round(state["spent"] / 60, 1)},
        "held_back": evaluate(network, faces_dir, threshold),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", required=True, help="folder with detect/ in it")
    parser.add_argument("--checkpoint", type=Path, default=WORK / "last.pt")
    options = parser.parse_args()
    print(json.dumps(export(options.checkpoint, options.faces), indent=1))


if __name__ == "__main__":
    main()
