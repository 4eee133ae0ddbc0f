"""The audit log: in order, tamper shown where it is, purged by age, and receipts that outlive all of it."""

from firmware.base.errors import BadRequest, EraseFailed, VaultFull
from firmware.vault.chain import BODY_BYTES, START, first_break
from tests.firmware.vault_house import EILEEN, GRACE, House, refused, templates

FIRST = 4  # the ring's first block
HEAD, ENTRY = 64, 112
DAY = 86400


def chatter(house, count: int) -> None:
    for i in range(count):
        house.clock.unix += 1
        house.vault.append("opened", EILEEN, "card %d" % i)


def links(house, since: int = 0) -> list:
    return [(entry.body, entry.hash) for entry in house.vault.log(since, 1000)]


def chain_holds(house) -> bool:
    return first_break(house.vault.log_before(0), links(house)) == -1


def test_the_log_keeps_order_and_its_newest_entries_when_it_wraps():
    house = House()
    chatter(house, 300)
    for _ in range(2):
        entries = house.vault.log(0, 1000)
        assert len(entries) >= 36  # of the ring's four blocks one is whole, one in use, two erased
        numbers = [entry.sequence for entry in entries]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert (entries[-1].kind, entries[-1].handle, entries[-1].detail) == ("opened", EILEEN, b"card 299")
        assert house.vault.log(numbers[-2], 9)[0].sequence == numbers[-2]
        assert len(house.vault.log(numbers[0], 5)) == 5
        assert chain_holds(house) and house.open()["log_breaks"] == 0
    house.close()


def test_who_holds_one_hash_can_check_what_follows():
    house = House()
    chatter(house, 50)
    first = house.vault.log(0, 1)[0]
    assert house.vault.log_before(0) == START and first.sequence == 1
    held = house.vault.log(0, 20)[-1]
    assert house.vault.log_before(held.sequence + 1) == held.hash
    rest = links(house, held.sequence + 1)
    assert first_break(held.hash, rest) == -1 and first_break(START, rest) == 0
    for at in (0, 7, len(rest) - 1):
        for changed in (bytearray(rest[at][0]), bytearray(rest[at][1])):
            changed[20] ^= 1
            item = (changed, rest[at][1]) if len(changed) == BODY_BYTES else (rest[at][0], changed)
            assert first_break(held.hash, rest[:at] + [item] + rest[at + 1 :]) == at
    assert first_break(held.hash, rest[:5] + rest[6:]) == 5
    assert first_break(held.hash, rest[:5] + rest[4:]) == 5
    assert house.vault.log_head == (house.vault.log(0, 999)[-1].sequence + 1, rest[-1][1])
    house.close()


def test_an_altered_entry_is_located_and_the_rest_still_counts():
    house = House()
    chatter(house, 30)
    whole = house.vault.log(0, 100)
    house.flip(FIRST, HEAD + ENTRY * 10 + 30)
    assert house.open()["log_breaks"] == 1
    assert house.vault.log_damage == [("altered", whole[10].sequence, FIRST)]
    entries = house.vault.log(0, 100)
    assert [e.sequence for e in entries[:-1]] == [e.sequence for e in whole[:10] + whole[11:]]
    assert (entries[-1].kind, entries[-1].detail) == ("log_damaged", b"altered 11 @4")
    house.open()  # said once
    assert [e.kind for e in house.vault.log(0, 100)].count("log_damaged") == 1
    house.vault.append("opened", EILEEN)
    assert house.vault.log(0, 100)[-1].sequence == entries[-1].sequence + 1
    house.close()


def test_a_rotten_closing_entry_does_not_wipe_who_lives_in_the_block_now():
    house = House()
    house.enrol(GRACE, 1)
    block = house.block_of(GRACE)
    house.vault.wipe_face(GRACE, "withdrawn")
    done = house.receipts()[0].counter
    while house.block_of(EILEEN) != block:
        house.enrol(EILEEN, 2)
    at = [entry.sequence for entry in house.vault.log(0, 100)].index(done)
    house.flip(FIRST, HEAD + ENTRY * at + 40)
    for _ in range(2):
        house.open()
        assert house.face(EILEEN) == templates(2) and house.vault.quarantined == 0
    house.close()


def test_an_entry_taken_out_is_located():
    house = House()
    chatter(house, 30)
    image = bytearray(house.image())
    start = FIRST * 4096 + HEAD + ENTRY * 10
    image[start : start + ENTRY] = b"\xff" * ENTRY
    house.restore_image(bytes(image))
    house.open()
    assert house.vault.log_damage == [("altered", 11, FIRST)]
    house.close()


