"""The panel's rules where people meet them: two proofs, anti-passback, holidays, a weak battery, fire, the case."""

from firmware.access.policy import Rights
from firmware.access.schedule import Schedule
from firmware.base.errors import Refused
from firmware.link import maintenance
from firmware.services.visits import SECOND_S
from tests.firmware.entry_house import Entrance
from tests.firmware.test_nfc import UID, Card
from tests.firmware.vault_house import EILEEN, GRACE, refused

KEY = bytes(range(16))
OFFICE = Rights(1, Schedule([(0x7F, 0, 1439)]), 0, 0)


def house(rights=None, **rules) -> Entrance:
    door = Entrance()
    door.resident(GRACE, "301", b"246813", b"864209", rights=rights)
    door.resident(EILEEN, "302", b"735192", rights=rights)
    door.panel.residents.add_card(GRACE, UID, KEY)
    door.panel.settings.values.update(rules)
    return door


def card() -> Card:
    return Card(key=KEY)


def token(door, serial: int) -> bytes:
    keys = door.panel.vault.keys
    return maintenance.make(keys.link_key, keys.panel_id, serial, door.house.clock.now()[0] + 600)


def go_through(door) -> None:
    for event in ("released", "opened", "closed", "relocked"):
        door.panel.entry.on_door(event)


def test_two_proofs_open_in_either_order():
    door = house(second=7)
    assert not door.type("301#246813#") and door.shown()[1] == "second_factor"
    assert door.tap(card())
    door.uptime += SECOND_S + 1
    assert not door.tap(card()) and door.shown()[1] == "second_factor"
    assert door.type("301#246813#")


def test_two_proofs_are_of_one_person_and_of_one_visit():
    door = house(second=7)
    door.tap(card())
    assert not door.type("302#735192#"), "the neighbour's PIN"
    assert not door.type("301#246813#"), "the card was before the neighbour"
    door.uptime += SECOND_S + 1
    assert not door.tap(card()), "too long ago"
    assert not door.tap(card()), "the same proof twice"
    assert door.type("301#246813#")
    assert not door.type("301#246813#"), "the proofs are used up"


def test_a_card_may_need_a_pin_while_a_pin_needs_nothing():
    door = house(second=4)
    assert not door.tap(card()) and door.type("301#246813#")


def test_who_just_came_in_does_not_come_in_again_until_the_time_is_over():
    door = house(passback_min=5)
    assert door.tap(card())
    assert door.tap(card()), "nobody went through the door"
    go_through(door)
    assert not door.tap(card()) and door.shown()[1] == "passback"
    assert not door.type("301#246813#"), "a PIN passes back as well as a card does"
    assert door.type("302#735192#"), "the neighbour is somebody else"
    door.uptime += 300
    assert door.tap(card())


def test_a_door_opened_from_inside_counts_for_nobody():
    door = house(passback_min=5)
    assert door.tap(card())
    for event in ("released", "relocked", "exit", "opened", "closed"):
        door.panel.entry.on_door(event)
    assert door.tap(card())


def test_holidays_and_a_weak_battery():
    door = house(rights=OFFICE)
    assert door.type("301#246813#")
    door.panel.settings.values["holidays"] = [(1_800_000_000 + 8 * 3600) // 86400]
    assert not door.type("301#246813#") and door.shown()[1] == "out_of_hours"
    door.panel.settings.values["holidays"] = []
    door.house.clock.now = lambda: (1_800_000_000, 1)
    assert door.type("301#246813#")
    door.house.clock.battery_low = lambda: True
    assert not door.type("301#246813#") and door.shown()[1] == "clock_unknown"


def test_duress_in_lockdown_keeps_the_door_shut_and_calls_for_help():
    door = house(lockdown=1)
    assert not door.type("301#864209#") and door.shown()[1] == "lockdown"
    assert ("door_alarm", b"duress") in door.log()


def test_a_resident_with_a_card_enters_whatever_the_face_path_says():
    door = house()
    door.panel.face.works = True
    for _ in range(9):
        door.panel.face._attempts.failed("panel", door.uptime)
    assert door.panel.face.locked
    assert door.tap(card()) and door.type("301#246813#")


def test_fire_and_tamper_are_logged_and_alarm():
    door = house()
    for event in ("fire", "fire_over", "tamper", "tamper_over", "forced"):
        door.panel.entry.on_door(event)
    kept = door.log()
    for line in (
        ("door_alarm", b"fire"),
        ("door_alarm", b"fire_over"),
        ("tamper", b"tamper"),
        ("tamper", b"tamper_over"),
    ):
        assert line in kept
    assert [call for call in door.board.buzzer.calls if call == ("tone", "alarm")] == [("tone", "alarm")] * 3


def test_an_open_case_lets_nobody_into_maintenance():
    door = house()
    upkeep = door.panel.upkeep
    door.board.open = lambda: True
    assert refused(Refused, upkeep.ask, token(door, 1)) and not door.panel.question.open
    door.board.open = lambda: False
    upkeep.ask(token(door, 1))
    door.board.open = lambda: True
    door.type("#")
    assert not door.panel.maintenance, "opened between the question and the answer"
    door.board.open = lambda: False
    upkeep.ask(token(door, 2))
    door.type("#")
    assert door.panel.maintenance
    del door.board.buzzer.calls[:]
    door.board.open = lambda: True
    door.panel.entry.on_door("tamper")
    assert door.panel.maintenance and ("tone", "alarm") not in door.board.buzzer.calls, "work that was announced"
    upkeep.end()
