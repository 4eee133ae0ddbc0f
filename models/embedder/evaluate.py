"""Figures of the shipped int8 embedder, by arithmetic equal to the panel's (models.simulate).

    python -m models.embedder.evaluate --faces ../shared/faces --json

With --float CHECKPOINT the float net of a training (it needs torch) is measured by the same code instead; the
difference is what quantisation costs. --harmed (it needs torch, too) adds pairs with pictures that the training's
augmentation has made worse. --plots FOLDER draws the curves of the card.

LFW: View 2, ten folds; it tunes nothing. val: persons and families apart from the training's. aaf: persons of
All-Age-Faces kept out of the training, one picture each, impostors of the same gender and 20-year age band;
the shipped threshold was set on the adults among them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from firmware.vision import quality
from host_tools.vision.pixelstats import level, measure
from models.arena import plan_arena
from models.data import CACHE, Faces, inner, load_lfw, load_matcher
from models.embedder import metrics
from models.embedder.door import door_figures
from models.graph import Graph
from models.simulate import read_tflite, run

HERE = Path(__file__).resolve().parent
_HARM, _HARM_SEED = 0.8, 1  # the augmentation's strength, more than the training's


def levelled(faces: np.ndarray) -> np.ndarray:
    """uint8 [n, 96, 96] as the panel's pipeline hands them to the embedder."""
    return np.stack([level(face, *quality.levels(measure(face))) for face in faces])


Embed = Callable[[np.ndarray], np.ndarray]  # uint8 [n, 96, 96], levelled, to [n, 128]


def embed(graph: Graph, images: np.ndarray, label: str = "") -> np.ndarray:
    """Unit float32 [n, 128] of uint8 faces [n, 112, 112], levelled as on the panel."""
    return embed_by(int8_net(graph), images, label)


def int8_net(graph: Graph) -> Embed:
    return lambda pixels: run(graph, pixels)[0].reshape(-1, 128).astype(np.float32)


def float_net(checkpoint: Path) -> Embed:
    """The float phase's net, batch normalisation and all."""
    import torch

    from models.embedder.train import restore

    net = restore(torch.load(checkpoint, weights_only=True)).eval()

    @torch.no_grad()
    def embed_float(pixels: np.ndarray) -> np.ndarray:
        return net(torch.from_numpy(pixels.astype(np.float32))[:, None] / 256).numpy()

    return embed_float


def embed_by(net: Embed, images: np.ndarray, label: str = "") -> np.ndarray:
    found = []
    for start in range(0, len(images), 256):
        found.append(net(levelled(inner(images[start : start + 256]))))
        if label:
            done = f"\r{label}: {min(start + 256, len(images))}/{len(images)}"
            print(done, end="", file=sys.stderr, flush=True)
    if label:
        print(file=sys.stderr)
    vectors = np.concatenate(found)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-6)


