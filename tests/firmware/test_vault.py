"""The vault with the power on: what is put comes back, what is wiped is gone and proven to be."""

from firmware.base.errors import (
    AlreadyProvisioned,
    BadRequest,
    ConsentError,
    NotFound,
    NotProvisioned,
    Refused,
    VaultCorrupt,
    VaultFull,
)
from firmware.vault.chain import KINDS
from firmware.vault.receipt import ERASED_HASH
from tests.firmware.vault_house import (
    CONSENT,
    EILEEN,
    GRACE,
    MODEL,
    NOTICE,
    PUBLIC,
    SEED,
    House,
    refused,
    templates,
)


def test_a_fresh_panel_holds_nothing_and_takes_nothing():
    house = House(provisioned=False)
    assert house.summary["fresh"] and house.vault.keys is None
    assert house.vault.face_handles() == [] and house.vault.log(0, 9) == [] and house.vault.counter("link") == 0
    assert refused(NotProvisioned, house.enrol, GRACE, 1)
    assert refused(NotProvisioned, house.vault.put_resident, GRACE, b"x")
    assert refused(NotProvisioned, house.vault.wipe_face, GRACE, "withdrawn")
    house.close()


def test_keys_outlive_a_restart_and_one_damaged_copy():
    house = House()
    for damaged in (0, 1):
        house.flip(damaged, 100)
        house.open()
        keys = house.vault.keys
        assert keys.confirmed and keys.panel_id == b"panel-01" and keys.label == b"door"
        assert keys.device_seed == SEED and keys.device_public == PUBLIC and keys.link_key == bytes(32)
    image = house.image()
    assert image[:296] == image[4096 : 4096 + 296]
    house.close()


def test_a_panel_is_provisioned_again_only_until_its_owner_confirms():
    house = House(provisioned=False)
    house.vault.provision(b"panel-01", SEED, bytes(32))
    first = bytes(house.vault.keys.secret)
    house.vault.provision(b"panel-02", SEED, b"k" * 32)
    house.open()
    assert house.vault.keys.panel_id == b"panel-02" and not house.vault.keys.confirmed
    assert first not in house.image()
    house.vault.confirm()
    house.open()
    assert house.vault.keys.confirmed
    assert refused(AlreadyProvisioned, house.vault.provision, b"panel-03", SEED, bytes(32))
    house.close()


def test_a_face_is_enrolled_read_replaced_wiped_across_restarts():
    house = House()
    house.enrol(GRACE, 1, expiry=1_900_000_000)
    for _ in range(2):
        meta, held = house.vault.read_face(GRACE)
        assert [bytes(t) for t in held] == templates(1)
        assert (meta.model_id, meta.consent_id, meta.notice_hash) == (MODEL, CONSENT, NOTICE)
        assert meta.expiry == 1_900_000_000 and meta.templates == 4
        house.open()
    house.enrol(GRACE, 2)
    assert house.face(GRACE) == templates(2)
    assert house.open()["faces"] == 1
    assert house.face(GRACE) == templates(2)
    house.vault.wipe_face(GRACE, "withdrawn")
    for _ in range(2):
        assert house.face(GRACE) is None
        assert refused(NotFound, house.vault.read_face, GRACE)
        assert refused(NotFound, house.vault.wipe_face, GRACE, "withdrawn")
        assert [r.reason for r in house.receipts()] == ["replaced", "withdrawn"]
        assert house.open()["faces"] == 0
    house.close()


