"""The services on a real vault: residents and their credentials, settings, events."""

import json
import os

from firmware.access.policy import Rights
from firmware.access.schedule import Schedule
from firmware.base.errors import BadRequest, NotFound, Refused
from firmware.services.events import Events
from firmware.services.residents import DECLINED, GIVEN, MAX_CARDS, Residents
from firmware.services.settings import FIELDS, Settings
from tests.firmware.vault_house import CONSENT, EILEEN, GRACE, NOTICE, House, refused

RIGHTS = Rights(5, Schedule([(31, 360, 1320)]), 10, 20)
SALT, HASH, KEY, UID = b"s" * 16, b"h" * 32, b"k" * 16, b"\x04abcdef"


def reopened(house: House) -> Residents:
    house.open()
    residents = Residents(house.vault)
    assert residents.load() == 0
    return residents


def test_a_resident_outlives_a_restart_whole():
    house = House()
    residents = Residents(house.vault)
    residents.put_rights(GRACE, "301", RIGHTS)
    residents.set_pin(GRACE, SALT, 2000, HASH)
    residents.add_card(GRACE, UID, KEY)
    residents.set_consent(GRACE, GIVEN, 1_800_000_000, CONSENT, NOTICE)
    residents = reopened(house)
    grace = residents.get(GRACE)
    assert (grace.flat, grace.rights.doors, grace.rights.valid_from, grace.rights.valid_until) == ("301", 5, 10, 20)
    assert grace.rights.schedule.windows == ((31, 360, 1320),)
    ((owner, duress, verifier),) = residents.pin_verifiers("301")
    assert grace.has_pin and (owner.handle, duress, verifier) == (GRACE, False, (SALT, 2000, HASH))
    assert residents.of_card(UID).handle == GRACE and residents.card_key(UID) == KEY
    assert grace.consent.covers(CONSENT, NOTICE)
    assert residents.of_flat("301") == [GRACE] and residents.of_flat("30") == []


def test_ram_keeps_no_secret():
    house = House()
    residents = Residents(house.vault)
    residents.put_rights(GRACE, "301", RIGHTS)
    residents.set_pin(GRACE, SALT, 2000, HASH)
    residents.add_card(GRACE, UID, KEY)
    grace = residents.get(GRACE)
    assert not [value for value in grace.__dict__.values() if value in (KEY, HASH, SALT)]
    assert not [kept for kept in residents._by_handle[GRACE] if KEY in kept or HASH in kept or SALT in kept]


def test_new_rights_leave_credentials_and_consent_alone():
    house = House()
    residents = Residents(house.vault)
    residents.put_rights(GRACE, "301", RIGHTS)
    residents.add_card(GRACE, UID, KEY)
    residents.set_consent(GRACE, GIVEN, 1, CONSENT, NOTICE)
    residents.put_rights(GRACE, "302", Rights(1, Schedule.always(), 0, 0))
    grace = reopened(house).get(GRACE)
    assert grace.flat == "302" and grace.uids == [UID] and grace.consent.covers(CONSENT, NOTICE)
    assert grace.rights.schedule.is_always


def test_consent_covers_only_what_was_agreed_to():
    house = House()
    residents = Residents(house.vault)
    residents.put_rights(GRACE, "301", RIGHTS)
    residents.set_consent(GRACE, DECLINED, 1, CONSENT, NOTICE)
    assert not residents.get(GRACE).consent.covers(CONSENT, NOTICE)
    residents.set_consent(GRACE, GIVEN, 1, CONSENT, NOTICE)
    assert not residents.get(GRACE).consent.covers(CONSENT, b"m" * 32)
    assert not residents.get(GRACE).consent.covers(b"another-consent.", NOTICE)


def test_a_card_belongs_to_one_resident_and_there_are_only_so_many():
    house = House()
    residents = Residents(house.vault)
    residents.put_rights(GRACE, "301", RIGHTS)
    residents.put_rights(EILEEN, "302", RIGHTS)
    residents.add_card(GRACE, UID, KEY)
    assert refused(Refused, residents.add_card, EILEEN, UID, KEY)
    residents.add_card(GRACE, UID, b"n" * 16)  # the same card, keyed anew
    assert residents.get(GRACE).uids == [UID] and residents.card_key(UID) == b"n" * 16
    for i in range(MAX_CARDS - 1):
        residents.add_card(GRACE, bytes([i]) * 7, KEY)
    assert refused(Refused, residents.add_card, GRACE, b"toomany", KEY)


def test_dropping_takes_what_was_named_and_no_more():
    house = House()
    residents = Residents(house.vault)
    residents.put_rights(GRACE, "301", RIGHTS)
    residents.set_pin(GRACE, SALT, 2000, HASH)
    for uid in (b"card-01", b"card-02", b"card-03"):
        residents.add_card(GRACE, uid, KEY)
    assert residents.drop_credential(GRACE, "card", b"card-02") == 1
    assert residents.drop_credential(GRACE, "card", b"card-02") == 0
    assert residents.get(GRACE).uids == [b"card-01", b"card-03"] and residents.get(GRACE).has_pin
    assert residents.drop_credential(GRACE, "pin") == 1 and residents.pin_verifiers("301") == []
    assert residents.drop_credential(GRACE, "card") == 2
    assert residents.card_key(b"card-01") is None
    residents.drop(GRACE)
    assert refused(NotFound, residents.get, GRACE)
    assert len(reopened(house)) == 0


def settings_folder() -> str:
    folder = (os.getenv("TMPDIR") or "/tmp") + "/settings-%d" % id(settings_folder)
    try:
        os.mkdir(folder)
    except OSError:
        pass
    return folder


def stored(folder: str, text: str) -> Settings:
    with open(folder + "/settings.json", "w") as file:
        file.write(text)
    return Settings(folder)


def test_bad_settings_fall_to_safe_defaults_one_by_one():
    folder = settings_folder()
    defaults = {name: field[0] for name, field in FIELDS.items()}
    defaults["holidays"] = []
    for text in ("", "{", "[]", "null", '{"open_s": "9"}', '{"open_s": 9000}', '{"open_s": 1.5}', '{"unknown": 1}'):
        assert stored(folder, text).values == defaults, text
    for holidays in (7, [-1], [70000], ["1"], [1] * 49):
        assert stored(folder, json.dumps({"holidays": holidays})).values == defaults
    mixed = stored(folder, json.dumps({"open_s": 9, "door": -1, "holidays": [19723]}))
    assert mixed["open_s"] == 9 and mixed["door"] == defaults["door"] and mixed["holidays"] == [19723]


def test_a_change_of_settings_is_all_or_nothing():
    folder = settings_folder()
    settings = stored(folder, "{}")
    settings.change({"open_s": 9, "face": False})
    assert Settings(folder)["open_s"] == 9 and Settings(folder)["face"] == 0
    assert refused(BadRequest, settings.change, {"open_s": 3, "door": 99})
    assert settings["open_s"] == 9 and Settings(folder)["open_s"] == 9


def test_events_are_numbered_for_ever_and_kept_for_a_while():
    events = Events()
    for _ in range(50):
        events.add("face", opened=False)
    found, following = events.since(0, 12)
    assert [event["seq"] for event in found] == list(range(18, 30)) and following == 30
    assert events.since(following, 100)[1] == 50 and events.since(50, 12) == ([], 50)
