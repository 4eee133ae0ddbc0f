"""Requirement 5: who consented withdraws at the panel, alone, with no more keys than consenting took."""

import asyncio
from binascii import a2b_base64
from hashlib import sha256

from firmware.base.errors import EraseFailed, NotProvisioned, Refused
from firmware.base.ticks import ticks_ms
from firmware.crypto import ed25519
from firmware.services.commands import Commands
from firmware.services.residents import GIVEN, WITHDRAWN
from firmware.vault import clearance, receipt
from firmware.vault.records import FACE, RESIDENT
from tests.firmware.entry_house import Entrance
from tests.firmware.test_nfc import Card
from tests.firmware.vault_house import CONSENT, EILEEN, GRACE, MODEL, NOTICE, PUBLIC, refused, templates

PIN = b"271828"
UID, KEY = b"\x04abcdef", b"grace's card key"


class Gallery:
    """Whom the panel would recognise."""

    model_id = MODEL

    def __init__(self):
        self.known = []

    def __contains__(self, handle):
        return handle in self.known

    def __len__(self):
        return len(self.known)

    def handles(self):
        return self.known

    def add(self, handle, model_id, faces):
        self.known.append(handle)

    def remove(self, handle):
        if handle in self.known:
            self.known.remove(handle)


def home() -> Entrance:
    """GRACE of flat 301 and EILEEN of 302, both with PIN, consent and face."""
    home = Entrance()
    home.panel.gallery = Gallery()
    for handle, flat, tag in ((GRACE, "301", 1), (EILEEN, "302", 2)):
        home.resident(handle, flat, PIN)
        home.panel.residents.set_consent(handle, GIVEN, 1_800_000_000, CONSENT, NOTICE)
        home.panel.enrol(handle, MODEL, CONSENT, NOTICE, 0, templates(tag))
    return home


def screens(home) -> list:
    return [call[0] for call in home.panel.screens.calls]


def faces(home) -> list:
    return sorted(home.panel.vault.face_handles())


def test_requirement_5_a_resident_withdraws_alone_and_sees_the_receipt():
    house = home()
    assert not house.type("*301#271828#")
    assert screens(house)[-1] == "delete_face_confirm" and faces(house) == sorted([GRACE, EILEEN])
    assert not house.type("#")
    name, text = house.panel.screens.calls[-1]
    shown = receipt.verify(a2b_base64(text), PUBLIC, ed25519.verify)
    assert (name, shown.handle, shown.reason) == ("receipt", GRACE, "withdrawn")
    assert faces(house) == [EILEEN] and house.panel.gallery.known == [EILEEN]
    assert house.panel.residents.get(GRACE).consent.state == WITHDRAWN
    assert [r.handle for r in house.house.receipts()] == [GRACE]  # the host fetches the same one later
    assert house.panel.vault.receipts_waiting == 1
    kinds = [kind for kind, _ in house.log()]
    assert kinds[-3:] == ["consent_withdrawn", "erase_intent", "erase_done"] and "opened" not in kinds
    assert house.type("301#271828#")  # the PIN opens as before


def test_requirement_5_a_card_says_who_as_well():
    house = home()
    house.panel.residents.add_card(GRACE, UID, KEY)
    house.type("*")
    assert not house.tap(Card(UID, bytes(16))) and screens(house)[-1] == "denied"  # a copy of the UID is nobody
    assert not house.type("#") and faces(house) == sorted([GRACE, EILEEN])
    house.panel.entry.keypad.reset()
    house.type("*")
    assert not house.tap(Card(UID, KEY)) and screens(house)[-1] == "delete_face_confirm"
    house.type("#")
    assert screens(house)[-1] == "receipt" and faces(house) == [EILEEN]
    assert house.tap(Card(UID, KEY))  # the card opens as before


def test_requirement_5_withdrawing_takes_no_more_keys_than_consenting():
    """Both come after showing who one is: at the desk when consenting, by card or PIN when withdrawing."""
    house = home()
    desk = house.panel.desk
    for paragraphs in (1, 4, 16):
        house.panel.screens.notice_pages = lambda lines: [[line] for line in lines]
        desk.ask(GRACE, CONSENT, b"m" * 32, "Notice", ["text"] * paragraphs)
        consenting = "8" * (paragraphs - 1) + "#"
        house.type(consenting)
        assert house.panel.residents.get(GRACE).consent.notice_hash == b"m" * 32
        withdrawing = ("*", "#")
        assert len(withdrawing) <= 1 + len(consenting)  # the manager's own key press began the consent


def test_anything_else_deletes_nothing():
    for keys in ("*", "**", "*#", "*301#271828#*", "*301#271829##", "*303#271828##", "*301#*", "*301#27182"):
        house = home()
        assert not house.type(keys), keys
        assert faces(house) == sorted([GRACE, EILEEN]), keys
        house.panel.selfservice.cancel()
        house.panel.entry.keypad.reset()
        assert house.type("301#271828#"), keys


def test_silence_ends_it():
    house = home()
    house.type("*301#271828#")

    async def wait():
        entry = house.panel.entry
        for event in entry.keypad.poll(ticks_ms() + 10**6):
            await getattr(entry, "_on_" + event[0])(*event[1:])

    asyncio.run(wait())
    assert not house.panel.selfservice.open and faces(house) == sorted([GRACE, EILEEN])