@dataclass
class Measured:
    """The three test sets with their embeddings, `z`, and what is known of their pictures."""

    lfw: np.ndarray
    ends: np.ndarray  # per LFW pair its two rows
    same: np.ndarray
    fold: np.ndarray
    lfw_names: np.ndarray
    faces: Faces
    val: np.ndarray
    aaf: np.ndarray

    @classmethod
    def by(cls, net: Embed, key: str, folder: Path) -> Measured:
        """Embeds all three sets, or takes them from the cache under the key of a network."""
        faces = load_matcher(folder)
        images, ends, same, fold, names = load_lfw(folder)
        path = CACHE / f"measured_{key}.npz"
        if path.exists():
            kept = np.load(path)
            z = kept["lfw"], kept["val"], kept["aaf"]
        else:
            val, aaf = faces.images[faces.rows("val")], faces.images[faces.rows("aaf_held")]
            z = embed_by(net, images, "LFW"), embed_by(net, val, "val"), embed_by(net, aaf, "All-Age-Faces")
            CACHE.mkdir(parents=True, exist_ok=True)
            np.savez(path, lfw=z[0], val=z[1], aaf=z[2])
        return cls(z[0], ends, same, fold, names, faces, z[1], z[2])

    @property
    def lfw_scores(self) -> np.ndarray:
        return (self.lfw[self.ends[:, 0]] * self.lfw[self.ends[:, 1]]).sum(1)

    @property
    def val_identity(self) -> np.ndarray:
        return self.faces.identity[self.faces.rows("val")]

    def val_pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Two rows within val, cosine, and whether they show the same person."""
        left, right, scores = metrics.pair_scores(self.val)
        return left, right, scores, self.val_identity[left] == self.val_identity[right]

    def groups(self) -> dict[str, np.ndarray]:
        rows = self.faces.rows("aaf_held")
        return metrics.groups(self.faces.age[rows], self.faces.gender[rows])


def lfw_figures(sets: Measured, threshold: float) -> dict:
    scores, same = sets.lfw_scores, sets.same
    mean, std = metrics.lfw_accuracy(scores, same, sets.fold)
    persons = np.array([name.split("/")[-2] for name in sets.lfw_names])
    first = np.unique(persons, return_index=True)[1]
    limit = metrics.threshold_at(metrics.pair_scores(sets.lfw[first])[2], 1e-3)
    return {
        "lfw_accuracy": mean,
        "lfw_std": std,
        "lfw_pairs": len(same),
        "lfw_persons": len(first),
        "lfw_tar_far_1e3": metrics.accepted(scores[same], limit),
        "lfw_tar_shipped": metrics.accepted(scores[same], threshold),
        "lfw_far_shipped": metrics.accepted(scores[~same], threshold),
    }


def matcher_figures(sets: Measured, threshold: float) -> dict:
    left, right, scores, same = sets.val_pairs()
    figures = accepted_at("val", scores, same) | {
        "val_same_pairs": int(same.sum()),
        "val_impostor_pairs": int((~same).sum()),
        "val_tar_shipped": metrics.accepted(scores[same], threshold),
        "val_far_shipped": metrics.accepted(scores[~same], threshold),
    }
    images = sets.faces.images[sets.faces.rows("val")]
    figures["val_failures"] = failures(images, left[same], right[same], scores[same] < threshold)
    return figures | {"aaf_same_group_fmr": metrics.same_group_rates(sets.aaf, sets.groups(), threshold)}


def accepted_at(name: str, scores: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """Share of the same pairs that pass where 1 % and 0.1 % of the others do."""
    return {
        f"{name}_tar_far_{label}": metrics.accepted(scores[same], metrics.threshold_at(scores[~same], far))
        for label, far in (("1e2", 1e-2), ("1e3", 1e-3))
    }


def failures(images: np.ndarray, left: np.ndarray, right: np.ndarray, refused: np.ndarray) -> dict:
    """Share of true pairs refused, by thirds of what may explain it: blur and light of the pair's worse picture."""
    stats = [measure(face) for face in inner(images)]
    light = np.array([s[0] / (56 * 48) for s in stats])
    sharp = np.array([quality.sharpness(s) for s in stats])
    strict = np.array([quality.judge_pixels(s, quality.STRICT) == quality.OK for s in stats])
    causes = {
        "sharpness_of_the_blurrier": np.minimum(sharp[left], sharp[right]),
        "light_of_the_darker": np.minimum(light[left], light[right]),
        "difference_of_light": np.abs(light[left] - light[right]),
    }
    report: dict = {"pairs": len(refused), "refused": float(refused.mean())}
    for name, values in causes.items():
        cuts = np.quantile(values, (1 / 3, 2 / 3))
        third = np.searchsorted(cuts, values)
        shares = [float(refused[third == n].mean()) for n in range(3)]
        report[name] = {"cuts": [float(c) for c in cuts], "refused_low_middle_high": shares}
    both = strict[left] & strict[right]
    report["both_pass_strict_light_and_blur"] = {"pairs": int(both.sum()), "refused": float(refused[both].mean())}
    return report


def harmed_figures(net: Embed, images: np.ndarray, clean: np.ndarray, identity: np.ndarray) -> dict:
    """True accepted where one picture of a pair, or both, met distance, blur, light, covers, glasses, noise or JPEG.

    images: uint8 [n, 112, 112]; clean: their unit embeddings [n, 128].
    """
    import torch

    from models.embedder.augment import whole

    views = whole(torch.from_numpy(np.array(images)), torch.Generator().manual_seed(_HARM_SEED), _HARM)
    harmed = embed_by(net, (views[:, 0] * 256).to(torch.uint8).numpy(), "harmed")
    left, right = np.triu_indices(len(images), 1)
    same = identity[left] == identity[right]
    one, both = ((first @ harmed.T)[left, right] for first in (clean, harmed))
    return accepted_at("val_one_harmed", one, same) | accepted_at("val_both_harmed", both, same)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=HERE / "embedder.tflite")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--float", type=Path, metavar="CHECKPOINT", help="measure this float net instead")
    parser.add_argument("--harmed", action="store_true", help="also pairs with pictures made worse")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="also draw the card's curves there")
    parser.add_argument("--record", action="store_true", help="also keep the figures in manifest.json")
    options = parser.parse_args()
    graph = read_tflite(options.model)
    path = options.model.parent / "manifest.json"
    manifest = json.loads(path.read_text())
    threshold = manifest["threshold_q14"] / metrics.Q14
    source = options.float or options.model
    key = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    net = float_net(options.float) if options.float else int8_net(graph)
    sets = Measured.by(net, key, options.faces)
    figures = lfw_figures(sets, threshold) | matcher_figures(sets, threshold)
    figures["door"] = door_figures(sets.val, sets.val_identity, threshold)
    if options.harmed:
        images = sets.faces.images[sets.faces.rows("val")]
        figures |= harmed_figures(net, images, sets.val, sets.val_identity)
    if options.plots:
        from models.embedder.plots import draw

        draw(sets, threshold, figures["val_failures"], options.plots)
    figures |= {
        "threshold_q14": manifest["threshold_q14"],
        "macs": graph.macs,
        "weights_bytes": graph.weight_bytes,
        "arena_bytes": plan_arena(graph).arena_bytes,
    }
    if options.record and not options.float:
        path.write_text(json.dumps(manifest | {"figures": figures}, indent=1) + "\n")
    if options.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{key}: {value}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
