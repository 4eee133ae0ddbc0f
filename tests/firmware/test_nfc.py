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
TI = b"\x01\x02\x03\x04"

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
        self.states = None  # another UID that it states under the session
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
        if apdu[1] == 0x51:
            return self._uid(apdu[5:13])
        plain = cbc_decrypt(self.key, bytes(16), apdu[5:37])
        if plain[16:] != RANDOM_B[1:] + RANDOM_B[:1]:
            return b"\x91\xae"
        self.keys = [cmac(self.key, vector) for vector in ntag424.session_vectors(plain[:16], RANDOM_B)]
        answer = TI + plain[1:16] + plain[:1] + bytes(12)
        return cbc_encrypt(self.key, bytes(16), answer) + b"\x91\x00"

    def _uid(self, mac):
        if mac != self._mac(b"\x51\0\0" + TI):
            return b"\x91\x1e"
        iv = cbc_encrypt(self.keys[0], bytes(16), b"\x5a\xa5" + TI + b"\1\0" + bytes(8))
        body = cbc_encrypt(self.keys[0], iv, (self.states or self.uid) + b"\x80" + bytes(8))
        return body + self._mac(b"\0\1\0" + TI + body) + b"\x91\x00"

    def _mac(self, message):
        whole = cmac(self.keys[1], message)
        return bytes(whole[i] for i in range(1, 16, 2))


class Clock:
    """A panel's clock on which every exchange with the card takes `step` milliseconds."""

    def __init__(self, step):
        self.now, self.step = 0, step

    def __call__(self):
        self.now += self.step
        return self.now


def reader(hardware, keys=None, step_ms=0) -> CardReader:
    keys = {UID: KEY} if keys is None else keys
    return CardReader(
        hardware,
        lambda uid: bytearray(keys[uid]) if uid in keys else None,
        lambda n: RANDOM_A[:n],
        Clock(step_ms),
    )


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


class Script:
    """A card that answers one command as published, and only that command."""

    def __init__(self, asked, answer):
        self.asked, self.answer = bytes.fromhex(asked), bytes.fromhex(answer)

    def __call__(self, apdu):
        assert bytes(apdu) == self.asked, apdu
        return self.answer


def session(script, transaction, enc_key, mac_key, counter=0):
    opened = ntag424.Session(script, 0, *[bytes.fromhex(value) for value in (transaction, enc_key, mac_key)])
    opened.counter = counter
    return opened


# AN12196 tables 25, 26 (one session) and 28.
CHANGING = ("7614281A", "4CF3CB41A22583A61E89B158D252FC53", "5529860B2FC5FB6154B7F28361D30BF9")
OTHER_KEY = (
    "90C4000029022CF362B7BF4311FF3BE1DAA295E8C68DE09050560D19B9E16C2393AE9CD1FAC75D0CE20BCD1D06E600",
    "203BB55D1089D5879100",
)
OWN_KEY = "90C400002900C0EB4DEEFEDDF0B513A03A95A75491818580503190D4D05053FF75668A01D6FDA6610234BDED643200"
ASKING = ("DF055522", "2B4D963C014DC36F24F69A50A394F875", "379D32130CE61705DD5FD8C36B95D764")
CARD_UID = ("90510000088E2C155ADDA99BE300", "70756055688505B52A5E26E59E329CD6595F672298EA41B79100")


def test_the_published_change_of_another_key():
    opened = session(Script(*OTHER_KEY), *CHANGING, counter=2)
    opened.change_key(2, bytes.fromhex("F3847D627727ED3BC9C4CC050489B966"), bytes(16), 1)
    assert opened.counter == 3
    assert ntag424.crc32(bytes.fromhex("F3847D627727ED3BC9C4CC050489B966")) == 0xDCFA9D78


def test_the_published_change_of_the_sessions_own_key():
    opened = session(Script(OWN_KEY, "9100"), *CHANGING, counter=3)
    opened.change_key(0, bytes.fromhex("5004BF991F408672B1EF00F08F9E8647"), None, 1)


def test_the_published_card_uid():
    assert session(Script(*CARD_UID), *ASKING).uid() == bytes.fromhex("04958CAA5C5E80")


