"""The software card against NXP's AuthenticateEV2First example (AN12196), and what it refuses."""

from __future__ import annotations

import contextlib

import pytest

from firmware.base.errors import HalError
from firmware.credentials import ntag424
from host_tools.errors import Usage
from host_tools.personalise import personalise, slot_key
from host_tools.sim.card import Card, cbc, session_keys
from host_tools.sim.desfire import DesfireCard

ZERO_KEY = bytes(16)
UID = bytes.fromhex("04DE5F1EACC040")
RND_A = bytes.fromhex("13C5DB8A5930439FC3DEF9A4C675360F")
RND_B = bytes.fromhex("B9E2FC789B64BF237CCCAA20EC7E6E48")
TI = bytes.fromhex("9D00C4DF")
SELECT = bytes.fromhex("00A4040007D276000085010100")
FIRST = bytes.fromhex("9071000002000000")
SITE_KEY, SITE_ID = bytes(range(16)), b"site-001"
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
    assert (card.session.enc_key, card.session.mac_key) == session_keys(ZERO_KEY, RND_A, RND_B)
    assert card.session.enc_key.hex().upper() == "1309C877509E5A215007FF0ED19CA564"
    assert card.session.mac_key.hex().upper() == "4C6626F5E72EA694202139295C7A7FC7"


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
        ("9051000000", "91AE"),
        ("90C4000000", "91AE"),
        ("9051000001000000", "917E"),
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
    assert (again.kind, again.uid, again.keys) == ("ntag424", card.uid, card.keys)
    assert (tmp_path / "card.json").stat().st_mode & 0o077 == 0


def test_a_desfire_card_remembers_its_application(tmp_path):
    card = DesfireCard.create()
    personalise(card.transceive, card.uid, SITE_KEY, SITE_ID)
    card.save(tmp_path / "card.json")
    again = Card.load(tmp_path / "card.json")
    assert isinstance(again, DesfireCard) and again.keys == card.keys
    assert again.transceive(SELECT).hex() == "9000"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"uid": "04", "keys": []}', '{"uid": "zz"}'])
def test_a_damaged_card_file_is_named(tmp_path, text):
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"card\.json is not a card file|a card has"):
        Card.load(path)


KINDS = pytest.mark.parametrize("kind", [Card, DesfireCard])


def site_keys(card):
    return [slot_key(SITE_KEY, SITE_ID, card.uid, slot) for slot in range(card.key_count)]


@KINDS
def test_a_factory_card_is_personalised_once_and_then_known(kind):
    card = kind.create()
    assert personalise(card.transceive, card.uid, SITE_KEY, SITE_ID)
    assert card.keys == site_keys(card) and len(set(card.keys)) == card.key_count
    card.enter_field()
    before = list(card.keys)
    assert not personalise(card.transceive, card.uid, SITE_KEY, SITE_ID)
    assert card.keys == before


@KINDS
def test_another_sites_card_is_refused_and_left_as_it_is(kind):
    card = kind.create()
    personalise(card.transceive, card.uid, SITE_KEY, SITE_ID)
    before = list(card.keys)
    for key, site in ((bytes(16), SITE_ID), (SITE_KEY, b"site-002")):
        card.enter_field()
        with pytest.raises(Usage, match="another site"):
            personalise(card.transceive, card.uid, key, site)
    assert card.keys == before


@KINDS
def test_a_cut_after_any_exchange_leaves_a_card_that_is_finished_later(kind):
    for cut in range(30):
        card = kind.create()
        left = cut

        def transceive(apdu, card=card):
            nonlocal left
            if left == 0:
                raise HalError("gone")
            left -= 1
            return card.transceive(apdu)

        try:
            personalise(transceive, card.uid, SITE_KEY, SITE_ID)
        except Usage as error:
            assert "taken away" in str(error)
        else:
            assert cut > 10
            break
        card.enter_field()
        personalise(card.transceive, card.uid, SITE_KEY, SITE_ID)
        assert card.keys == site_keys(card), cut


@KINDS
def test_no_flipped_bit_of_an_answer_personalises_wrongly(kind):
    """An altered answer may end the work, but never leaves a key that nobody knows, nor success without the key."""
    for step in range(15):
        for bit in (0, 7, 77):
            card = kind.create()
            seen = 0

            def transceive(apdu, card=card, step=step, bit=bit):
                nonlocal seen
                answer = bytearray(card.transceive(apdu))
                if seen == step:
                    answer[bit // 8 % len(answer)] ^= 1 << bit % 8
                seen += 1
                return bytes(answer)

            with contextlib.suppress(Usage):
                personalise(transceive, card.uid, SITE_KEY, SITE_ID)
            card.enter_field()
            personalise(card.transceive, card.uid, SITE_KEY, SITE_ID)
            assert card.keys == site_keys(card), (step, bit)


def test_the_door_key_changes_no_key():
    card = Card.create()
    personalise(card.transceive, card.uid, SITE_KEY, SITE_ID)
    door = ntag424.authenticate(card.transceive, card.keys[1], ntag424.DOOR_KEY, bytes(16))
    with pytest.raises(ntag424.CardError) as refused:
        door.change_key(2, bytes(16), card.keys[2], 1)
    assert refused.value.status.hex() == "919d"


def test_a_command_sent_twice_is_refused():
    """A replay of a genuine command in its own session: the counter has gone on."""
    card = Card.create()
    card.transceive(SELECT)
    sent = []
    door = ntag424.authenticate(lambda apdu: sent.append(apdu) or card.transceive(apdu), ZERO_KEY, 1, bytes(16))
    assert door.uid() == card.uid
    assert card.transceive(sent[-1]).hex() == "911e" and card.session is None
