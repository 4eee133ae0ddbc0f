"""The vault when the power fails: after every single operation, in the midst of it, and again while it starts."""

import random

from firmware.base.errors import EraseFailed
from tests.firmware.vault_house import EILEEN, GRACE, SEED, House, refused, templates
from tests.firmware.vault_power import after_every_cut, cut, dice


def _fill_log(house, free: int) -> None:
    """Appends entries until the log's block in use has so many slots left."""
    while house.vault._audit._slot != 36 - free:
        house.vault.append("opened", EILEEN)


def test_enrolment_is_whole_or_not_there():
    house = House()
    house.enrol(EILEEN, 2)

    def check(finished):
        assert house.face(EILEEN) == templates(2)
        assert house.face(GRACE) == templates(1) or (house.face(GRACE) is None and not finished)
        assert house.receipts() == [] and house.summary["damaged"] == 0

    cuts = after_every_cut(house, lambda: house.enrol(GRACE, 1), check, again=True)
    assert cuts >= 3 * 5, cuts
    house.close()


def test_replacing_leaves_the_old_or_the_new_face():
    house = House()
    house.enrol(EILEEN, 2)
    house.enrol(GRACE, 1)

    def check(finished):
        face = house.face(GRACE)
        assert house.face(EILEEN) == templates(2)
        assert face == templates(3) or (face == templates(1) and not finished)
        reasons = [(r.reason, r.handle) for r in house.receipts()]
        assert reasons == ([("replaced", GRACE)] if face == templates(3) else [])
        assert house.summary["faces"] == 2 and house.summary["free"] == 10

    cuts = after_every_cut(house, lambda: house.enrol(GRACE, 3), check, again=True)
    assert cuts >= 3 * 8, cuts
    house.close()


def test_a_wipe_once_begun_never_returns_the_face_and_gives_one_receipt():
    house = House()
    house.enrol(EILEEN, 2)
    house.enrol(GRACE, 1)
    secret = house.secret_of(GRACE)

    def check(finished):
        face = house.face(GRACE)
        assert house.face(EILEEN) == templates(2)
        assert face is None or (face == templates(1) and not finished)
        assert len(house.receipts()) == (1 if face is None else 0)
        if face is None:
            assert not house.holds_any(secret)
            assert house.summary["free"] == 11
            house.open()
            assert house.face(GRACE) is None and len(house.receipts()) == 1
            house.enrol(GRACE, 4)  # whoever consents again starts anew
            assert house.face(GRACE) == templates(4)

    cuts = after_every_cut(house, lambda: house.vault.wipe_face(GRACE, "withdrawn"), check, again=True)
    assert cuts >= 3 * 4, cuts
    house.close()


def test_a_wipe_while_the_log_goes_round():
    for free in (0, 1, 2):
        house = House()
        house.enrol(GRACE, 1)
        for _ in range(90):
            house.vault.append("opened", EILEEN)
        _fill_log(house, free)

        def check(finished, house=house):
            face = house.face(GRACE)
            assert face is None or (face == templates(1) and not finished)
            assert len(house.receipts()) == (1 if face is None else 0)
            entries = house.vault.log(0, 500)
            numbers = [entry.sequence for entry in entries]
            assert numbers == sorted(set(numbers))
            assert house.summary["log_breaks"] == 0

        after_every_cut(house, lambda house=house: house.vault.wipe_face(GRACE, "expired"), check, free == 1)
        house.close()


def test_residents_records_survive_cuts_too():
    house = House()
    house.vault.put_resident(EILEEN, b"flat 302")
    house.vault.put_resident(GRACE, b"old" * 100)

    def check(finished):
        assert house.vault.read_resident(EILEEN) == b"flat 302"
        blob = bytes(house.vault.read_resident(GRACE))
        assert blob == b"new" * 200 or (blob == b"old" * 100 and not finished)

    after_every_cut(house, lambda: house.vault.put_resident(GRACE, b"new" * 200), check)
    house.open()

    def check_drop(finished):
        assert house.vault.read_resident(EILEEN) == b"flat 302"
        assert GRACE not in house.vault.resident_handles() or not finished

    after_every_cut(house, lambda: house.vault.drop_resident(GRACE), check_drop)
    assert house.receipts() == []
    house.close()