def test_a_missing_block_and_a_missing_tail_are_located():
    for lost, what in ((1, "missing"), (2, "tail")):
        house = House(40)  # a ring of five
        chatter(house, 100)
        image = bytearray(house.image())
        first = int.from_bytes(image[(FIRST + lost) * 4096 + 16 : (FIRST + lost) * 4096 + 24], "little")
        image[(FIRST + lost) * 4096 : (FIRST + lost + 1) * 4096] = b"\xff" * 4096
        house.restore_image(bytes(image))
        house.open()
        assert [(d[0], d[1]) for d in house.vault.log_damage] == [(what, first)]
        last = house.vault.log(0, 999)[-1]
        assert last.kind == "log_damaged" and last.sequence > 101 - 36 * (lost == 2)
        house.close()


def test_a_record_shows_that_the_log_was_cut_back():
    house = House()
    chatter(house, 5)
    before = house.image()
    house.enrol(GRACE, 1)
    image = bytearray(house.image())
    image[FIRST * 4096 : FIRST * 4096 + 4096] = before[FIRST * 4096 : FIRST * 4096 + 4096]
    house.restore_image(bytes(image))
    assert house.open()["log_breaks"] == 1
    assert house.vault.log_damage == [("tail", 7, FIRST)]
    assert house.face(GRACE) == templates(1)
    house.close()


def test_entries_are_gone_before_they_are_90_days_old_and_the_chain_still_holds():
    for blocks in (20, 40, 160):
        house = House(blocks)
        for _ in range(130):
            house.clock.unix += DAY
            house.vault.append("opened", EILEEN)
            house.vault.purge_log(house.clock.unix)
            oldest = house.vault.log(0, 1)[0]
            assert house.clock.unix - oldest.time < 90 * DAY
        entries = house.vault.log(0, 1000)
        if blocks == 160:  # a ring of 16: it is age that ends an entry, not room
            assert house.clock.unix - entries[0].time > 80 * DAY
            assert "log_purged" in [entry.kind for entry in entries]
        assert chain_holds(house) and house.open()["log_breaks"] == 0
        house.close()


def test_a_panel_nobody_uses_purges_its_log_too():
    house = House()
    house.vault.append("opened", EILEEN)
    house.clock.unix += 91 * DAY
    assert house.vault.purge_log(house.clock.unix) == 1
    assert [entry.kind for entry in house.vault.log(0, 99)] == ["log_purged"]
    assert house.vault.purge_log(house.clock.unix) == 0
    assert chain_holds(house) and house.open()["log_breaks"] == 0
    house.close()


def test_receipts_outlive_the_log_until_the_host_has_them():
    house = House()
    for i in range(3):
        house.enrol(GRACE, i)
    issued = [house.vault.wipe_face(GRACE, "withdrawn")]
    before = [data for _, data in house.vault.receipts(0, 9)]
    assert len(before) == 3 and before[-1] == issued[0] and house.vault.receipts_waiting == 3
    chatter(house, 400)
    house.clock.unix += 91 * DAY
    house.vault.purge_log(house.clock.unix)
    for _ in range(2):
        assert [data for _, data in house.vault.receipts(0, 9)] == before
        assert house.vault.receipts_waiting == 3
        house.open()
    last = house.receipts()[-1].counter
    house.vault.acknowledge_receipts(last - 1)
    assert house.vault.receipts_waiting == 1
    house.vault.acknowledge_receipts(last)
    assert refused(BadRequest, house.vault.acknowledge_receipts, 10**6)
    chatter(house, 200)
    for _ in range(2):
        assert house.vault.receipts(0, 9) == [] and house.vault.receipts_waiting == 0
        assert house.open()["free"] == 12
    house.close()


def test_faces_give_way_to_receipts_that_nobody_fetches():
    house = House()
    house.vault.put_resident(GRACE, b"flat 301")
    stored = 0
    try:
        for _ in range(600):
            house.enrol(GRACE, stored % 7)
            stored += 1
    except VaultFull:
        pass
    assert 100 < stored < 600 and house.face(GRACE) == templates((stored - 1) % 7)
    assert house.vault.receipts_waiting == stored - 1 and len(house.vault.receipts(0, 5)) == 5
    house.vault.put_resident(GRACE, b"a withdrawal can be recorded")
    house.vault.wipe_face(GRACE, "withdrawn")
    assert house.open()["log_breaks"] == 0 and house.vault.receipts_waiting == stored
    house.vault.acknowledge_receipts(house.vault.log_head[0] - 1)
    house.enrol(GRACE, 1)
    house.close()


def test_more_resisting_blocks_than_a_log_block_has_entries():
    house = House(160)
    people = [b"person%02d" % i for i in range(60)]
    for i, who in enumerate(people):
        house.enrol(who, i)
    house.faults.stuck.update([house.block_of(who) for who in people])
    for who in people:
        assert refused(EraseFailed, house.vault.wipe_face, who, "request")
    chatter(house, 700)  # the ring goes round, with all of them in it
    assert house.open()["quarantined"] == 60 and house.receipts() == []
    house.faults.stuck.clear()
    assert house.open()["resumed"] == 60
    assert sorted([data[32:40] for _, data in house.vault.receipts(0, 99)]) == people
    house.close()
