"""Cards at the reader, from NXP's published exchange to a cloned UID."""

from firmware.base.errors import AuthError, HalError
from firmware.credentials import nfc, ntag424
from firmware.credentials.diversify import card_key
from firmware.credentials.nfc import CardReader
from firmware.crypto.aes import cbc_decrypt, cbc_encrypt, cmac

UID = bytes.fromhex("04DE5F1EACC040")
KEY = bytes(16)
RANDOM_A = bytes.fromhex("13C5DB8A5930439FC3DEF9A4C675360F")
RANDOM_B = bytes.fromhex("B9E2FC789B64BF237CCCAA20EC7E6E48")

# NXP AN12196: what the reader says, and what the card answers.
AN12196 = (
    ("00A4040007D276000085010100", "9000"),
    ("9071000002000000", "A04C124213C186F22399D33AC2A3021591AF"),
    (
        "90AF00002035C3E05A752E0144BAC0DE51C1F22C56B34408A23D8AEA266CAB947EA8E0118D00",
        "3FA64DB5446D1F34CD6EA311167F5E4985B89690C04A05F17FA7AB2F081206639100",
    ),
)


class Tape:
    """A reader with a recorded exchange: any other APDU means that the card is gone."""

    def __init__(self, exchange=AN12196, uid=UID):
        self.uid = uid
        self._exchange = {bytes.fromhex(apdu): bytes.fromhex(answer) for apdu, answer in exchange}

    def poll(self):
        return self.uid

    def transceive(self, apdu):
        if bytes(apdu) not in self._exchange:
            raise HalError("card gone")
        return self._exchange[bytes(apdu)]


class Card:
    """A card computed from the other side of the protocol, with one key."""

    def __init__(self, uid=UID, key=KEY):
        self.uid, self.key = uid, key
        self.asked = []
        self.spoil = None

    def poll(self):
        return self.uid

    def transceive(self, apdu):
        if self.uid is None:
            raise HalError("card gone")
        self.asked.append(bytes(apdu))
        answer = self._answer(bytes(apdu))
        return self.spoil(len(self.asked), answer) if self.spoil else answer

    def _answer(self, apdu):
        if apdu[1] == 0xA4:
            return b"\x90\x00"
        if apdu[1] == 0x71:
            return cbc_encrypt(self.key, bytes(16), RANDOM_B) + b"\x91\xaf"
        plain = cbc_decrypt(self.key, bytes(16), apdu[5:37])
        if plain[16:] != RANDOM_B[1:] + RANDOM_B[:1]:
            return b"\x91\xae"
        answer = b"\x01\x02\x03\x04" + plain[1:16] + plain[:1] + bytes(12)
        return cbc_encrypt(self.key, bytes(16), answer) + b"\x91\x00"


def reader(hardware, keys=None) -> CardReader:
    keys = {UID: KEY} if keys is None else keys
    return CardReader(
        hardware,
        lambda uid: bytearray(keys[uid]) if uid in keys else None,
        lambda n: RANDOM_A[:n],
    )


def test_the_published_exchange_authenticates():
    assert reader(Tape()).poll(0) == ("card", UID)


def test_the_published_session_comes_out():
    session = ntag424.authenticate(Tape().transceive, KEY, 0, RANDOM_A)
    assert session.transaction == bytes.fromhex("9D00C4DF")
    assert session.enc_key == bytes.fromhex("1309C877509E5A215007FF0ED19CA564")
    assert session.mac_key == bytes.fromhex("4C6626F5E72EA694202139295C7A7FC7")
    session.close()
    assert session.enc_key == session.mac_key == bytes(16)


def test_the_published_session_vectors():
    first, second = ntag424.session_vectors(RANDOM_A, RANDOM_B)
    assert first == bytes.fromhex("A55A0001008013C56268A548D8FBBF237CCCAA20EC7E6E48C3DEF9A4C675360F")
    assert second[:2] == b"\x5a\xa5" and second[2:] == first[2:]


def test_the_published_diversified_key():
    key = card_key(
        cmac,
        bytes.fromhex("00112233445566778899AABBCCDDEEFF"),
        bytes.fromhex("04782E21801D80"),
        bytes.fromhex("3042F5"),
        b"NXP Abu",
    )
    assert key == bytes.fromhex("A8DD63A3B89D54B37CA802473FDA9175")


def test_diversification_takes_no_input_that_rfc_4493_pads_otherwise():
    for system in (b"", b"12345", bytes(22)):
        try:
            card_key(cmac, KEY, UID, b"\x30\x42\xf5", system)
            raise AssertionError(system)
        except ValueError:
            pass
    keys = {card_key(cmac, KEY, bytes([n]) + UID[1:], ntag424.AID, b"site") for n in range(20)}
    assert len(keys) == 20