def test_counters_never_fall_through_a_cut():
    for already in (3, 255, 256):
        house = House()
        for value in range(1, already + 1):
            house.vault.set_counter("link", value)

        def check(finished, house=house, already=already):
            value = house.vault.counter("link")
            assert value == already + 5 or (value == already and not finished)

        after_every_cut(house, lambda house=house, v=already + 5: house.vault.set_counter("link", v), check)
        house.close()


def test_provisioning_is_done_or_can_be_done_again():
    house = House(provisioned=False)

    def check(finished):
        keys = house.vault.keys
        assert keys is not None or not finished
        if keys is None:
            house.vault.provision(b"panel-01", SEED, b"l" * 32)
        assert house.vault.keys.panel_id == b"panel-01" and house.vault.keys.link_key == b"l" * 32
        house.enrol(GRACE, 1)
        assert house.face(GRACE) == templates(1)

    after_every_cut(house, lambda: house.vault.provision(b"panel-01", SEED, b"l" * 32), check, again=True)
    house.open()
    house.vault.provision(b"panel-01", SEED, b"l" * 32)

    def check_confirmed(finished):
        assert house.vault.keys.confirmed or not finished

    after_every_cut(house, lambda: house.vault.confirm(), check_confirmed, again=True)
    house.close()


def test_a_block_that_refuses_to_erase_is_reported_and_never_certified():
    for fault in ("stuck", "failing"):
        house = House()
        house.enrol(EILEEN, 2)
        house.enrol(GRACE, 1)
        block = house.block_of(GRACE)
        secret = house.secret_of(GRACE)
        getattr(house.faults, fault).add(block)
        assert refused(EraseFailed, house.vault.wipe_face, GRACE, "withdrawn")
        for _ in range(2):
            assert house.face(GRACE) is None and house.receipts() == []
            assert house.face(EILEEN) == templates(2)
            assert [e.kind for e in house.vault.log(0, 99)].count("erase_failed") == 1
            assert not house.holds_any(secret)  # cleared where it stands
            assert house.open()["quarantined"] == 1
        assert refused(EraseFailed, house.vault.wipe_face, GRACE, "withdrawn")
        for i in range(30):  # nobody is given the block
            house.enrol(GRACE, 3 + i)
        assert house.face(GRACE) == templates(32) and len(house.receipts()) <= 29
        getattr(house.faults, fault).clear()
        summary = house.open()
        assert summary["resumed"] == 1 and summary["quarantined"] == 0
        assert house.receipts()[-1].reason == "withdrawn"
        assert house.face(GRACE) == templates(32)
        house.close()


def test_a_resisting_block_is_remembered_when_the_log_has_gone_round():
    house = House()
    house.enrol(GRACE, 1)
    house.faults.stuck.add(house.block_of(GRACE))
    assert refused(EraseFailed, house.vault.wipe_face, GRACE, "withdrawn")
    for _ in range(400):
        house.vault.append("opened", EILEEN)
    assert house.open()["quarantined"] == 1
    house.faults.stuck.clear()
    assert house.open()["quarantined"] == 0
    assert [(r.handle, r.reason) for r in house.receipts()] == [(GRACE, "withdrawn")]
    house.close()


def test_random_histories_against_a_reference():
    """Several residents, several cuts: what the vault says is always what happened or what was being done."""
    for seed in range(40):
        random.seed(seed)
        plan = [(random.getrandbits(2), random.getrandbits(2), random.getrandbits(4)) for _ in range(14)]
        _one_history(plan, seed)


def _one_history(plan: list, seed: int) -> None:
    house = House()
    handles = [b"person-%d" % i for i in range(4)]
    truth = {handle: None for handle in handles}
    tag = 100
    for step, (who, what, luck) in enumerate(plan):
        handle = handles[who]
        tag += 1
        before = truth[handle]
        if what and (what != 3 or before is None):
            wanted, action = tag, lambda h=handle, t=tag: house.enrol(h, t)
        elif before is None:
            continue
        else:
            wanted, action = None, lambda h=handle: house.vault.wipe_face(h, "request")
        house.faults.torn = dice(seed * 100 + step)
        failed = cut(house, action, luck)
        house.faults.torn = None
        if failed:
            house.open()
        face = house.face(handle)
        truth[handle] = wanted if face == (wanted and templates(wanted)) else before
        assert failed or truth[handle] == wanted, (seed, step)
        for other in handles:
            assert house.face(other) == (truth[other] and templates(truth[other])), (seed, step, other)
    house.close()
