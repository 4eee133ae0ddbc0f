"""Figures of the shipped int8 embedder, by arithmetic equal to the panel's (models.simulate).

    python -m models.embedder.evaluate --faces ../shared/faces --json

LFW: View 2, ten folds; it tunes nothing. val: persons and families apart from the training's. aaf: persons of
All-Age-Faces kept out of the training, one picture each, impostors of the same gender and 20-year age band;
the shipped threshold was set on the adults among them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from firmware.vision import quality
from host_tools.vision.pixelstats import level, measure
from models.arena import plan_arena
from models.data import load_lfw, load_matcher, shrink
from models.embedder import metrics
from models.graph import Graph
from models.simulate import read_tflite, run

HERE = Path(__file__).resolve().parent


def levelled(faces: np.ndarray) -> np.ndarray:
    """uint8 [n, 96, 96] as the panel's pipeline hands them to the embedder."""
    return np.stack([level(face, *quality.levels(measure(face))) for face in faces])


def embed(graph: Graph, images: np.ndarray, label: str = "") -> np.ndarray:
    """Unit float32 [n, 128] of uint8 faces [n, 112, 112], levelled as on the panel."""
    found = []
    for start in range(0, len(images), 256):
        found.append(run(graph, levelled(shrink(images[start : start + 256])))[0].reshape(-1, 128).astype(np.float32))
        if label:
            print(
                f"\r{label}: {min(start + 256, len(images))}/{len(images)}",
                end="",
                file=sys.stderr,
                flush=True,
            )
    if label:
        print(file=sys.stderr)
    vectors = np.concatenate(found)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-6)


def lfw_figures(graph: Graph, faces: Path, threshold: float) -> dict:
    images, ends, same, fold, names = load_lfw(faces)
    z = embed(graph, images, "LFW")
    scores = (z[ends[:, 0]] * z[ends[:, 1]]).sum(1)
    mean, std = metrics.lfw_accuracy(scores, same, fold)
    persons = np.array([name.split("/")[-2] for name in names])
    first = np.unique(persons, return_index=True)[1]
    limit = metrics.threshold_at(metrics.pair_scores(z[first])[2], 1e-3)
    return {
        "lfw_accuracy": mean,
        "lfw_std": std,
        "lfw_pairs": len(same),
        "lfw_persons": len(first),
        "lfw_tar_far_1e3": metrics.accepted(scores[same], limit),
        "lfw_tar_shipped": metrics.accepted(scores[same], threshold),
        "lfw_far_shipped": metrics.accepted(scores[~same], threshold),
    }


def matcher_figures(graph: Graph, faces: Path, threshold: float) -> dict:
    data = load_matcher(faces)
    rows = data.rows("val")
    left, right, scores = metrics.pair_scores(embed(graph, data.images[rows], "val"))
    same = data.identity[rows][left] == data.identity[rows][right]
    figures = {
        f"val_tar_far_{name}": metrics.accepted(scores[same], metrics.threshold_at(scores[~same], far))
        for name, far in (("1e2", 1e-2), ("1e3", 1e-3))
    }
    figures |= {
        "val_same_pairs": int(same.sum()),
        "val_impostor_pairs": int((~same).sum()),
        "val_tar_shipped": metrics.accepted(scores[same], threshold),
        "val_far_shipped": metrics.accepted(scores[~same], threshold),
    }
    rows = data.rows("aaf_held")
    z = embed(graph, data.images[rows], "All-Age-Faces")
    members = metrics.groups(data.age[rows], data.gender[rows])
    return figures | {"aaf_same_group_fmr": metrics.same_group_rates(z, members, threshold)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=HERE / "embedder.tflite")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--record", action="store_true", help="also keep the figures in manifest.json")
    options = parser.parse_args()
    graph = read_tflite(options.model)
    path = options.model.parent / "manifest.json"
    manifest = json.loads(path.read_text())
    threshold = manifest["threshold_q14"] / metrics.Q14
    figures = lfw_figures(graph, options.faces, threshold) | matcher_figures(graph, options.faces, threshold)
    figures |= {
        "threshold_q14": manifest["threshold_q14"],
        "macs": graph.macs,
        "weights_bytes": graph.weight_bytes,
        "arena_bytes": plan_arena(graph).arena_bytes,
    }
    if options.record:
        path.write_text(json.dumps(manifest | {"figures": figures}, indent=1) + "\n")
    if options.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{key}: {value}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