def test_an_unknown_card_is_not_even_spoken_to():
    card = Card()
    assert reader(card, {}).poll(0) == ("card_refused", nfc.UNKNOWN_CARD, UID)
    assert card.asked == []


def test_a_cloned_uid_without_the_key_is_refused():
    """Whether the clone answers honestly that it does not know our key, or makes an answer up."""
    clone = Card(key=b"\x01" * 16)
    assert reader(clone).poll(0) == ("card_refused", nfc.WRONG_KEY, UID)
    clone.spoil = lambda step, answer: bytes(range(32)) + b"\x91\x00" if step == 3 else answer
    clone.asked = []
    assert reader(clone).poll(0) == ("card_refused", nfc.WRONG_KEY, UID)


def test_a_replayed_session_is_refused():
    """The recorded answers of a genuine card, under the next challenge."""
    replay = Card()
    recorded = [bytes.fromhex(answer) for _, answer in AN12196]
    replay.spoil = lambda step, _: recorded[step - 1]
    again = CardReader(replay, lambda uid: bytearray(KEY), lambda n: bytes(range(n)))
    assert again.poll(0) == ("card_refused", nfc.WRONG_KEY, UID)


def test_a_card_taken_away_at_any_step_is_refused_and_may_come_again():
    for step in (1, 2, 3):
        card = Card()

        def leave(at, answer, step=step):
            if at == step:
                raise HalError("card gone")
            return answer

        card.spoil = leave
        panel = reader(card)
        assert panel.poll(0) == ("card_refused", nfc.CARD_REMOVED, UID)
        card.spoil = None
        assert panel.poll(1) == ("card", UID)


def test_every_malformed_answer_is_refused():
    genuine = [bytes.fromhex(answer) for _, answer in AN12196]
    for step in (1, 2, 3):
        whole = genuine[step - 1]
        bad = [whole[:n] for n in range(len(whole))] + [whole + b"\0", b"\x6a\x82", bytes(300)]
        for spoiled in bad:
            card = Card()
            card.spoil = lambda at, answer, s=spoiled, step=step: s if at == step else answer
            assert reader(card).poll(0) == ("card_refused", nfc.MALFORMED, UID), (step, spoiled)


def test_every_flipped_bit_of_the_proof_is_refused():
    """Of RndA, that is: transaction identifier and capabilities prove nothing."""
    for bit in range(4 * 8, 20 * 8):
        card = Card()

        def flip(at, answer, bit=bit):
            if at != 3:
                return answer
            plain = bytearray(cbc_decrypt(KEY, bytes(16), answer[:32]))
            plain[bit // 8] ^= 1 << bit % 8
            return cbc_encrypt(KEY, bytes(16), bytes(plain)) + b"\x91\x00"

        card.spoil = flip
        assert reader(card).poll(0) == ("card_refused", nfc.WRONG_KEY, UID), bit


def test_a_card_that_stays_is_read_once():
    card = Card()
    panel = reader(card)
    assert panel.poll(0) == ("card", UID)
    for now in range(100, 5000, 100):
        assert panel.poll(now) is None
    card.uid = None
    assert panel.poll(5000) is None
    assert panel.poll(5700) is None
    card.uid = UID
    assert panel.poll(5800) == ("card", UID)


def test_two_cards_in_turn_are_both_read():
    other = b"\x04" + UID[1:6] + b"\x99"
    card = Card()
    panel = reader(card, {UID: KEY, other: KEY})
    assert panel.poll(0) == ("card", UID)
    card.uid = other
    assert panel.poll(50) == ("card", other)


def test_a_reader_that_fails_reads_nothing():
    class Dead:
        def poll(self):
            raise HalError("no answer")

    assert reader(Dead()).poll(0) is None


def test_the_key_is_wiped_after_use():
    lent = []

    def key_of(uid):
        lent.append(bytearray(b"\x01" * 16))
        return lent[-1]

    for card in (Card(key=b"\x01" * 16), Card(key=b"\x02" * 16)):
        CardReader(card, key_of, lambda n: RANDOM_A).poll(0)
    assert lent == [bytearray(16), bytearray(16)]


def test_another_key_slot_is_asked_for_by_its_number():
    card = Card()
    assert CardReader(card, lambda uid: bytearray(KEY), lambda n: RANDOM_A, 2).poll(0) == ("card", UID)
    assert card.asked[1] == bytes.fromhex("9071000002020000")
    try:
        ntag424.authenticate(Card(key=b"\x09" * 16).transceive, KEY, 2, RANDOM_A)
        raise AssertionError("opened")
    except AuthError:
        pass
