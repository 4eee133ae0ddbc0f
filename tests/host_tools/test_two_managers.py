"""Two managers at once, as two processes: neither corrupts nor overwrites what the other did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools import backup, checkup, residents
from host_tools.errors import RegistryConflict
from host_tools.site import Panel, Site, deadlines, history, tombstones

ROOT = Path(__file__).resolve().parents[2]
PANEL = b"panel-01"
MANAGERS, ROUNDS = 3, 12

MANAGER = """
import json, sys
from host_tools.site import Site, deadlines
from host_tools.errors import RegistryConflict, Usage
from host_tools.residents import ALWAYS, _register
place, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Site.open(place) as site:
    panel = site.panel()
    print("ready", flush=True)
    sys.stdin.readline()
    counters, mine = [], []
    for number in range(rounds):
        counters += site._next_counters(panel.panel_id, 1)
        site.note("tried", by=name, number=number)
        site.set_setting("days.request", number)
        try:
            mine.append(_register(site, panel, f"Resident {number}", "1", (1, ALWAYS, 0, 0), False).hex())
        except Usage:
            pass
        deadlines.open_(site, number.to_bytes(8, "big"), panel.panel_id, "request")
    print(json.dumps([counters, mine]))
"""


class Manager:
    """A process of its own; it begins when told."""

    def __init__(self, place: str, name: str, rounds: int = ROUNDS) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", MANAGER, place, name, str(rounds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout and self._process.stdin
        assert self._process.stdout.readline() == "ready\n"

    def begin(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    @property
    def works(self) -> bool:
        return self._process.poll() is None

    def end(self) -> tuple[list[int], list[str]]:
        """The counters and handles that it was given."""
        told, _ = self._process.communicate()
        assert self._process.returncode == 0
        counters, handles = json.loads(told)
        return counters, handles


@pytest.fixture
def site(place: str) -> Site:
    with Site.open(place) as site, site.registry.transaction() as db:
        db.execute(
            "INSERT INTO panels (panel_id, name, device_pub, link_key, port, state, added) "
            "VALUES (?, 'door', ?, ?, 'socket://127.0.0.1:9', 'active', 0)",
            (PANEL, bytes(32), bytes(32)),
        )
    return Site.open(place)


def check_whole(site: Site) -> None:
    assert checkup.look(site) == []
    with site.registry.transaction() as db:
        newest = history.head(db)
        stones = tombstones.of(db)
    assert history.read_head(site.registry.beside) == newest
    known = {(stone.what, stone.handle) for stone in tombstones.read(site.registry.beside)}
    assert {(stone.what, stone.handle) for stone in stones} <= known


def test_what_several_do_at_once_is_all_there_and_nothing_twice(place: str, site: Site) -> None:
    managers = [Manager(place, f"manager {number}") for number in range(MANAGERS)]
    for manager in managers:
        manager.begin()
    done = [manager.end() for manager in managers]
    counters = [counter for found, _ in done for counter in found]
    assert sorted(counters) == list(range(1, len(counters) + 1)) and len(counters) >= MANAGERS * ROUNDS
    assert len({handle for _, mine in done for handle in mine}) == ROUNDS == len(site.residents())
    assert len(deadlines.pending(site)) == ROUNDS
    with site.registry.transaction() as db:
        acts = [json.loads(entry.detail) for entry in history.entries(db) if entry.action == "tried"]
    assert len(acts) == MANAGERS * ROUNDS
    for number in range(MANAGERS):
        assert [act["number"] for act in acts if act["by"] == f"manager {number}"] == list(range(ROUNDS))
    check_whole(site)
    site.close()


def test_several_make_one_registry_at_once(place: str) -> None:
    program = "import sys; from host_tools.site import Site; input(); print(Site.open(sys.argv[1]).site_id.hex())"
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", program, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        for _ in range(MANAGERS)
    ]
    for maker in makers:
        assert maker.stdin
        maker.stdin.write("go\n")
        maker.stdin.flush()
    made = {maker.communicate()[0] for maker in makers}
    assert [maker.returncode for maker in makers] == [0] * MANAGERS and len(made) == 1


def test_a_restore_while_another_works_loses_nothing_of_his(place: str, site: Site, tmp_path: Path) -> None:
    backup.backup(site, tmp_path / "backup.db")
    other = Manager(place, "the other", 2 * ROUNDS)
    other.begin()
    restored = 0
    while other.works or not restored:
        backup.restore(tmp_path / "backup.db", place)
        restored += 1
    counters, handles = other.end()
    assert counters == sorted(set(counters)) and len(handles) == 2 * ROUNDS
    assert {resident.handle.hex() for resident in site.residents()} == set(handles)
    assert len(deadlines.pending(site)) == 2 * ROUNDS
    assert site._next_counters(PANEL, 1)[0] > counters[-1]
    check_whole(site)
    site.close()


def test_a_change_that_rests_on_what_another_has_changed_is_refused(
    place: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []

    def request(panel: Panel, op: str, **fields: object) -> dict[str, object]:
        assert op == "resident_put"
        sent.append(int(str(fields["doors"])))
        return {}

    monkeypatch.setattr(Panel, "request", request)
    ann = residents.add(site, site.panel(), "Ann", "301")
    with Site.open(place) as other:
        hers = residents.change(other, other.resident("Ann"), doors=3)
    with pytest.raises(RegistryConflict, match="Somebody else"):
        residents.change(site, ann, valid_until=1_900_000_000)
    assert site.resident("Ann") == hers and sent == [1, 3]

    def overtaken(panel: Panel, op: str, **fields: object) -> dict[str, object]:
        """Between the registry and the panel, another's change overtakes this one."""
        monkeypatch.setattr(Panel, "request", request)
        with Site.open(place) as other:
            residents.change(other, other.resident("Ann"), doors=7)
        return request(panel, op, **fields)

    monkeypatch.setattr(Panel, "request", overtaken)
    residents.change(site, hers, doors=1)
    assert site.resident("Ann").doors == 7 and sent == [1, 3, 7, 1, 7]
    assert residents.placements(site, site.resident("Ann")) == {"door": "active"}
    site.close()
