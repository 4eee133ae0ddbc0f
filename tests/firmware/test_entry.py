"""At the door with fingers and cards: who is let in, who is not, and what survives a power cut."""

from firmware.access.policy import Rights
from firmware.access.schedule import Schedule
from firmware.base.errors import Refused
from firmware.credentials import pin, visitor
from firmware.crypto import hmac
from firmware.services.commands import Commands
from tests.firmware.entry_house import COUNT, Entrance
from tests.firmware.test_nfc import UID
from tests.firmware.test_nfc import Card as VirtualCard
from tests.firmware.vault_house import EILEEN, GRACE, refused

PIN, OTHER, DURESS = b"246813", b"735192", b"864209"
KEY = bytes(range(16))


def house(**of_grace):
    entrance = Entrance()
    entrance.resident(GRACE, "301", PIN, **of_grace)
    return entrance


def test_flat_and_pin_open_and_a_wrong_pin_does_not():
    door = house()
    assert door.type("301#246813#") and door.shown()[0] == "granted"
    assert not door.type("301#735192#") and door.shown()[:2] == ("denied", "not_recognised")


def test_the_light_says_what_the_tone_says():
    door = house()
    said = lambda: [name for _, name in door.board.light.calls]  # noqa: E731
    assert door.type("301#246813#")
    assert said()[-1] == "granted" and set(said()[:-1]) == {"working"}
    assert not door.type("301#735192#") and said()[-1] == "denied"
    entry = door.panel.entry
    entry.idle()
    assert said()[-1] == "ready"
    entry.on_door("forced")
    entry.idle()
    assert said()[-1] == "alarm", "until it is over"
    entry.on_door("closed")
    assert said()[-1] == "ready"
    door.board.light = None  # most boards
    assert door.type("301#246813#")


def test_a_duress_pin_opens_alike_and_raises_a_silent_alarm():
    door = house(duress=DURESS)
    assert door.type("301#246813#")
    calm, calls = door.panel.screens.calls[:], door.board.buzzer.calls[:]
    lit = door.board.light.calls[:]
    events = door.panel.events.since(0, 32)[0]
    del door.panel.screens.calls[:], door.board.buzzer.calls[:], door.board.light.calls[:]
    assert door.type("301#864209#")
    assert door.panel.screens.calls == calm and door.board.buzzer.calls == calls
    assert door.board.light.calls == lit
    after = [event["kind"] for event in door.panel.events.since(0, 32)[0]]
    assert after == [event["kind"] for event in events] + ["pin", "alarm"]
    assert ("door_alarm", b"duress") in door.log() and ("opened", b"pin") in door.log()


def test_a_duress_pin_outlives_new_rights_and_goes_with_the_pin():
    door = house(duress=DURESS)
    door.resident(GRACE, "301")
    door.restart()
    assert door.type("301#864209#")
    assert door.panel.residents.drop_credential(GRACE, "duress") == 1
    assert not door.type("301#864209#") and door.type("301#246813#")
    door = house(duress=DURESS)
    assert door.panel.residents.drop_credential(GRACE, "pin") == 2
    assert not door.type("301#864209#")


def test_what_one_pin_means_is_never_in_doubt():
    door = house(duress=DURESS)
    door.resident(EILEEN, "301", OTHER)
    assert refused(Refused, door.resident, EILEEN, "301", DURESS)
    assert refused(Refused, door.resident, EILEEN, "301", b"", PIN)
    door.resident(b"nobody..", "302")
    assert refused(Refused, door.resident, b"nobody..", "302", b"", DURESS)


class Work:
    """Counts what an attempt costs: sealed records read and steps of the key derivation."""

    def __init__(self, door):
        self.door = door
        self.records = self.slices = 0
        read = door.panel.vault.read_resident

        def counted(handle):
            self.records += 1
            return read(handle)

        door.panel.vault.read_resident = counted

    def of(self, keys):
        self.records = self.slices = 0
        steps = hmac.pbkdf2_steps

        def counted(*args):
            for step in steps(*args):
                self.slices += 1
                yield step

        pin.pbkdf2_steps = counted
        try:
            self.door.type(keys)
        finally:
            pin.pbkdf2_steps = steps
        return self.records, self.slices


