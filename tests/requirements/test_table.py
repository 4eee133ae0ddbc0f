"""The table in README.md: complete, and every test that it names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
DEMANDED = [*range(1, 24), 25]


def test_every_test_that_the_table_names_exists() -> None:
    named = re.findall(r"`(tests/[^:`]+)::(test_\w+)`", TABLE)
    assert len(named) > 30
    for path, name in named:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {name}\(", source, re.M), f"{path}::{name}"


def test_every_requirement_has_a_test_of_its_own() -> None:
    rows = {int(row[0]): row[1] for row in re.findall(r"^\| (\d+) \|(.+)$", TABLE, re.M)}
    assert sorted(rows) == DEMANDED
    for number, row in rows.items():
        assert re.search(rf"::test_req(uirement)?_(\w+_and_)?0?{number}_", row), number


def test_every_place_that_the_table_names_exists() -> None:
    for path in re.findall(r"`((?:firmware|host_tools)/[\w/.]+)`", TABLE):
        assert (ROOT / path).exists(), path