def test_no_face_without_a_consent():
    house = House()
    before = house.image()
    put = house.vault.put_face
    for consent, notice in (
        (None, NOTICE),
        (b"", NOTICE),
        (bytes(16), NOTICE),
        (CONSENT[:15], NOTICE),
        (CONSENT, None),
        (CONSENT, bytes(32)),
    ):
        assert refused(ConsentError, put, GRACE, MODEL, consent, notice, 0, templates(1))
    assert refused(BadRequest, put, GRACE, MODEL, CONSENT, NOTICE, 0, [])
    assert refused(BadRequest, put, GRACE, MODEL, CONSENT, NOTICE, 0, [bytes(127)])
    assert refused(BadRequest, put, GRACE, MODEL, CONSENT, NOTICE, 0, templates(1, 9))
    assert refused(BadRequest, put, bytes(8), MODEL, CONSENT, NOTICE, 0, templates(1))
    assert refused(BadRequest, put, GRACE, MODEL, CONSENT, NOTICE, -1, templates(1))
    assert house.image() == before
    house.vault.put_face(GRACE, MODEL, CONSENT, NOTICE, 0, templates(1, 8))
    assert house.face(GRACE) == templates(1, 8)
    house.close()


def test_the_receipt_says_what_was_erased_and_comes_again_the_same():
    house = House()
    house.enrol(GRACE, 1)
    first = house.vault.wipe_face(GRACE, "request")
    house.enrol(EILEEN, 2)
    house.clock.unix += 60
    second = house.vault.wipe_face(EILEEN, "removed")
    house.open()
    assert [data for _, data in house.vault.receipts(0)] == [first, second]
    one, two = house.receipts()
    assert (one.handle, one.reason, one.time, one.time_source) == (GRACE, "request", 1_800_000_000, 2)
    assert (two.handle, two.time) == (EILEEN, 1_800_000_060)
    assert one.panel_id == b"panel-01" and two.counter > one.counter
    assert one.blocks[0][2] == ERASED_HASH and one.blocks[0][1] != ERASED_HASH
    assert [counter for counter, _ in house.vault.receipts(one.counter + 1)] == [two.counter]
    assert [counter for counter, _ in house.vault.receipts(0, 1)] == [one.counter]
    heads = [entry.hash for entry in house.vault.log(0, 100) if entry.sequence == one.counter]
    assert heads == [one.chain_head]
    house.close()


def test_the_image_holds_no_trace_of_a_wiped_face():
    house = House()
    house.enrol(GRACE, 1)
    before = house.image()
    block = house.block_of(GRACE, before)
    record = before[block * 4096 : block * 4096 + 4096]
    salt = record[80:112]
    sealed = record[128 : 128 + int.from_bytes(record[6:8], "little")]
    assert not any(template[i : i + 16] in before for template in templates(1) for i in range(0, 128, 16))
    assert before.count(salt) == 1
    house.vault.wipe_face(GRACE, "withdrawn")
    after = house.image()
    assert after[block * 4096 : block * 4096 + 4096] == b"\xff" * 4096
    assert salt[:8] not in after and salt[-8:] not in after
    for i in range(0, len(sealed) - 16, 8):
        assert sealed[i : i + 16] not in after
    house.close()


def test_residents_come_and_go_without_touching_faces():
    house = House()
    house.enrol(GRACE, 1)
    house.vault.put_resident(GRACE, b"flat 301, a PIN's hash")
    house.vault.put_resident(EILEEN, bytearray(3584))
    house.vault.put_resident(GRACE, b"flat 302")
    assert house.open()["residents"] == 2
    assert sorted(house.vault.resident_handles()) == sorted([GRACE, EILEEN])
    assert house.vault.read_resident(GRACE) == b"flat 302"
    house.vault.wipe_face(GRACE, "withdrawn")
    assert house.vault.read_resident(GRACE) == b"flat 302"
    house.vault.drop_resident(GRACE)
    house.open()
    assert house.vault.resident_handles() == [EILEEN]
    assert house.vault.read_resident(EILEEN) == bytes(3584)
    assert refused(NotFound, house.vault.drop_resident, GRACE)
    assert refused(BadRequest, house.vault.put_resident, EILEEN, bytes(3585))
    assert len(house.receipts()) == 1
    house.close()


