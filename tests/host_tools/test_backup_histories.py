"""Random lives of a registry with backups and restores in between: who was deleted never comes back, others stay."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from places import lose

from host_tools import backup, residents
from host_tools.site import Site, deadlines, history, tombstones
from host_tools.site.schema import TABLES

PANEL = b"panel-01"


class Life:
    """The registry and, beside it, what must be true of it: `stored` and `gone` handles."""

    def __init__(self, folder: Path, seed: int, place: str = "") -> None:
        self.dice = random.Random(seed)
        self.folder = folder
        self.place = place or str(folder / "site.db")
        self.site = Site.open(self.place)
        self.number = 0  # the panel's own
        self.stored: set[bytes] = set()
        self.withdrawn: set[bytes] = set()
        self.removed: set[bytes] = set()
        self.backups: list[Path] = []
        with self.site.registry.transaction() as db:
            db.execute(
                "INSERT INTO panels (panel_id, name, device_pub, link_key, port, state, added) "
                "VALUES (?, 'door', ?, ?, 'socket://127.0.0.1:9', 'active', 0)",
                (PANEL, bytes(32), bytes(32)),
            )

    def enrol(self) -> None:
        """Somebody new, or who withdrew before and consents again."""
        again = self.withdrawn and self.dice.random() < 0.3
        handle = self.dice.choice(sorted(self.withdrawn)) if again else self.dice.randbytes(8)
        self.number += 1
        if deadlines.pending(self.site, handle):  # the contact that brings the new face first does what is owed
            deadlines.confirm(self.site, handle, PANEL, "receipt", None, self.number)
            self.number += 1
        consent_id, now = self.dice.randbytes(16), self.site.now()
        with self.site.registry.transaction() as db:
            db.execute(
                "INSERT INTO residents (handle, name, flat, doors, schedule, valid_from, valid_until, state, "
                "added) VALUES (?, ?, '1', 1, '[]', 0, 0, 'active', 0) ON CONFLICT DO NOTHING",
                (handle, handle.hex()),
            )
            db.execute("INSERT INTO placements VALUES (?, ?, 'active') ON CONFLICT DO NOTHING", (handle, PANEL))
            db.execute(
                "INSERT INTO consents VALUES (?, ?, ?, 'face-door.en', 1, ?, 'given', '{}', ?, ?, 0)",
                (consent_id, handle, PANEL, bytes(32), now, now),
            )
            db.execute(
                "INSERT INTO enrolments (handle, panel_id, consent_id, model_id, templates, expiry, state, enrolled, "
                "sequence) VALUES (?, ?, ?, ?, 4, 0, 'stored', ?, ?)",
                (handle, PANEL, consent_id, b"", now, self.number),
            )
        self.stored.add(handle)
        self.withdrawn.discard(handle)

    def withdraw(self) -> None:
        if not self.stored:
            return
        handle = self.dice.choice(sorted(self.stored))
        self.number += 1
        deadlines.open_(self.site, handle, PANEL, "withdrawal")
        with self.site.registry.transaction() as db:
            db.execute(
                "UPDATE consents SET state = 'withdrawn', withdrawn = ? WHERE handle = ? AND state = 'given'",
                (self.site.now(), handle),
            )
        if self.dice.random() < 0.7:  # the panel has confirmed; else it is still owed
            deadlines.confirm(self.site, handle, PANEL, "receipt", None, self.number)
        self.withdrawn.add(handle)
        self.stored.discard(handle)

    def move_out(self) -> None:
        if self.stored:
            handle = self.dice.choice(sorted(self.stored))
            residents.move_out(self.site, self.site.resident(handle.hex()))
            self.stored.discard(handle)
            self.removed.add(handle)

    def back_up(self) -> None:
        self.backups.append(self.folder / f"backup-{len(self.backups)}.db")
        backup.backup(self.site, self.backups[-1])

    def restore(self) -> None:
        if not self.backups:
            return
        self.site.close()
        lost = self.dice.random() < 0.4
        if lost:
            lose(self.place)
        chosen = self.dice.choice(self.backups)
        backup.restore(chosen, self.place)
        self.site = Site.open(self.place)
        if lost:  # what came after the backup is unknown now; who was deleted must be so all the same
            self.stored = self.known()

    def faces(self, handle: bytes) -> int:
        row = self.site.registry.row(
            "SELECT count(*) AS n FROM enrolments WHERE handle = ? AND state = 'stored'", handle
        )
        return int(row["n"]) if row else 0

    def known(self) -> set[bytes]:
        """Whose face is stored by the registry's account, and not owed."""
        owed = {deadline.handle for deadline in deadlines.pending(self.site)}
        rows = self.site.registry.rows("SELECT DISTINCT handle FROM enrolments WHERE state = 'stored'")
        return {row["handle"] for row in rows} - owed

    def check(self) -> None:
        assert not self.known() & (self.withdrawn | self.removed)
        for handle in self.stored:
            assert self.faces(handle) == 1, "a restore lost a resident's record"
        given = self.site.registry.rows("SELECT DISTINCT handle FROM consents WHERE state = 'given'")
        assert not {row["handle"] for row in given} & self.withdrawn
        for resident in self.site.residents():
            owed = deadlines.pending(self.site, resident.handle)
            assert resident.handle not in self.removed or [row.cause for row in owed] == ["move_out"]
        with self.site.registry.transaction() as db:
            chain = history.entries(db)
        assert history.verify(chain, history.read_head(self.site.registry.beside)) is None


