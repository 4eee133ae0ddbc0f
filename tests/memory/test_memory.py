"""512 residents fit into little more than they need, and attempts leave nothing behind; the long run is
`python -m tests.memory`.
"""

from pathlib import Path

import pytest

pytest.importorskip("matplotlib.cbook", reason="the portrait comes with matplotlib")
from tests.memory.__main__ import GROWTH_LIMIT, holds, house, measure


@pytest.mark.timeout(500)  # 15 s of work, but most of an attempt is waiting: for a frame, the lock, the next round
def test_a_full_house_fits_and_attempts_do_not_grow(tmp_path: Path) -> None:
    house(tmp_path)
    figures = measure(tmp_path, 120)
    assert figures["residents"] == figures["faces"] == 512
    assert all(figures["opened"][kind] for kind in ("face", "pin", "card"))
    assert figures["growth"] <= GROWTH_LIMIT, figures["samples"]
    assert holds(figures), figures["boot"]