def test_a_flat_that_does_not_exist_costs_the_same_work():
    door = house(duress=DURESS)
    door.resident(EILEEN, "301", OTHER)
    door.resident(b"lone....", "7", b"531864", salt=b"flat 7's salt...")
    work = Work(door)
    family = work.of("301#111222#")
    assert family[0] == 2 and family[1] >= COUNT // 64
    for flat in ("7", "999", "0", "123456"):
        assert work.of(flat + "#111222#") == family, flat
    assert work.of("301#%s#" % code(door)) == family, "a visitor's code"


def test_a_lockout_of_a_flat_survives_the_plug():
    door = house()
    for _ in range(10):
        door.uptime += 3600
        door.type("301#111222#")
    door.restart()
    door.uptime = 10
    assert not door.type("301#246813#")
    assert door.shown()[1] == "locked_out" and door.shown()[2] > 3000
    door.uptime += 3601
    assert door.type("301#246813#")
    door.restart()
    assert door.type("301#246813#"), "the right PIN ends it for good"


def test_after_the_plug_another_flat_is_not_locked():
    door = house()
    door.resident(EILEEN, "302", OTHER)
    for _ in range(9):
        door.type("301#111222#")
        door.uptime += 200
    door.restart()
    assert door.type("302#735192#")


def test_ever_other_flats_are_one_attack_on_the_panel_and_that_survives_too():
    door = house()
    for flat in range(100, 123):
        door.uptime += 11
        door.type("%d#111222#" % flat)
    assert not door.type("301#246813#") and door.shown()[1] == "locked_out"
    door.restart()
    assert not door.type("301#246813#") and door.shown()[1] == "locked_out"
    door.uptime += 130
    assert door.type("301#246813#")


def test_yesterdays_failures_are_forgotten_after_a_restart():
    door = house()
    for _ in range(10):
        door.type("301#111222#")
        door.uptime += 3600
    door.house.clock.unix += 2 * 86400
    door.restart()
    assert door.type("301#246813#")


def test_failures_leave_no_flat_number_behind():
    door = house()
    door.type("864213#111222#")
    image = door.house.image()
    assert b"864213" not in image and not [detail for _, detail in door.log() if b"864213" in detail]


# Visitors

NOW_HOUR = 1_800_000_000 // 3600


def code(door, flat="301", hours_left=3, length=2, uses=0, serial=0):
    key = visitor.key_of(door.panel.vault.keys.link_key)
    return visitor.make(key, flat, NOW_HOUR + hours_left, length, uses, serial)


def test_a_visitors_code_opens_once_and_no_more_after_a_power_cut_either():
    door = house()
    made = code(door)
    assert door.type("301#%s#" % made)
    assert not door.type("301#%s#" % made) and door.shown()[1] == "withdrawn"
    door.restart()
    assert not door.type("301#%s#" % made) and door.shown()[1] == "withdrawn"
    assert ("opened", b"pin visitor") in door.log()
    assert door.type("301#%s#" % code(door, serial=1))


def test_a_visitors_code_opens_as_often_as_it_says():
    door = house()
    made = code(door, uses=2)
    assert [door.type("301#%s#" % made) for _ in range(7)] == [True] * 5 + [False] * 2
    unlimited = code(door, uses=4)
    assert all([door.type("301#%s#" % unlimited) for _ in range(12)])


def test_a_visitors_code_keeps_to_its_time():
    door = house()
    made = code(door, hours_left=3, length=1)
    for hours, opens, why in ((-2, False, "not_yet"), (0.5, True, ""), (3.1, False, "expired")):
        door.house.clock.unix = 1_800_000_000 + int(hours * 3600)
        again = code(door, hours_left=3, length=1, uses=4)
        assert door.type("301#%s#" % again) == opens
        assert opens or door.shown()[1] == why
    door.house.clock.unix = 1_800_000_000 + 60 * 86400
    assert not door.type("301#%s#" % made), "the same digits 60 days later"


def test_a_visitors_code_is_of_one_flat_one_panel_and_unaltered():
    door = house()
    door.resident(EILEEN, "302")
    made = code(door, uses=4)
    assert not door.type("302#%s#" % made)
    for place in range(12):
        changed = made[:place] + str((int(made[place]) + 1) % 10) + made[place + 1 :]
        door.uptime += 4000
        assert not door.type("301#%s#" % changed), place
    other = visitor.make(visitor.key_of(b"another panel"), "301", NOW_HOUR + 3, 2, 0, 0)
    door.uptime += 4000
    assert not door.type("301#%s#" % other)
    door.uptime += 4000
    assert door.type("301#%s#" % made)


