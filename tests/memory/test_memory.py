"""512 residents fit, and attempts leave nothing behind; the long run is `python -m tests.memory`."""

from pathlib import Path

import pytest

pytest.importorskip("matplotlib.cbook", reason="the portrait comes with matplotlib")
from tests.memory.__main__ import GROWTH_LIMIT, holds, house, measure


def test_a_full_house_fits_and_attempts_do_not_grow(tmp_path: Path) -> None:
    house(tmp_path)
    figures = measure(tmp_path, 180, "8M")
    assert figures["residents"] == figures["faces"] == 512
    assert all(figures["opened"][kind] for kind in ("face", "pin", "card"))
    assert figures["growth"] <= GROWTH_LIMIT, figures["samples"]
    assert holds(figures), figures["boot"]
