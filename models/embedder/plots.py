"""The card's curves, as SVG without any face: detection error trade-off and the distributions of the scores."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from models.embedder import metrics
from models.embedder.evaluate import Measured

plt.rcParams["svg.hashsalt"] = "menshen"  # the same figures, the same bytes


def draw(sets: Measured, threshold: float, folder: Path) -> None:
    """Writes det.svg and scores.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    _, _, val, same = sets.val_pairs()
    adults = [rows for name, rows in sets.groups().items() if metrics.adult(name)]
    group = np.concatenate([metrics.pair_scores(sets.aaf[rows])[2] for rows in adults])
    lfw, friends = sets.lfw_scores, sets.same
    _save(_det({"val": (val[same], val[~same]), "LFW": (lfw[friends], lfw[~friends])}, threshold), folder / "det.svg")
    curves = {
        "val, same person": val[same],
        "val, strangers": val[~same],
        "strangers of one group (All-Age-Faces, adults)": group,
    }
    _save(_scores(curves, threshold), folder / "scores.svg")


def _det(sets: dict[str, tuple[np.ndarray, np.ndarray]], threshold: float):
    figure, axes = plt.subplots(figsize=(5, 4))
    for name, (true, false) in sets.items():
        rates = np.geomspace(max(1e-4, 3 / len(false)), 0.5, 60)
        limits = np.quantile(false, 1 - rates)
        (line,) = axes.plot(rates, [np.mean(true < limit) for limit in limits], label=name)
        axes.plot(np.mean(false >= threshold), np.mean(true < threshold), "o", color=line.get_color())
    axes.set(xscale="log", xlabel="false accepted (strangers)", ylabel="false rejected (same person)", ylim=(0, 1))
    axes.grid(alpha=0.3, which="both")
    axes.legend(title="dots: shipped threshold")
    return figure


def _scores(curves: dict[str, np.ndarray], threshold: float):
    figure, axes = plt.subplots(figsize=(5, 4))
    edges = np.linspace(-0.5, 1, 76)
    for name, scores in curves.items():
        share = np.histogram(scores, edges)[0] / len(scores)
        axes.stairs(share, edges, label=name, fill=False)
    axes.axvline(threshold, color="black", linestyle="--", linewidth=1)
    axes.set(
        xlabel="cosine (dashed: shipped threshold)", ylabel="share of pairs per 0.02", yscale="log", ylim=(1e-6, 1)
    )
    axes.legend(fontsize="small")
    return figure


def _save(figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
