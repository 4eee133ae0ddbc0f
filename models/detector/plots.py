"""The card's plots, as SVG without any face: recall over false boxes, and what is missed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from models.detector.data import Frame
from models.detector.metrics import Found, match, measure, point_error
from models.plotting import save

_SIZES = (32, 40, 48, 64, 96, 320)
_MOST_FALSE = 10.0  # boxes per 100 empty frames

Labelled = tuple[Sequence[Frame], Sequence[list[Found]]]  # frames, and all boxes found in them


def draw(every: Labelled, checked: Labelled, threshold: int, folder: Path) -> None:
    """Writes froc.svg and failures.svg. every: by the teacher's labels; checked: the frames corrected by eye."""
    folder.mkdir(parents=True, exist_ok=True)
    save(_froc({"teacher's labels": every, "checked by eye": checked}, threshold), folder / "froc.svg")
    save(_failures(every, threshold), folder / "failures.svg")


def _froc(sets: dict[str, Labelled], threshold: int):
    figure, axes = plt.subplots(figsize=(5, 4))
    for name, labelled in sets.items():
        scores = sorted({box.score for boxes in labelled[1] for box in boxes}, reverse=True)
        curve = np.array([rates for t in scores if (rates := _rates(labelled, t))[0] <= _MOST_FALSE])
        (line,) = axes.plot(curve[:, 0], curve[:, 1], label=name, drawstyle="steps-post")
        axes.plot(*_rates(labelled, threshold), "o", color=line.get_color())
    axes.set(xlabel="false boxes per 100 empty frames", ylabel="faces of 32 px or more found", ylim=(0.7, 1))
    axes.grid(alpha=0.3)
    axes.legend(title="dots: shipped threshold", loc="lower right")
    return figure


def _rates(labelled: Labelled, threshold: int) -> tuple[float, float]:
    """False boxes per 100 empty frames, and recall."""
    figures = measure(*labelled, threshold)
    return figures["false_per_100_empty"], figures["recall"]


def _failures(labelled: Labelled, threshold: int):
    found = []  # source, size, error or None where missed
    for frame, boxes in zip(*labelled, strict=True):
        for face, box in match(frame, [b for b in boxes if b.score >= threshold])[0]:
            error = None if box is None else 100 * point_error(box.points, face.points)
            found.append((frame.source, float(face.box[2:].max()), error))
    sizes = [(f"{low}-{high - 1}", low, high) for low, high in itertools.pairwise(_SIZES)]
    by_size = {name: [e for _, s, e in found if low <= s < high] for name, low, high in sizes}
    by_source = {name: [e for source, _, e in found if source == name] for name in sorted({f[0] for f in found})}
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 3.2))
    for axes, groups, title in ((left, by_size, "longer side, px"), (middle, by_source, "source")):
        shares = [100 * np.mean([e is None for e in errors]) for errors in groups.values()]
        bars = axes.bar(list(groups), shares)
        axes.bar_label(bars, [f"of {len(errors)}" for errors in groups.values()], fontsize="small")
        axes.set(xlabel=title, ylabel="missed, %")
        axes.margins(y=0.15)
    right.boxplot([[e for e in errors if e is not None] for errors in by_size.values()], showfliers=False)
    right.set_xticks(range(1, len(by_size) + 1), list(by_size))
    right.set(xlabel="longer side, px", ylabel="landmark error, % of eye distance")
    return figure
