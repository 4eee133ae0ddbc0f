"""From a quantised checkpoint to what ships: closeup.tflite, closeup.pack and manifest.json.

    python -m models.closeup.export --faces ../shared/faces

The threshold of both networks' scores together is set here, on views of the tune part's empty rooms; the held-back part
is measured by `python -m models.detector.evaluate`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from host_tools.vision.pipeline import Finder
from models.arena import plan_arena
from models.closeup.mine import room_view
from models.closeup.train import DETECTOR, WORK, shaped
from models.detector.augment import pyramid
from models.detector.data import read_frames
from models.detector.metrics import LOWEST_SUM, as_found, choose_threshold
from models.layers import fit_lanes
from models.pack import write_pack
from models.runtime import Int8Model
from models.tflite_writer import write_tflite

HERE = Path(__file__).resolve().parent
CANDIDATE = -16  # a logit of -1 is worth a closer look
_VIEWS = 20  # of each empty room, to set the threshold on


def export(checkpoint: Path, faces_dir: str | Path, false_per_100: float = 1.0, folder: Path = HERE) -> dict:
    """Writes the three files; returns the manifest."""
    state = torch.load(checkpoint, weights_only=True)
    net = shaped(DETECTOR)
    net.load_state_dict(state["net"])
    fit_lanes(net)
    graph = net.to_graph({})
    graph.validate()
    tflite = write_tflite(graph)
    finder = Finder(Int8Model(DETECTOR), Int8Model(tflite), CANDIDATE, LOWEST_SUM)
    threshold, looks = choose(finder, faces_dir, state["seed"], false_per_100)
    graph.meta = {"kind": "closeup", "candidate": CANDIDATE, "threshold": threshold}
    files = {"closeup.tflite": tflite, "closeup.pack": write_pack(graph)}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    manifest = {
        "name": "closeup",
        "terms": "research use only: see card.md",
        **graph.meta,
        "looks_per_empty_frame": looks,
        "macs": graph.macs,
        "weights_bytes": graph.weight_bytes,
        "arena_bytes": plan_arena(graph).arena_bytes,
        "accumulators_beyond_20_bits": [a["op"] for a in graph.accumulators() if not a["fits20"]],
        "files": {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in files.items()},
        "detector_sha256": hashlib.sha256(DETECTOR.read_bytes()).hexdigest(),
        "training": {"seed": state["seed"], "steps": state["steps"]},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def choose(finder: Finder, faces_dir: str | Path, seed: int, false_per_100: float) -> tuple[int, float]:
    """The threshold that leaves so many boxes on views of empty rooms, and closer looks per view."""
    rng = np.random.default_rng([seed, 2])
    rooms = [pyramid(f.pixels) for f in read_frames(faces_dir, ("tune",)) if not f.faces]
    seen = [as_found(finder.find(room_view(rng, levels))) for levels in rooms for _ in range(_VIEWS)]
    return choose_threshold(seen, false_per_100), round(float(np.mean([len(faces) for faces in seen])), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", required=True, help="folder with detect/ in it")
    parser.add_argument("--checkpoint", type=Path, default=WORK / "last.pt")
    options = parser.parse_args()
    print(json.dumps(export(options.checkpoint, options.faces), indent=1))


if __name__ == "__main__":
    main()
