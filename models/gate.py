"""Evidence for the face quality gate: whom it refuses and why, and what the faces that it refuses would have done.

    python -m models.gate --faces ../shared/faces [--json]

Pictures: the labelled faces of all detection frames, by their labelled points. Harm: 400 `val` pictures made worse at
96x96, compared with the person's other, untouched pictures at the threshold of one false acceptance in 100.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from firmware.base.errors import PoorQuality
from firmware.vision import quality
from firmware.vision.align import SIDE, halved, is_large, similarity
from host_tools.vision.image import half2x2, warp
from host_tools.vision.pixelstats import measure
from models.data import inner, load_matcher
from models.detector.data import fit, read_frames
from models.embedder import metrics
from models.embedder.evaluate import HERE, int8_net, levelled
from models.simulate import read_tflite

LEVELS = {"strict": quality.STRICT, "lenient": quality.LENIENT}
_PICTURES = 400
_FAR = 1e-2

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


HARM: dict[str, Callable[[Grey], Grey]] = {
    "as it is": lambda face: face,
    **{f"blur, sigma {sigma} px": _blurred(sigma) for sigma in (1.0, 1.5, 2.0, 2.5, 3.0)},
    **{f"light x {gain}": _exposed(gain) for gain in (0.1, 0.2, 0.35, 0.6, 1.5, 2.0, 3.0)},
}


def harm(faces: Path) -> dict:
    """Per kind of harm: share of true pairs accepted (all, and those that pass), and shares that pass the gate."""
    data = load_matcher(faces)
    rows = data.rows("val")
    images, names = inner(data.images[rows]), data.identity[rows]
    net = int8_net(read_tflite(HERE / "embedder.tflite"))

    def unit(pixels: np.ndarray) -> np.ndarray:
        z = net(levelled(pixels))
        return z / np.linalg.norm(z, axis=1, keepdims=True).clip(1e-6)

    clean = unit(images)
    left, right, scores = metrics.pair_scores(clean)
    limit = metrics.threshold_at(scores[names[left] != names[right]], _FAR)
    _, sizes = np.unique(names, return_inverse=True, return_counts=True)[1:]
    probes = np.flatnonzero(sizes[np.unique(names, return_inverse=True)[1]] > 1)
    probes = np.random.default_rng(1).choice(probes, min(_PICTURES, len(probes)), replace=False)
    true = (names[probes][:, None] == names[None]) & (probes[:, None] != np.arange(len(names))[None])
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True, help="folder with detect/ and matcher/ in it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = {"frames": frames_judged(options.faces), "harm": harm(options.faces)}
    if options.json:
        print(json.dumps(report))
        return 0
    for level, hints in report["frames"].items():
        print(f"{level}: " + ", ".join(f"{hint} {100 * share:.1f} %" for hint, share in hints.items()))
    for name, figures in report["harm"].items():
        shares = ("-" if v is None else f"{100 * v:.1f} %" for v in figures.values())
        print(f"{name:20} | " + " | ".join(shares))
    return 0


if __name__ == "__main__":
    sys.exit(main())
