"""The way into the REPL: a token made for this panel, used once and in time, and somebody who presses a key."""

from firmware.base.errors import AuthError, NotProvisioned, Refused
from firmware.link import maintenance as tokens
from firmware.services.commands import Commands
from tests.firmware.entry_house import Entrance
from tests.firmware.test_nfc import UID, Card
from tests.firmware.vault_house import CONSENT, GRACE, refused

KEY = bytes(range(16))


def house() -> Entrance:
    door = Entrance()
    door.resident(GRACE, "301", b"246813")
    door.panel.residents.add_card(GRACE, UID, KEY)
    return door


def token(door, serial=1, seconds=600, key=None, panel_id=None) -> bytes:
    keys = door.panel.vault.keys
    now = door.house.clock.now()[0]
    return tokens.make(key or keys.link_key, panel_id or keys.panel_id, serial, now + seconds)


def repl(door) -> list:
    return [call[1:] for call in door.board.console.calls if call[0] == "open_repl"]


def test_a_press_opens_it_and_the_door_opens_for_nobody():
    door = house()
    upkeep = door.panel.upkeep
    del door.board.console.calls[:]
    made = token(door)
    assert upkeep.ask(made) == {"state": "asked", "seconds": 60}
    assert repl(door) == [] and not door.panel.maintenance, "nothing is open before the press"
    assert door.panel.screens.calls[-1] == ("allow_maintenance", True)
    door.type("#")
    assert upkeep.ask(made) == {"state": "on", "seconds": 600} and repl(door) == [(True, 600)]
    assert not door.type("301#246813#") and door.shown()[1] == "maintenance"
    upkeep.end(made)
    assert repl(door)[-1] == (False,) and door.type("301#246813#")
    said = [detail for kind, detail in door.log() if kind == "maintenance"]
    assert said == [b"asked", b"on", b"off"]


def test_who_stands_before_the_panel_can_say_no():
    door = house()
    made = token(door)
    door.panel.upkeep.ask(made)
    del door.board.console.calls[:]
    door.type("*")
    assert door.panel.upkeep.ask(made)["state"] == "refused" and repl(door) == []
    assert door.type("301#246813#")


def test_silence_and_another_way_in_say_no():
    door = house()
    upkeep = door.panel.upkeep
    upkeep.ask(token(door, 1))
    door.uptime += 61
    door.panel.question.tend()
    assert upkeep.report() == {"state": "refused", "seconds": 0}
    upkeep.ask(token(door, 2))
    assert door.tap(Card(key=KEY)), "a card opens meanwhile"
    assert not door.panel.question.open
    door.type("#")
    assert not door.panel.maintenance
    upkeep.ask(token(door, 3))
    door.panel.screens.notice_pages = lambda lines: [lines]
    door.panel.desk.ask(GRACE, CONSENT, b"n" * 32, "Notice", ["text"])
    door.type("#")
    assert not door.panel.maintenance, "that key answered the notice"


def test_it_ends_by_itself_when_the_token_does():
    door = house()
    upkeep = door.panel.upkeep
    upkeep.ask(token(door, seconds=90))
    door.type("#")
    door.uptime += 89
    upkeep.tend()
    assert door.panel.maintenance
    door.uptime += 1
    upkeep.tend()
    assert not door.panel.maintenance and repl(door)[-1] == (False,)


def test_a_token_is_good_once_for_one_panel_and_in_time():
    door = house()
    upkeep = door.panel.upkeep
    for bad in (
        token(door, key=b"k" * 32),
        token(door, panel_id=b"panel-02"),
        token(door, seconds=0),
        token(door, seconds=tokens.MOST_S + 1),
        token(door)[:-1] + b"\x00",
        token(door)[:-1],
    ):
        assert refused(AuthError, upkeep.ask, bad)
    assert not door.panel.question.open and upkeep.report()["state"] == "off"
    used = token(door, 5)
    upkeep.ask(used)
    door.type("*")
    upkeep.ask(token(door, 6))
    door.type("*")
    assert refused(AuthError, upkeep.ask, used), "used"
    assert refused(AuthError, upkeep.ask, token(door, 4)), "an older one than the last"
    kept = token(door, 7)
    upkeep.ask(kept)
    door.restart()
    assert not door.panel.question.open and refused(AuthError, door.panel.upkeep.ask, kept), "also after a restart"
    assert refused(AuthError, door.panel.upkeep.end, kept)


def test_without_the_time_or_an_owner_there_is_none():
    door = house()
    made = token(door)
    door.house.clock.now = lambda: (0, 0)
    assert refused(Refused, door.panel.upkeep.ask, made)
    door.panel.vault.keys = None
    assert refused(NotProvisioned, door.panel.upkeep.ask, made)


def test_nobody_is_interrupted():
    door = house()
    door.type("301")
    assert refused(Refused, door.panel.upkeep.ask, token(door))
    door.type("#246813#")
    assert door.panel.upkeep.ask(token(door))["state"] == "asked"


def test_without_a_keypad_the_exit_button_answers():
    door = house()
    door.panel.entry.keypad = None
    upkeep = door.panel.upkeep
    door.board.pressed = lambda: True
    upkeep.ask(token(door))
    question = door.panel.question
    question.tend()
    question.tend()
    assert question.open, "it was held from before"
    door.board.pressed = lambda: False
    question.tend()
    door.board.pressed = lambda: True
    question.tend()
    assert door.panel.maintenance


def test_the_link_has_one_way_in_and_the_owner_a_way_out():
    door = house()
    commands = Commands(door.panel)
    made = token(door)
    assert commands.handle("maintain", {"token": made})["state"] == "asked"
    door.type("#")
    assert commands.hello()["maintenance"]
    assert refused(AuthError, door.panel.upkeep.end, token(door, 9))
    assert commands.handle("maintenance_end", {}) == {} and not commands.hello()["maintenance"]
