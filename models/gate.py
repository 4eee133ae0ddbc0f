"""Evidence for the face quality gate: whom it refuses and why, and what the faces that it refuses would have done.

    python -m models.gate --faces ../shared/faces [--json]

Pictures: the labelled faces of all detection frames, by their labelled points. Harm: 400 `val` pictures made worse at
96x96, compared with the person's other, untouched pictures at the threshold of one false acceptance in 100. Pose: all
`val` pictures by the turn and the nod of the head, from points by the closer look, at the same threshold.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from firmware.base.errors import PoorQuality
from firmware.vision import closeup, quality
from firmware.vision.align import SIDE, halved, is_large, similarity
from host_tools.vision.image import half2x2, warp
from host_tools.vision.pixelstats import measure
from models.data import STORED_SIDE, inner, load_matcher
from models.detector.data import fit, read_frames
from models.embedder import metrics
from models.embedder.evaluate import HERE, int8_net, levelled
from models.runtime import Int8Model
from models.simulate import read_tflite

LEVELS = {"strict": quality.STRICT, "lenient": quality.LENIENT}
_PICTURES = 400
_FAR = 1e-2
_EYES = 35.2  # pixels between the eyes at 96x96
_TURNS, _NODS = (0, 0.1, 0.2, 0.3, 0.4, 9), (-9, 0.3, 0.4, 0.5, 0.6, 0.72, 9)

Grey = np.ndarray  # uint8 [96, 96]


def frames_judged(faces: Path) -> dict:
    """Per level, the share of faces that get each hint."""
    hints: dict[str, Counter[str]] = {name: Counter() for name in LEVELS}
    for frame in map(fit, read_frames(faces, ("train", "tune", "held"))):
        for face in frame.faces:
            points = tuple((round(16 * x), round(16 * y)) for x, y in face.points.tolist())
            for name, limits in LEVELS.items():
                hints[name][quality.HINTS[_judge(frame.pixels, points, limits)] or "good"] += 1
    return {name: {hint: n / sum(c.values()) for hint, n in c.most_common()} for name, c in hints.items()}


def _judge(pixels: np.ndarray, points: tuple, limits: quality.Limits) -> int:
    hint = quality.judge_landmarks(points, limits)
    if hint:
        return hint
    try:
        transform = similarity(points)
    except PoorQuality:
        return quality.LOOK_STRAIGHT
    hint = quality.judge_place(transform, pixels.shape[1], pixels.shape[0])
    if hint:
        return hint
    large = is_large(transform)
    face = warp(half2x2(pixels) if large else pixels, halved(transform) if large else transform, SIDE)
    return quality.judge_pixels(measure(face), limits)


def _blurred(sigma: float) -> Callable[[Grey], Grey]:
    return lambda face: np.asarray(Image.fromarray(face).filter(ImageFilter.GaussianBlur(sigma)))


def _exposed(gain: float) -> Callable[[Grey], Grey]:
    """Less or more light, clipped, with the sensor noise of a dim camera (2 grey levels)."""
    rng = np.random.default_rng(1)
    return lambda face: np.clip(face * gain + rng.normal(0, 2, face.shape), 0, 255).astype(np.uint8)


def _small(eyes: int) -> Callable[[Grey], Grey]:
    """As seen from further away, with so many pixels between the eyes."""
    side = round(SIDE * eyes / _EYES)

    def spoil(face: Grey) -> Grey:
        small = Image.fromarray(face).resize((side, side), Image.Resampling.BOX)
        return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BILINEAR))

    return spoil


HARM: dict[str, Callable[[Grey], Grey]] = {
    "as it is": lambda face: face,
    **{f"blur, sigma {sigma} px": _blurred(sigma) for sigma in (1.0, 1.5, 2.0, 2.5, 3.0)},
    **{f"eyes {eyes} px apart": _small(eyes) for eyes in (8, 10, 13, 18, 24)},
    **{f"light x {gain}": _exposed(gain) for gain in (0.1, 0.2, 0.35, 0.6, 1.5, 2.0, 3.0)},
}


class Val:
    """The `val` pictures, their untouched embeddings, and the cosine that lets one stranger in 100 pass."""

    def __init__(self, faces: Path):
        data = load_matcher(faces)
        rows = data.rows("val")
        self.stored, self.names = np.asarray(data.images[rows]), data.identity[rows]
        self.images = inner(self.stored)
        self._net = int8_net(read_tflite(HERE / "embedder.tflite"))
        self.clean = self.unit(self.images)
        left, right, scores = metrics.pair_scores(self.clean)
        self.limit = metrics.threshold_at(scores[self.names[left] != self.names[right]], _FAR)

    def unit(self, pixels: np.ndarray) -> np.ndarray:
        z = self._net(levelled(pixels))
        return z / np.linalg.norm(z, axis=1, keepdims=True).clip(1e-6)

    def true_pairs(self, probes: np.ndarray) -> np.ndarray:
        same = self.names[probes][:, None] == self.names[None]
        return same & (probes[:, None] != np.arange(len(self.names))[None])


def harm(val: Val) -> dict:
    """Per kind of harm: share of true pairs accepted (all, and those that pass), and shares that pass the gate."""
    images, names, unit, clean, limit = val.images, val.names, val.unit, val.clean, val.limit
    _, sizes = np.unique(names, return_inverse=True, return_counts=True)[1:]
    probes = np.flatnonzero(sizes[np.unique(names, return_inverse=True)[1]] > 1)
    probes = np.random.default_rng(1).choice(probes, min(_PICTURES, len(probes)), replace=False)
    true = val.true_pairs(probes)
    report = {}
    for name, spoil in HARM.items():
        spoilt = np.stack([spoil(images[n]) for n in probes])
        passed = unit(spoilt) @ clean.T >= limit
        stats = [measure(face) for face in spoilt]
        report[name] = {"true_accepted": float(passed[true].mean())}
        for level, limits in LEVELS.items():
            good = np.array([quality.judge_pixels(s, limits) == quality.OK for s in stats])
            kept = passed[good][true[good]]
            report[name] |= {
                f"{level}_pass": float(good.mean()),
                f"{level}_pass_true_accepted": float(kept.mean()) if len(kept) else None,
            }
    return report


def pose(val: Val) -> dict:
    """By turn (nose off the middle of the eyes, in eye distances) and nod (where the nose lies from eyes to mouth):
    pictures, and true pairs accepted."""
    passed, true = val.clean @ val.clean.T >= val.limit, val.true_pairs(np.arange(len(val.names)))
    turns, nods = np.array([_turn_and_nod(points) for points in _points(val.stored)]).T
    report: dict = {"turn": [], "nod": []}
    for name, values, edges in (("turn", turns, _TURNS), ("nod", nods, _NODS)):
        for low, high in itertools.pairwise(edges):
            rows = (values >= low) & (values < high)
            accepted = passed[rows][true[rows]]
            share = float(accepted.mean()) if len(accepted) else None
            report[name].append({"from": low, "to": high, "pictures": int(rows.sum()), "true_accepted": share})
    return report


def _points(stored: np.ndarray) -> np.ndarray:
    """The closer look's, in aligned 112x112 pictures."""
    net = Int8Model(HERE.parent / "closeup" / "closeup.tflite")
    scale = 65536 * STORED_SIDE // SIDE
    a, b, tx, ty = 9 * scale // 4, 0, -5 * scale, 8 * scale
    outs = (net.run(warp(picture, (a, b, tx, ty), closeup.SIDE))[0].ravel().tolist() for picture in stored)
    return np.array([closeup.points_in_frame(out, (a, b, tx, ty)) for out in outs], float)


