"""Verification figures from unit embeddings: plain numpy, no data loading."""

from __future__ import annotations

import numpy as np

Q14 = 1 << 14
BANDS = ((0, 12), (13, 19), (20, 39), (40, 59), (60, 120))
ADULT = 20


def pair_scores(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and cosine of every pair of different rows."""
    rows, columns = np.triu_indices(len(embeddings), 1)
    return rows, columns, (embeddings @ embeddings.T)[rows, columns]


def threshold_at(impostors: np.ndarray, far: float) -> float:
    """The cosine that a share `far` of the impostor scores reaches."""
    return float(np.quantile(impostors, 1 - far))


def accepted(scores: np.ndarray, threshold: float) -> float:
    return float(np.mean(scores >= threshold))


def lfw_accuracy(scores: np.ndarray, same: np.ndarray, fold: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation over the folds; each fold's threshold is the best one on the others."""
    found = []
    for part in np.unique(fold):
        limit = _best_threshold(scores[fold != part], same[fold != part])
        found.append(np.mean((scores[fold == part] >= limit) == same[fold == part]))
    return float(np.mean(found)), float(np.std(found))


def _best_threshold(scores: np.ndarray, same: np.ndarray) -> float:
    order = np.argsort(scores)
    right = np.concatenate([[0], np.cumsum(np.where(same[order], -1, 1))])  # gain of rejecting the lowest k
    k = int(np.argmax(right))
    low = scores[order[k - 1]] if k else -1.0
    high = scores[order[k]] if k < len(order) else 1.0
    return float(low + high) / 2


def groups(age: np.ndarray, gender: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of each gender and age band, as "women 20-39"."""
    words = {"F": "women", "M": "men"}
    return {
        f"{word} {low}-{high}": np.flatnonzero((gender == letter) & (age >= low) & (age <= high))
        for letter, word in words.items()
        for low, high in BANDS
    }


def adult(group: str) -> bool:
    return int(group.split()[1].split("-")[0]) >= ADULT


def same_group_threshold(embeddings: np.ndarray, members: dict[str, np.ndarray], fmr: float) -> float:
    """The cosine at which the adult groups' false match rates average `fmr`, each group counting the same."""
    scores = [pair_scores(embeddings[rows])[2] for name, rows in members.items() if adult(name)]
    low, high = -1.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if np.mean([accepted(s, middle) for s in scores]) > fmr:
            low = middle
        else:
            high = middle
    return high


def same_group_rates(embeddings: np.ndarray, members: dict[str, np.ndarray], threshold: float) -> dict[str, dict]:
    report = {}
    for name, rows in members.items():
        scores = pair_scores(embeddings[rows])[2]
        report[name] = {
            "persons": len(rows),
            "pairs": len(scores),
            "fmr": accepted(scores, threshold) if len(scores) else None,
        }
    return report
