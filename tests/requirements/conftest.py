import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from house import House

from host_tools.sim.control import Sim


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with Sim.start(folder / "sim", blocks=64) as sim:
        house = House(folder, sim)
        yield house
        house.close()
