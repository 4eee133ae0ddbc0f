"""How the embedder does as a door uses it: several templates a person, several frames an attempt, a vote.

As the panel has it (firmware/biometrics): a frame's score for a person is that of the nearest template; two of three
frames must reach the threshold. The pictures of a person are years, light and pose apart, so they are a harder test
than three frames of one visit; and the vote gains more from them, because successive frames fail together.
"""

from __future__ import annotations

import numpy as np

TEMPLATES = (1, 3, 5)
FRAMES, NEEDED = 3, 2
ROUNDS = 20  # random divisions of each person's pictures
FLAT = 4  # residents of one flat


def door_figures(z: np.ndarray, identity: np.ndarray, threshold: float, seed: int = 1) -> dict:
    """Rates at `threshold` per number of templates, from unit embeddings `z` and their identities.

    Enrolled: everybody with pictures for the most templates and an attempt. Impostors: everybody with an attempt's
    pictures, against each person that they are not.
    """
    rng = np.random.default_rng(seed)
    persons = [np.flatnonzero(identity == name) for name in np.unique(identity)]
    persons = [rows for rows in persons if len(rows) >= FRAMES]
    enrolled = [n for n, rows in enumerate(persons) if len(rows) >= max(TEMPLATES) + FRAMES]
    sums: dict[str, dict[str, list[float]]] = {}
    for _ in range(ROUNDS):
        mixed = [rng.permutation(rows) for rows in persons]
        attempts = np.stack([rows[-FRAMES:] for rows in mixed])
        for count in TEMPLATES:
            gallery = np.stack([mixed[n][:count] for n in enrolled])
            scores = np.einsum("pfd,gtd->pfgt", z[attempts], z[gallery], optimize=True).max(3)
            for key, value in _rates(scores, np.array(enrolled), threshold, rng).items():
                sums.setdefault(str(count), {}).setdefault(key, []).append(value)
    rates = {count: {key: float(np.mean(v)) for key, v in columns.items()} for count, columns in sums.items()}
    sample = {"enrolled": len(enrolled), "persons": len(persons), "rounds": ROUNDS, "frames": FRAMES, "needed": NEEDED}
    return {"sample": sample, "templates": rates}


def _rates(scores: np.ndarray, enrolled: np.ndarray, threshold: float, rng: np.random.Generator) -> dict[str, float]:
    """scores: person, frame, enrolled person. One round's shares; "vote" is of attempts, "frame" of single frames."""
    own = np.zeros((scores.shape[0], scores.shape[2]), bool)
    own[enrolled, np.arange(len(enrolled))] = True
    true, false = scores.transpose(0, 2, 1)[own], scores.transpose(0, 2, 1)[~own]  # [pairs, frames]
    voted = np.sort(scores, axis=1)[:, -NEEDED]  # the score that NEEDED frames of the attempt reach
    strangers = np.setdiff1d(np.arange(len(scores)), enrolled)
    few = rng.permutation(len(enrolled))[: len(enrolled) // FLAT * FLAT].reshape(-1, FLAT)
    rates = {
        "frame_tar": float(np.mean(true >= threshold)),
        "frame_far": float(np.mean(false >= threshold)),
        "frame_tar_at_far_1e3": float(np.mean(true >= np.quantile(false, 1 - 1e-3))),
        "vote_tar": float(np.mean(voted[own] >= threshold)),
        "vote_far": float(np.mean(voted[~own] >= threshold)),
        "vote_tar_at_far_1e3": float(np.mean(voted[own] >= np.quantile(voted[~own], 1 - 1e-3))),
    }
    if len(strangers):
        rates["vote_far_one_to_few"] = float(np.mean(voted[strangers][:, few].max(2) >= threshold))
        rates["vote_far_one_to_many"] = float(np.mean(voted[strangers].max(1) >= threshold))
    return rates