def test_wrong_pins_are_counted_there_too():
    house = home()
    for _ in range(12):
        house.type("*301#271829#")
    assert house.shown()[1] == "locked_out"
    house.type("*301#271828#")
    assert not house.panel.selfservice.confirming


def block_of(house, kind: int, handle: bytes) -> int:
    return house.panel.vault._pool.index[(kind, handle)][0]


def test_a_withdrawal_does_not_stop_at_a_resisting_block_of_another_record():
    house = home()
    house.house.faults.stuck.add(block_of(house, RESIDENT, GRACE))
    house.type("*301#271828##")
    assert screens(house)[-1] == "receipt" and faces(house) == [EILEEN]
    assert house.panel.residents.get(GRACE).consent.state == WITHDRAWN and house.panel.vault.quarantined == 1


def test_a_resident_who_is_dropped_is_gone_even_if_the_block_resists():
    house = home()
    house.house.faults.stuck.add(block_of(house, RESIDENT, GRACE))
    assert refused(EraseFailed, house.panel.residents.drop, GRACE)
    assert not house.panel.residents.knows(GRACE) and not house.type("301#271828#")


def test_a_block_that_resists_is_no_success():
    house = home()
    house.house.faults.stuck.add(block_of(house, FACE, GRACE))
    house.type("*301#271828##")
    assert screens(house)[-1] == "face_not_erased"
    assert faces(house) == [EILEEN] and house.panel.gallery.known == [EILEEN] and house.house.receipts() == []


def test_who_has_no_face_here_is_told_so():
    house = home()
    house.type("*301#271828##")
    house.type("*301#271828#")
    assert screens(house)[-1] == "no_face_stored" and not house.panel.selfservice.open


def test_a_notice_or_maintenance_comes_first():
    house = home()
    house.type("*301#271828#")
    house.panel.screens.notice_pages = lambda lines: [lines]
    house.panel.desk.ask(EILEEN, CONSENT, b"m" * 32, "Notice", ["text"])
    house.type("#")
    assert faces(house) == sorted([GRACE, EILEEN])  # the key answered the notice
    house.panel.upkeep._state = "on"
    house.type("*")
    assert not house.panel.selfservice.open


def command(house, op: str, **fields):
    result = Commands(house.panel).handle(op, fields)
    return asyncio.run(result) if hasattr(result, "send") else result


def test_the_host_acknowledges_exports_and_buries():
    house = home()
    old = house.house.image()
    house.type("*301#271828##")
    counter = house.house.receipts()[0].counter
    assert command(house, "receipts_ack", upto=counter) == {"waiting": 0}
    page = command(house, "log_export", since=3, limit=20)
    entries = house.panel.vault.log(3, 20)
    assert page["entries"] == [entry.body + entry.hash for entry in entries]
    assert page["before"] == house.panel.vault.log(0, 2)[-1].hash and page["next"] == entries[-1].sequence + 1
    house.house.restore_image(old)
    house.restart()
    house.panel.gallery = Gallery()
    for handle in house.panel.vault.face_handles():
        house.panel._load_face(handle)
    assert GRACE in house.panel.gallery
    stones = [{"what": "face", "handle": GRACE, "sequence": counter, "time": 0}]
    assert command(house, "tombstones", items=stones) == {"wiped": 1, "receipts_waiting": 1}
    assert house.panel.gallery.known == [EILEEN] and faces(house) == [EILEEN]
    stones = [{"what": "resident", "handle": EILEEN, "sequence": 0, "time": 0xFFFFFFFF}]
    assert command(house, "tombstones", items=stones)["wiped"] == 1
    assert not house.panel.residents.knows(EILEEN) and not house.type("302#271828#")


def test_a_panel_is_given_up_over_the_link():
    house = home()
    panel = house.panel
    panel.settings.change = lambda values: None
    assert refused(Refused, lambda: command(house, "decommission", panel_id=bytes(8)))
    answer = command(house, "decommission", panel_id=b"panel-01")
    assert answer["left"] == 0 and not house.type("301#271828#") and panel.gallery.known == []
    found = clearance.verify(answer["clearance"], PUBLIC, ed25519.verify)
    assert (found.facts.faces, found.facts.residents) == (2, 2)
    assert refused(Refused, lambda: command(house, "decommission_done", clearance_hash=bytes(32)))
    command(house, "decommission_done", clearance_hash=sha256(answer["clearance"]).digest())
    assert panel.clearing.over and panel.vault.fresh
    assert house.house.image() == b"\xff" * (24 * 4096)
    assert refused(NotProvisioned, panel.vault.append, "started")


def test_a_panel_killed_while_it_is_given_up_goes_on_by_itself():
    house = home()
    house.panel.vault.decommission()
    house.restart()
    assert not house.panel.vault.in_service and not house.type("301#271828#")
    assert ("open_repl", False) in house.board.console.calls
    for _ in range(20):
        house.panel.clearing.tend()
    assert house.panel.vault.clearance and house.house.image()[2 * 4096 :] == b"\xff" * (22 * 4096)


def test_newer_firmware_s_vault_opens_nothing_and_stays_as_it_is():
    house = home()
    image = bytearray(house.house.image())
    for place in (0, 1):
        image[place * 4096 + 4] = 2
        image[place * 4096 + 256] ^= 1
    house.house.restore_image(bytes(image))
    house.house.open = lambda: None
    house.restart()
    assert not house.type("301#271828#") and not house.panel.vault.fresh
    assert ("open_repl", False) in house.board.console.calls
    assert house.house.image() == bytes(image)
