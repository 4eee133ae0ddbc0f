import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from house import House

from host_tools.sim.control import Sim

# These ask the panel, or paper and cable: the registry behind it makes no difference.
PANEL_ALONE = (
    *("req_09_withdrawal_stops", "req_13", "req_14_the_pdf", "req_16", "req_18", "req_20"),
    "a_panel_s_log",
    "a_panel_is_given_up",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What the law asks of the registry is asked of both databases; what it asks of the door, once."""
    if "house" in metafunc.fixturenames and metafunc.module.__name__.endswith("test_requirements"):
        once = metafunc.function.__name__.removeprefix("test_").startswith(PANEL_ALONE)
        kinds = ["sqlite"] if once else ["sqlite", "postgresql"]
        metafunc.parametrize("house", kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    place = str(folder / "site.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder / "home"))
        if getattr(request, "param", "sqlite") == "postgresql":
            server = request.getfixturevalue("postgres")
            place = server.url(server.new_database())
        with Sim.start(folder / "sim", blocks=64) as sim:
            house = House(folder, sim, place)
            yield house
            house.close()