def test_a_full_vault_refuses_newcomers_and_still_replaces():
    house = House()
    stored = 0
    while not refused(VaultFull, house.vault.put_resident, b"%08d" % stored, b"x"):
        stored += 1
    assert stored == 10  # of 12 blocks two are kept for replacing and for receipts
    before = house.image()
    assert refused(VaultFull, house.enrol, GRACE, 1)
    assert house.image() == before
    for _ in range(20):
        house.vault.put_resident(b"00000003", b"y")
    assert house.open()["residents"] == 10
    assert house.vault.read_resident(b"00000003") == b"y"
    house.vault.drop_resident(b"00000000")
    house.enrol(GRACE, 1)
    assert house.face(GRACE) == templates(1)
    house.close()


def test_wear_spreads_over_the_free_blocks():
    house = House()
    used = set()
    for i in range(26):
        house.enrol(GRACE, i)
        used.add(house.block_of(GRACE))
    assert len(used) == 12
    house.close()


def test_a_damaged_record_is_never_returned_and_is_erased_with_a_receipt():
    house = House()
    house.enrol(GRACE, 1)
    house.enrol(EILEEN, 2)
    secret = house.secret_of(GRACE)
    for offset in (300, 90, 20, 33, 120, 4):  # template, salt, handle, consent id, count, version
        image = house.image()
        house.flip(house.block_of(GRACE), offset)
        summary = house.open()
        assert summary["damaged"] == 1 and summary["faces"] == 1, offset
        assert house.face(GRACE) is None and house.face(EILEEN) == templates(2)
        assert [r.reason for r in house.receipts()] == ["unreadable"] and not house.holds_any(secret[2:])
        assert house.open()["damaged"] == 0
        house.restore_image(image)
    house.open()
    house.flip(house.block_of(GRACE), 300)  # while in use
    assert refused(VaultCorrupt, house.vault.read_face, GRACE)
    assert refused(NotFound, house.vault.read_face, GRACE)
    house.vault.wipe_face(GRACE, "request")
    assert house.block_of(GRACE) == -1
    assert house.open()["damaged"] == 0
    assert [r.handle for r in house.receipts()] == [GRACE]
    house.close()


def test_enrolling_again_takes_the_place_of_a_damaged_record():
    house = House()
    house.enrol(GRACE, 1)
    house.flip(house.block_of(GRACE), 300)
    house.open()
    house.enrol(GRACE, 2)
    summary = house.open()
    assert (summary["damaged"], summary["faces"]) == (0, 1)
    assert house.face(GRACE) == templates(2)
    house.close()


def test_counters_only_grow_and_outlive_restarts():
    house = House()
    vault = house.vault
    for value in range(1, 600):
        vault.set_counter("link", value * 3)
        if value % 100 == 0:
            vault.set_counter("other", value)
            house.open()
            vault = house.vault
            assert vault.counter("link") == value * 3 and vault.counter("other") == value
    assert refused(Refused, vault.set_counter, "link", 5)
    assert vault.counter("link") == 599 * 3
    vault.set_counter("link", 0xFFFFFFFF)
    house.open()
    assert house.vault.counter("link") == 0xFFFFFFFF
    house.close()


def test_the_log_refuses_what_does_not_fit():
    house = House()
    assert refused(BadRequest, house.vault.append, "no such kind", GRACE)
    assert refused(BadRequest, house.vault.append, "opened", GRACE, "x" * 33)
    assert refused(BadRequest, house.vault.wipe_face, GRACE, "no such reason")
    assert len(KINDS) == len(set(KINDS.values()))
    house.close()


def test_retention_names_the_expired():
    house = House()
    house.enrol(GRACE, 1, expiry=1_800_000_100)
    house.enrol(EILEEN, 2)
    assert house.vault.expired_faces(1_800_000_100) == []
    assert house.vault.expired_faces(1_800_000_101) == [GRACE]
    house.open()
    assert house.vault.expired_faces(1_800_000_101) == [GRACE]
    house.close()
