"""A panel that is given up: the secret first, then everything, a signed clearance, and at last its own keys."""

from hashlib import sha256

from firmware.base.errors import (
    AlreadyProvisioned,
    AuthError,
    BadRequest,
    EraseFailed,
    NotProvisioned,
    Refused,
    VaultError,
)
from firmware.crypto import ed25519
from firmware.vault import clearance
from tests.firmware.vault_house import EILEEN, GRACE, PUBLIC, SEED, House, refused, templates
from tests.firmware.vault_power import after_every_cut


def lived_in() -> House:
    house = House(20)
    house.enrol(GRACE, 1)
    house.enrol(EILEEN, 2)
    house.vault.put_resident(GRACE, b"flat 301")
    house.vault.set_counter("link", 77)
    return house


def test_the_secret_goes_first_then_all_else_and_the_clearance_says_so():
    house = lived_in()
    secret = bytes(house.vault.keys.secret)
    record = house.secret_of(GRACE)
    last = house.vault.log_head[0]
    house.vault.decommission()
    assert secret not in house.image() and house.holds_any(record)
    assert house.vault.face_handles() == [] and house.vault.resident_handles() == []
    for refusal in (lambda: house.vault.read_face(GRACE), lambda: house.enrol(GRACE, 1)):
        assert refused(Refused, refusal)
    assert house.vault.clearance is None and refused(Refused, house.vault.close)
    house.clock.unix += 60
    house.clear()
    image = house.image()
    assert image[2 * 4096 :] == b"\xff" * (18 * 4096)
    found = clearance.verify(house.vault.clearance, PUBLIC, ed25519.verify)
    assert (found.panel_id, found.blocks) == (b"panel-01", 18)
    assert (found.facts.faces, found.facts.residents, found.facts.counter) == (2, 1, last)
    assert (found.facts.begun, found.done, found.facts.source) == (1_800_000_000, 1_800_000_060, 2)
    assert found.facts.handles == sha256(b"".join(sorted([GRACE, EILEEN]))).digest()
    house.close()


def test_the_clearance_is_kept_until_the_host_confirms_it():
    house = lived_in()
    house.vault.decommission()
    house.clear()
    first = house.vault.clearance
    for _ in range(2):
        house.clock.unix += 5
        house.open()
        assert house.vault.clearance == first and not house.vault.fresh and not house.vault.in_service
        assert house.vault.keys.link_key == bytes(32) and house.vault.counter("link") == 77
        assert refused(AlreadyProvisioned, house.vault.provision, b"panel-02", SEED, bytes(32))
        house.vault.decommission()
        house.clear()
    house.vault.close()
    assert house.image() == b"\xff" * (20 * 4096)
    for _ in range(2):
        assert house.vault.fresh
        house.open()
    house.vault.provision(b"panel-02", SEED, b"k" * 32)
    house.enrol(GRACE, 3)
    assert house.face(GRACE) == templates(3)
    house.close()


def test_any_changed_byte_of_a_clearance_is_refused():
    house = lived_in()
    house.vault.decommission()
    house.clear()
    data = house.vault.clearance
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 1
        assert refused((BadRequest, AuthError), clearance.verify, changed, PUBLIC, ed25519.verify), at
    assert refused(BadRequest, clearance.parse, data[:-1])
    house.close()


def test_single_receipts_must_be_fetched_before():
    house = lived_in()
    house.vault.wipe_face(GRACE, "withdrawn")
    assert refused(Refused, house.vault.decommission)
    house.vault.acknowledge_receipts(house.receipts()[-1].counter)
    house.vault.decommission()
    house.close()
    house = House(provisioned=False)
    assert refused(NotProvisioned, house.vault.decommission) and refused(Refused, house.clear)
    house.close()


def test_clearing_survives_cuts_everywhere():
    house = lived_in()
    secret = bytes(house.vault.keys.secret)
    keys = (SEED, secret)

    def give_up():
        house.vault.decommission()
        house.clear()
        house.vault.close()

    def check(finished):
        vault = house.vault
        if vault.in_service:
            assert not finished
            assert house.face(GRACE) == templates(1) and house.face(EILEEN) == templates(2)
        elif vault.fresh:
            assert not any([key in house.image() for key in keys])
            assert house.image() == b"\xff" * (20 * 4096)
        else:
            assert not finished and secret not in house.image() and vault.face_handles() == []
            house.clear()
            clearance.verify(vault.clearance, PUBLIC, ed25519.verify)
            assert house.image()[2 * 4096 :] == b"\xff" * (18 * 4096)

    cuts = after_every_cut(house, give_up, check)
    assert cuts > 3 * 15, cuts
    house.close()


def test_a_block_that_resists_is_never_cleared_away_in_words():
    house = lived_in()
    record = house.secret_of(GRACE)
    block = house.block_of(GRACE)
    house.faults.stuck.add(block)
    house.vault.decommission()
    for _ in range(2):
        assert refused(EraseFailed, house.clear)
        assert house.vault.clearance is None and refused(Refused, house.vault.close)
        assert not house.holds_any(record)  # its bits are cleared all the same
        house.open()
    house.faults.stuck.clear()
    house.clear()
    assert clearance.verify(house.vault.clearance, PUBLIC, ed25519.verify).blocks == 18
    house.close()


def test_a_key_block_that_resists_keeps_no_secret():
    for worn in (0, 1):
        house = lived_in()
        secret = bytes(house.vault.keys.secret)
        house.faults.failing.add(worn)
        house.vault.decommission()
        house.clear()
        assert secret not in house.image()
        house.open()
        assert clearance.verify(house.vault.clearance, PUBLIC, ed25519.verify)
        house.vault.close()
        assert SEED not in house.image() and house.open()["fresh"]
        house.close()


def test_newer_firmware_s_vault_is_refused_and_left_as_it_is():
    house = lived_in()
    for places in ((0,), (1,), (0, 1)):
        image = bytearray(house.image())
        for place in places:
            image[place * 4096 + 4] = 2
            image[place * 4096 + 256] ^= 1  # nothing else of a newer record need be as we know it
        before = house.image()
        house.restore_image(bytes(image))
        assert refused(VaultError, house.open)
        assert not house.vault.fresh and not house.vault.in_service and house.vault.face_handles() == []
        assert refused(Refused, house.vault.provision, b"panel-02", SEED, bytes(32))
        assert house.image() == bytes(image)
        house.restore_image(before)
    house.open()
    assert house.face(GRACE) == templates(1)
    house.flip(1, 4)  # one rotten bit in the version is none
    house.open()
    assert house.face(GRACE) == templates(1)
    house.close()