def test_a_flipped_bit_in_an_answer_under_the_session_is_refused():
    asked, answer = CARD_UID
    for bit in range(len(answer) * 4):
        spoiled = bytearray(bytes.fromhex(answer))
        spoiled[bit // 8] ^= 1 << bit % 8
        script = Script(asked, "")
        script.answer = bytes(spoiled)
        try:
            session(script, *ASKING).uid()
            raise AssertionError(bit)
        except (AuthError, ntag424.CardError):
            pass


def test_an_answer_is_not_taken_twice():
    """The counter is in every CMAC: yesterday's answer, or the one before, fits no later command."""
    opened = session(Script(*CARD_UID), *ASKING)
    opened.uid()
    opened._transceive = lambda apdu: bytes.fromhex(CARD_UID[1])
    try:
        opened.uid()
        raise AssertionError
    except AuthError:
        pass


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


def recorded(card) -> list:
    """What a genuine card answered, step by step."""
    tape = []
    card.spoil = lambda step, answer: tape.append(answer) or answer
    assert reader(card).poll(0) == ("card", UID)
    card.spoil, card.asked = None, []
    return tape


def test_a_replayed_session_is_refused():
    """The recorded answers of a genuine card, under the next challenge."""
    replay = Card()
    tape = recorded(replay)
    replay.spoil = lambda step, _: tape[step - 1]
    again = CardReader(replay, lambda uid: bytearray(KEY), lambda n: bytes(range(n)))
    assert again.poll(0) == ("card_refused", nfc.WRONG_KEY, UID)


def test_a_card_taken_away_at_any_step_is_refused_and_may_come_again():
    for step in (1, 2, 3, 4):
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


def test_a_relay_that_takes_too_long_is_refused():
    """Four exchanges: 75 ms each is the last that counts as near, wherever the time goes."""
    assert reader(Card(), step_ms=nfc.EXCHANGE_MS // 4).poll(0) == ("card", UID)
    assert reader(Card(), step_ms=nfc.EXCHANGE_MS // 4 + 1).poll(0) == ("card_refused", nfc.TOO_SLOW, UID)
    for slow in (1, 2, 3, 4):
        card = Card()
        panel = reader(card)

        def wait(step, answer, panel=panel, slow=slow):
            if step == slow:
                panel._ticks.now += nfc.EXCHANGE_MS + 1
            return answer

        card.spoil = wait
        assert panel.poll(0) == ("card_refused", nfc.TOO_SLOW, UID)
        assert len(card.asked) == slow, "nothing more is said to a card that is too slow"


def test_every_malformed_answer_is_refused():
    genuine = recorded(Card())
    for step in (1, 2, 3, 4):
        whole = genuine[step - 1]
        bad = [whole[:n] for n in range(len(whole))] + [whole + b"\0", b"\x6a\x82", bytes(300)]
        for spoiled in bad:
            card = Card()
            card.spoil = lambda at, answer, s=spoiled, step=step: s if at == step else answer
            assert reader(card).poll(0) == ("card_refused", nfc.MALFORMED, UID), (step, spoiled)


def test_every_flipped_bit_of_every_answer_is_refused():
    genuine = recorded(Card())
    for step in (1, 2, 3, 4):
        for bit in range(len(genuine[step - 1]) * 8):
            card = Card()

            def flip(at, answer, bit=bit, step=step):
                if at != step:
                    return answer
                spoiled = bytearray(answer)
                spoiled[bit // 8] ^= 1 << bit % 8
                return bytes(spoiled)

            card.spoil = flip
            assert reader(card).poll(0)[0] == "card_refused", (step, bit)


def test_a_card_that_states_another_uid_than_the_radio_is_refused():
    card = Card()
    card.states = b"\x04" + UID[1:6] + b"\x99"
    assert reader(card).poll(0) == ("card_refused", nfc.WRONG_KEY, UID)


def test_a_card_by_its_uid_alone_is_told_apart():
    card = Card()
    assert reader(card, {UID: b""}).poll(0) == ("uid", UID)
    assert card.asked == []


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


def test_the_door_asks_for_its_own_key_slot_and_never_for_the_master_key():
    card = Card()
    assert reader(card).poll(0) == ("card", UID)
    assert card.asked[1] == bytes.fromhex("9071000002010000")
