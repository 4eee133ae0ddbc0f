"""An older copy of the flash brings back what was erased: the host's tombstones take it away again, for good."""

from firmware.base.errors import EraseFailed
from tests.firmware.vault_house import EILEEN, GRACE, House, refused, templates


def restored() -> tuple:
    """A panel whose flash was put back to before GRACE's wipe, and that wipe's counter."""
    house = House()
    house.enrol(EILEEN, 2)
    house.enrol(GRACE, 1)
    house.vault.put_resident(GRACE, b"flat 301")
    old = house.image()
    house.vault.wipe_face(GRACE, "withdrawn")
    house.vault.drop_resident(GRACE)
    counter = house.receipts()[0].counter
    house.restore_image(old)
    house.open()
    assert house.face(GRACE) == templates(1)
    return house, counter


def test_what_lies_under_a_tombstone_is_wiped_with_a_receipt():
    house, counter = restored()
    secret = house.secret_of(GRACE)
    house.vault.bury([("face", GRACE, counter, 0), ("resident", GRACE, counter + 5, 0)])
    for _ in range(2):
        assert house.face(GRACE) is None and house.vault.resident_handles() == []
        assert house.face(EILEEN) == templates(2)
        assert [(r.reason, r.handle) for r in house.receipts()] == [("restored", GRACE)]
        assert not house.holds_any(secret)
        house.open()
    house.close()


def test_who_consents_again_lies_above_the_tombstone():
    house, counter = restored()
    house.vault.bury([("face", GRACE, counter, 0)])
    house.enrol(GRACE, 3)
    house.vault.bury([("face", GRACE, counter, 0)])
    house.open()
    assert house.face(GRACE) == templates(3) and len(house.receipts()) == 1
    house.close()


def test_where_only_the_host_decided_the_time_counts():
    house, _ = restored()
    written = house.clock.unix
    house.vault.bury([("face", GRACE, 0, written - 1), ("face", b"nobody00", 0, written)])
    assert house.face(GRACE) == templates(1)
    house.vault.bury([("face", GRACE, 0, written)])
    assert house.face(GRACE) is None
    house.clock.unix += 10
    house.enrol(GRACE, 3)
    house.vault.bury([("face", GRACE, 0, written)])
    house.open()
    assert house.face(GRACE) == templates(3)
    house.close()


def test_stored_tombstones_work_at_the_start():
    house, counter = restored()
    block = house.block_of(GRACE)
    record = house.image()[block * 4096 : block * 4096 + 4096]
    house.vault.bury([("face", GRACE, counter, 0)])
    image = bytearray(house.image())
    image[block * 4096 : block * 4096 + 4096] = record
    house.restore_image(bytes(image))
    assert house.open()["faces"] == 1 and house.face(GRACE) is None
    assert [r.reason for r in house.receipts()] == ["restored", "restored"]
    house.close()


def test_the_newest_are_kept_and_a_resisting_block_is_told():
    house, counter = restored()
    house.vault.bury([("face", b"nobody%02d" % (i % 100), 1000 + i, 0) for i in range(300)])
    house.vault.bury([("resident", b"nobody%02d" % (i % 100), 2000 + i, 0) for i in range(300)])
    house.open()
    house.faults.stuck.add(house.block_of(GRACE))
    assert refused(EraseFailed, house.vault.bury, [("face", GRACE, counter, 0)])
    assert house.face(GRACE) is None and house.receipts() == []
    house.close()
