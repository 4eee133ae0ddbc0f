"""Door-like figures on made-up embeddings, and the layout of one's own pictures."""

import numpy as np
import pytest

from models.embedder.door import door_figures
from models.embedder.own import kept_back


def made_up(noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Twelve persons of eight or nine pictures: directions of their own, with noise."""
    rng = np.random.default_rng(5)
    identity = np.repeat([f"p{n}" for n in range(12)], [8 + n % 2 for n in range(12)])
    z = np.eye(128)[np.unique(identity, return_inverse=True)[1]] + noise * rng.standard_normal((len(identity), 128))
    return z / np.linalg.norm(z, axis=1, keepdims=True), identity


def test_clear_faces_pass_and_strangers_do_not():
    figures = door_figures(*made_up(0.01), threshold=0.5)
    assert figures["sample"]["enrolled"] == 12
    for rates in figures["templates"].values():
        assert rates["frame_tar"] == rates["vote_tar"] == 1
        assert rates["frame_far"] == rates["vote_far"] == 0


def test_templates_help_and_the_vote_keeps_strangers_out():
    figures = door_figures(*made_up(0.1), threshold=0.5)["templates"]
    assert figures["1"]["frame_tar"] < figures["3"]["frame_tar"] < figures["5"]["frame_tar"]
    assert all(rates["vote_far"] <= rates["frame_far"] for rates in figures.values())


def test_every_fifth_person_is_kept_back_unless_listed(tmp_path):
    persons = [f"p{n}" for n in range(20)]
    chosen = kept_back(tmp_path, persons)
    assert len(chosen) == 4 and chosen == kept_back(tmp_path, persons[::-1])
    (tmp_path / "val.txt").write_text("p3\np7\nstranger\n")
    assert kept_back(tmp_path, persons) == {"p3", "p7"}


def test_too_few_persons_are_refused(tmp_path):
    from models.embedder import own

    (tmp_path / "alone").mkdir()
    with pytest.raises(ValueError, match="fewer than two persons"):
        own.load(tmp_path)
