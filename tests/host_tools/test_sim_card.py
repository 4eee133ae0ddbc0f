"""The software card against NXP's AuthenticateEV2First example (AN12196), and what it refuses."""

from __future__ import annotations

import pytest

from host_tools.sim.card import Card, cbc, session_keys

ZERO_KEY = bytes(16)
UID = bytes.fromhex("04DE5F1EACC040")
RND_A = bytes.fromhex("13C5DB8A5930439FC3DEF9A4C675360F")
RND_B = bytes.fromhex("B9E2FC789B64BF237CCCAA20EC7E6E48")
TI = bytes.fromhex("9D00C4DF")
SELECT = bytes.fromhex("00A4040007D276000085010100")
FIRST = bytes.fromhex("9071000002000000")
SECOND = bytes.fromhex("90AF00002035C3E05A752E0144BAC0DE51C1F22C56B34408A23D8AEA266CAB947EA8E0118D00")


def fixed_card(keys=None):
    values = [RND_B, TI]
    return Card(UID, keys or [ZERO_KEY] * 5, random=lambda n: values.pop(0))


def test_reproduces_the_published_exchange():
    card = fixed_card()
    assert card.transceive(SELECT).hex() == "9000"
    assert card.transceive(FIRST).hex().upper() == "A04C124213C186F22399D33AC2A3021591AF"
    expected = "3FA64DB5446D1F34CD6EA311167F5E4985B89690C04A05F17FA7AB2F081206639100"
    assert card.transceive(SECOND).hex().upper() == expected
    assert card.session == session_keys(ZERO_KEY, RND_A, RND_B)
    assert card.session[0].hex().upper() == "1309C877509E5A215007FF0ED19CA564"
    assert card.session[1].hex().upper() == "4C6626F5E72EA694202139295C7A7FC7"


def test_a_wrong_key_is_refused_and_leaves_no_session():
    card = fixed_card([bytes([7] * 16)] * 5)
    card.transceive(SELECT)
    card.transceive(FIRST)
    answer = cbc(ZERO_KEY, RND_A + RND_B[1:] + RND_B[:1], encrypt=True)
    assert card.transceive(b"\x90\xaf\0\0\x20" + answer + b"\0").hex().upper() == "91AE"
    assert card.session is None
    assert card.transceive(SECOND).hex().upper() == "911C"


@pytest.mark.parametrize(
    ("apdu", "status"),
    [
        ("00A4040007D276000085010200", "6A82"),
        ("00A40400", "6700"),
        ("00A40400FFD2", "6700"),
        ("00B0000000", "6D00"),
        ("80CA0000", "6E00"),
        ("90", "6700"),
    ],
)
def test_other_applications_and_classes(apdu, status):
    assert fixed_card().transceive(bytes.fromhex(apdu)).hex().upper() == status


@pytest.mark.parametrize(
    ("apdu", "status"),
    [
        ("9071000002050000", "9140"),
        ("90710000020000", "917E"),
        ("9071000003000000", "917E"),
        ("90AF0000020000", "917E"),
        ("90AF0000010000", "911C"),
        ("9051000000", "917E"),
    ],
)
def test_malformed_native_commands(apdu, status):
    card = fixed_card()
    card.transceive(SELECT)
    assert card.transceive(bytes.fromhex(apdu)).hex().upper() == status


def test_nothing_before_the_application_is_selected():
    assert fixed_card().transceive(FIRST).hex().upper() == "919D"


def test_leaving_the_field_ends_the_session():
    card = fixed_card()
    for apdu in (SELECT, FIRST, SECOND):
        card.transceive(apdu)
    card.enter_field()
    assert card.session is None
    assert card.transceive(FIRST).hex().upper() == "919D"


def test_a_card_survives_its_file(tmp_path):
    card = Card.create()
    card.save(tmp_path / "card.json")
    again = Card.load(tmp_path / "card.json")
    assert (again.uid, again.keys) == (card.uid, card.keys)
    assert (tmp_path / "card.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"uid": "04", "keys": []}', '{"uid": "zz"}'])
def test_a_damaged_card_file_is_named(tmp_path, text):
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"card\.json is not a card file|a card has"):
        Card.load(path)
