"""The card's plots, as SVG without any face: detection error trade-off, distributions of the scores, what fails."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from models.embedder import metrics
from models.embedder.evaluate import Measured
from models.plotting import save

_CAUSES = {
    "sharpness_of_the_blurrier": "sharpness of\nthe blurrier picture",
    "light_of_the_darker": "light of\nthe darker picture",
    "difference_of_light": "difference of light\nbetween the two",
}


def draw(sets: Measured, threshold: float, failures: dict, folder: Path) -> None:
    """Writes det.svg, scores.svg and failures.svg; `failures` as `evaluate.failures` reports them."""
    folder.mkdir(parents=True, exist_ok=True)
    _, _, val, same = sets.val_pairs()
    adults = [rows for name, rows in sets.groups().items() if metrics.adult(name)]
    group = np.concatenate([metrics.pair_scores(sets.aaf[rows])[2] for rows in adults])
    lfw, friends = sets.lfw_scores, sets.same
    save(_det({"val": (val[same], val[~same]), "LFW": (lfw[friends], lfw[~friends])}, threshold), folder / "det.svg")
    curves = {
        "val, same person": val[same],
        "val, strangers": val[~same],
        "strangers of one group (All-Age-Faces, adults)": group,
    }
    save(_scores(curves, threshold), folder / "scores.svg")
    save(_failures(failures), folder / "failures.svg")


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


def _failures(report: dict):
    """Of val's true pairs the share refused, by thirds of what may explain it."""
    figure, axes = plt.subplots(figsize=(6, 3.2))
    for third, name in enumerate(("lowest third", "middle", "highest third")):
        shares = [100 * report[cause]["refused_low_middle_high"][third] for cause in _CAUSES]
        axes.bar(np.arange(len(_CAUSES)) + 0.27 * (third - 1), shares, 0.25, label=name)
    axes.axhline(100 * report["refused"], color="black", linestyle="--", linewidth=1)
    axes.set_xticks(range(len(_CAUSES)), list(_CAUSES.values()))
    axes.set(ylabel=f"refused of {report['pairs']:,} true pairs, %")
    axes.legend(fontsize="small", ncols=3, loc="lower center")
    return figure