def test_nobody_visits_an_empty_flat_nor_without_a_clock():
    door = house()
    made = code(door, "303", uses=4)
    assert not door.type("303#%s#" % made)
    made = code(door, uses=4)
    now, door.house.clock.now = door.house.clock.now, lambda: (1_800_000_000, 0)
    assert not door.type("301#%s#" % made)
    door.house.clock.now = now
    door.uptime += 4000
    assert door.type("301#%s#" % made)


def test_a_revoked_visitors_code_opens_no_more():
    door = house()
    made = code(door, uses=4)
    assert door.type("301#%s#" % made)
    Commands(door.panel).visitor_revoke("301", int(made[:6]), (NOW_HOUR + 3) * 3600)
    assert not door.type("301#%s#" % made)
    door.restart()
    assert not door.type("301#%s#" % made)


# Cards


def with_card(**of_card):
    door = house()
    door.panel.residents.add_card(GRACE, UID, KEY)
    return door, VirtualCard(UID, KEY, **of_card)


def test_a_card_with_its_key_opens_and_a_copy_of_its_uid_does_not():
    door, card = with_card()
    assert door.tap(card)
    assert not door.tap(VirtualCard(UID, bytes(16))) and door.shown()[1] == "wrong_key"


def test_a_lost_card_stays_lost():
    door, card = with_card()
    commands = Commands(door.panel)
    assert commands.card_lost(UID) == {"dropped": 1}
    assert not door.tap(card) and door.shown()[1] == "unknown_card"
    door.restart()
    assert refused(Refused, Commands(door.panel).card_put, GRACE, UID, KEY)
    assert not door.tap(card)
    assert Commands(door.panel).card_lost(UID) == {"dropped": 0}
    door.panel.residents.add_card(GRACE, UID, KEY)  # as an old record that came back would have it
    assert not door.tap(card)
    assert ("credential_dropped", b"card lost") in door.log()


def test_a_card_is_lost_even_where_nobody_knew_it():
    door = house()
    assert Commands(door.panel).card_lost(UID) == {"dropped": 0}
    assert refused(Refused, Commands(door.panel).card_put, GRACE, UID, KEY)


def test_a_card_without_a_key_needs_the_policy_and_the_log_says_so():
    door = house()
    commands = Commands(door.panel)
    assert refused(Refused, commands.card_put, GRACE, UID)
    change = door.panel.settings
    change.values["uid_only"] = 1
    commands.card_put(GRACE, UID)
    bare = VirtualCard(UID, bytes(16))
    assert door.tap(bare) and ("opened", b"card uid only") in door.log()
    assert ("credential_set", b"card uid only") in door.log()
    change.values["uid_only"] = 0
    assert not door.tap(bare) and door.shown()[1] == "unknown_card"


def test_a_keyed_card_is_never_let_in_by_its_uid_alone():
    door, _ = with_card()
    door.panel.settings.values["uid_only"] = 1
    assert not door.tap(VirtualCard(UID, bytes(16)))


def test_rights_are_the_same_for_pin_and_card():
    for rights, opens in (
        (Rights(1, Schedule.always(), 0, 0), True),
        (Rights(2, Schedule.always(), 0, 0), False),
        (Rights(1, Schedule(), 0, 0), False),
        (Rights(1, Schedule.always(), 0, 1), False),
    ):
        door = Entrance()
        door.resident(GRACE, "301", PIN, rights=rights)
        door.panel.residents.add_card(GRACE, UID, KEY)
        assert door.type("301#246813#") == door.tap(VirtualCard(UID, KEY)) == opens


# The reader on loan


def test_the_host_talks_to_a_card_through_the_panel_and_the_card_opens_nothing_meanwhile():
    import asyncio

    door, card = with_card()
    commands = Commands(door.panel)
    door.board.card = card
    assert asyncio.run(commands.card_wait(1)) == {"uid": UID}
    assert door.panel.card_desk.lent
    assert commands.card_apdu(bytes.fromhex("00A4040007D276000085010100")) == {"answer": b"\x90\x00"}
    commands.card_done()
    assert not door.panel.card_desk.lent
    assert refused(Refused, commands.card_apdu, bytes(5))