def _turn_and_nod(points: np.ndarray) -> tuple[float, float]:
    """As quality.judge_landmarks has them, of 1."""
    right, left, nose = points[:3]
    eyes, middle, mouth = left - right, (right + left) / 2, (points[3] + points[4]) / 2
    along, square = abs(np.dot(nose - middle, eyes)), np.dot(eyes, eyes)
    across = np.array([-eyes[1], eyes[0]])
    return along / square, np.dot(nose - middle, across) / np.dot(mouth - middle, across)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True, help="folder with detect/ and matcher/ in it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    val = Val(options.faces)
    report = {"frames": frames_judged(options.faces), "harm": harm(val), "pose": pose(val)}
    if options.json:
        print(json.dumps(report))
        return 0
    for level, hints in report["frames"].items():
        print(f"{level}: " + ", ".join(f"{hint} {100 * share:.1f} %" for hint, share in hints.items()))
    for name, figures in report["harm"].items():
        shares = ("-" if v is None else f"{100 * v:.1f} %" for v in figures.values())
        print(f"{name:20} | " + " | ".join(shares))
    for name, rows in report["pose"].items():
        for row in rows:
            share = "-" if row["true_accepted"] is None else f"{100 * row['true_accepted']:.1f} %"
            print(f"{name} {row['from']} to {row['to']}: {row['pictures']} pictures, {share} of true pairs accepted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
