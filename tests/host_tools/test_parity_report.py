"""The comparison of the ways in: what is flagged, what is chance, and that the drawing is a drawing."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from host_tools.parity import Way, plot, unequal, way

BINS_MS = [250, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000, 20000]


def month(kind: str, mean_s: float, opened: int = 100, failed: int = 0, door: str = "lobby") -> Way:
    return Way(door, 202611, kind, opened, failed, mean_s, 2 * mean_s)


@pytest.mark.parametrize(
    ("face", "other", "flagged"),
    [
        (month("face", 3.0), month("card", 0.3), 0),
        (month("face", 3.0), month("pin", 5.0), 0),
        (month("face", 3.0), month("pin", 5.1), 1),
        (month("face", 3.0), month("card", 1.0, opened=80, failed=20), 1),
        (month("face", 3.0, opened=80, failed=20), month("card", 1.0, opened=78, failed=22), 0),
        (month("face", 3.0), month("pin", 9.0, opened=70, failed=30), 2),
        (month("face", 3.0), month("pin", 9.0, opened=5), 0),
        (month("face", 3.0), month("pin", 9.0, door="garage"), 0),
    ],
    ids=["faster", "2 s", "slower", "fails more", "fails alike", "both", "too few to tell", "another door"],
)
def test_a_door_is_flagged_when_another_way_is_worse(face: Way, other: Way, flagged: int) -> None:
    found = unequal([other, face])
    assert len(found) == flagged
    assert all(sentence.startswith("lobby, 2026-11: the ") for sentence in found)


def test_a_panels_row_becomes_seconds() -> None:
    bins = [0] * 12
    bins[6], bins[7] = 8, 2
    row = {"month": 202611, "kind": "pin", "opened": 10, "failed": 2, "total_ms": 41_000, "bins": bins}
    found = way("lobby", row, BINS_MS)
    assert (found.mean_s, found.p90_s, found.attempts) == (4.1, 6.0, 12)
    assert way("lobby", {**row, "opened": 0, "total_ms": 0, "bins": [0] * 12}, BINS_MS).mean_s == 0.0


def test_the_drawing_has_a_bar_for_each_way_and_escapes_names() -> None:
    ways = [month(kind, 2.0, door="A & <B>") for kind in ("face", "pin", "card")]
    root = ElementTree.fromstring(plot(ways))
    tag = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{tag}rect")) == 1 + 3
    assert any(text.text == "A & <B> 2026-11" for text in root.iter(f"{tag}text"))
    ElementTree.fromstring(plot([]))
