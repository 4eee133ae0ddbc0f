"""The card's curves, as SVG without any face: what is missed, how far points are off, by size and turn of the head."""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from models.detector.data import Frame
from models.detector.metrics import SMALLEST, Found, matches, measure

plt.rcParams["svg.hashsalt"] = "menshen"  # the same figures, the same bytes
_SIZES = (32, 40, 48, 64, 96, 128, 320)
_TURNS = (0, 0.1, 0.2, 0.3, 0.5, 9)


def draw(frames: list[Frame], looks: dict[str, list[list[Found]]], threshold: int, folder: Path) -> None:
    """`looks`: every box of each frame, whatever its score, by how it was found; the last is what ships."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(_curve(frames, looks, threshold), folder / "recall.svg")
    _save(_failures(frames, list(looks.values())[-1], threshold), folder / "failures.svg")


def _curve(frames, looks, threshold):
    figure, axes = plt.subplots(figsize=(5, 4))
    for name, found in looks.items():
        scores = sorted({f.score for every in found for f in every})
        rows = [measure(frames, found, score) for score in scores[:: max(1, len(scores) // 60)]]
        (line,) = axes.plot([r["false_per_100_empty"] for r in rows], [r["recall"] for r in rows], label=name)
    shipped = measure(frames, found, threshold)
    axes.plot(shipped["false_per_100_empty"], shipped["recall"], "o", color=line.get_color())
    axes.set(xlabel="false boxes per 100 empty frames", ylabel="faces found", xlim=(-0.2, 10), ylim=(0.8, 1))
    axes.grid(alpha=0.3)
    axes.legend(title="dot: as shipped")
    return figure


def _failures(frames, found, threshold):
    rows = [m for frame, every in zip(frames, found, strict=True) for m in matches(frame, every, threshold)[0]]
    sizes = np.array([m.face.box[2:].max() for m in rows])
    turns = np.array([m.face.turn for m in rows])
    missed = np.array([m.found is None for m in rows])
    errors = np.array([np.nan if m.error is None else m.error for m in rows])
    figure, places = plt.subplots(2, 2, figsize=(8, 6))
    columns = (
        (sizes, _SIZES, f"face, px ({SMALLEST} and more)"),
        (turns, _TURNS, "turn: nose off the middle, eye distances"),
    )
    for column, (values, edges, label) in enumerate(columns):
        bins = [(values >= low) & (values < high) for low, high in itertools.pairwise(edges)]
        names = [
            f"{low:g}-{high:g}\nn={b.sum()}" for (low, high), b in zip(itertools.pairwise(edges), bins, strict=True)
        ]
        places[0, column].bar(names, [100 * missed[b].mean() if b.any() else 0 for b in bins])
        places[0, column].set(ylabel="missed, %")
        off = [100 * errors[b & ~np.isnan(errors)] for b in bins]
        places[1, column].boxplot([o if len(o) else [0] for o in off], tick_labels=names, showfliers=False)
        places[1, column].set(ylabel="landmark error, % of eye distance", xlabel=label, ylim=(0, None))
        for row in (0, 1):
            places[row, column].tick_params(labelsize=7)
    return figure


def _save(figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