SEEDS = {"sqlite": (*range(20), 53, 137, 179, 243, 313, 357), "postgresql": (*range(3), 53)}


@pytest.mark.parametrize(
    ("place", "seed"), [(kind, seed) for kind, seeds in SEEDS.items() for seed in seeds], indirect=["place"]
)
def test_no_history_with_restores_brings_a_deleted_resident_back(
    place: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(1_800_000_000)  # every look at the clock is a second later
    monkeypatch.setattr(Site, "now", staticmethod(lambda: next(seconds)))
    life = Life(tmp_path, seed, place)
    acts = [life.enrol, life.enrol, life.withdraw, life.move_out, life.back_up, life.restore]
    for _ in range(25):
        life.dice.choice(acts)()
        life.check()
    life.site.close()


def test_every_table_has_its_way_through_a_restore() -> None:
    """A table that backup.py does not name would come back as it was in the backup, whatever the registry knows."""
    by_themselves = {"site", "history", "tombstones", "protection"}
    assert set(TABLES) <= set(backup.SAME) | set(backup.PASSING) | by_themselves


def test_a_later_deletion_without_a_number_covers_what_an_earlier_one_s_number_does_not(
    tmp_path: Path, place: str
) -> None:
    life = Life(tmp_path, 0, place)
    life.enrol()
    (handle,) = life.stored
    with life.site.registry.transaction() as db:
        db.execute("UPDATE enrolments SET sequence = 3, enrolled = 150")
        for wiped, sequence in ((100, 2), (200, 0)):
            tombstones.bury(db, tombstones.Tombstone("face", handle, PANEL, wiped, sequence, "withdrawal"))
        tombstones.lay(db, tombstones.of(db))
    assert life.faces(handle) == 0


def test_a_name_that_was_given_anew_and_row_numbers_that_went_apart_are_kept_apart(tmp_path: Path, place: str) -> None:
    life = Life(tmp_path, 0, place)
    life.enrol()
    (old,) = life.stored
    life.back_up()
    life.site.close()
    lose(place)
    if "://" not in place:
        Path(place).unlink()
    again = Life(tmp_path, 1, place)  # the registry was lost, and begun again with a person of the same name
    again.enrol()
    (new,) = again.stored
    with again.site.registry.transaction() as db:
        db.execute("UPDATE residents SET name = ?", (old.hex(),))
        db.execute("INSERT INTO credentials VALUES (1, ?, ?, 'pin', NULL, 'revoked', 5)", (new, PANEL))
    again.site.close()
    backup.restore(life.backups[0], place)
    with Site.open(place) as site:
        assert {row.handle: row.name for row in site.residents()} == {
            old: old.hex() + " (from the backup)",
            new: old.hex(),
        }
        rows = site.registry.rows("SELECT handle FROM enrolments WHERE state = 'stored'")
        assert {bytes(row["handle"]) for row in rows} == {old, new}
        assert [bytes(row["handle"]) for row in site.registry.rows("SELECT handle FROM credentials")] == [new]
