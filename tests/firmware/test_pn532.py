"""The PN532 driver against a software chip, over each of its buses: cards come and go, frames are lost, chips hang."""

from firmware.base.errors import HalError
from firmware.credentials.nfc import CardReader
from firmware.hal.drivers import pn532_frames as frames
from firmware.hal.drivers.pn532 import Pn532
from firmware.hal.drivers.pn532_buses import I2cBus, SpiBus, UartBus
from host_tools.sim.pn532 import Chip, I2cFace, SpiFace, UartFace
from tests.firmware import test_nfc as virtual

UID = bytes.fromhex("04DE5F1EACC040")
APDU = bytes.fromhex("00A4040007D276000085010100")


class Card:
    """Answers with what it was asked, and counts how often it was powered."""

    def __init__(self, uid=UID):
        self.uid = uid
        self.powered = 0

    def enter_field(self):
        self.powered += 1

    def transceive(self, apdu):
        return bytes(apdu) + b"\x90\x00"


class Bench:
    """A driver on a chip; time passes only where the driver sleeps."""

    def __init__(self, bus="uart", card=None, line=True):
        self.now = 1000
        self.chip = Chip(card)
        if bus == "i2c":
            self.face = I2cFace(self.chip)
            wired = I2cBus(self.face, self.sleep)
        elif bus == "spi":
            self.face = SpiFace(self.chip)
            wired = SpiBus(self.face, self.face.cs, self.sleep)
        else:
            self.face = UartFace(self.chip)
            wired = UartBus(self.face)
        self.reader = Pn532(wired, self.chip.reset if line else None, self.sleep, lambda: self.now)

    def sleep(self, ms):
        self.now += ms

    def look(self, times=3):
        """The card that one of `times` polls, 50 ms apart, finds first, or None."""
        for _ in range(times):
            self.now += 50
            found = self.reader.poll()
            if found:
                return found
        return None

    def fails(self, call, *args) -> bool:
        try:
            call(*args)
        except HalError:
            return True
        return False


BUSES = ("i2c", "spi", "uart")


def test_the_published_frames():
    assert frames.build(frames.TO_CHIP, b"\x14\x01\x14\x01") == bytes.fromhex("0000FF05FBD4140114010200")
    assert frames.parse(bytes.fromhex("0000FF02FED5151600")) == ("data", b"\x15")
    assert frames.parse(bytes.fromhex("0000FF00FF00")) == ("ack", b"")
    assert frames.parse(bytes.fromhex("0000FFFF0000")) == ("nak", b"")
    assert frames.parse(bytes.fromhex("0000FF01FF7F8100")) == ("error", b"")


def test_a_flipped_bit_or_a_missing_byte_is_no_frame():
    whole = frames.build(frames.FROM_CHIP, b"\x41\x00" + bytes(range(20)))
    for bit in range(3 * 8, (len(whole) - 1) * 8):
        spoiled = bytearray(whole)
        spoiled[bit // 8] ^= 1 << bit % 8
        try:
            assert frames.parse(bytes(spoiled))[0] != "data", bit
        except frames.FrameError:
            pass
    for length in range(len(whole) - 1):
        try:
            frames.parse(whole[:length])
            raise AssertionError(length)
        except frames.FrameError:
            pass


def test_a_sleeping_chip_is_woken_and_a_card_is_found_and_spoken_to():
    for bus in BUSES:
        bench = Bench(bus, Card())
        assert bench.chip.asleep
        assert bench.look() == UID, bus
        assert bench.reader.transceive(APDU) == APDU + b"\x90\x00", bus


def test_an_empty_field_costs_no_command():
    for bus in BUSES:
        bench = Bench(bus)
        bench.look(2)
        said = len(bench.chip.commands)
        assert bench.look(20) is None
        assert len(bench.chip.commands) == said
        bench.now += 2000
        bench.look(2)
        assert len(bench.chip.commands) == said + 1, "now and then the chip is asked anew, in case it died"


def test_a_card_that_stays_is_found_again_and_one_that_went_is_not():
    for bus in BUSES:
        card = Card()
        bench = Bench(bus, card)
        for _ in range(5):
            assert bench.look(2) == UID
        assert card.powered == 5
        bench.chip.card = None
        assert bench.look(10) is None
        bench.chip.card = Card(b"\x04\x01\x02\x03\x04\x05\x06")
        assert bench.look() == b"\x04\x01\x02\x03\x04\x05\x06"


def test_a_card_taken_away_in_the_middle_is_a_hal_error_and_the_reader_goes_on():
    for bus in BUSES:
        card = Card()
        bench = Bench(bus, card)
        assert bench.look() == UID
        bench.chip.card = None
        assert bench.fails(bench.reader.transceive, APDU)
        assert bench.look(4) is None
        bench.chip.card = card
        assert bench.look() == UID
        assert bench.chip.resets == 0


def test_no_apdu_without_a_card():
    bench = Bench()
    bench.look()
    assert bench.fails(bench.reader.transceive, APDU)


def test_a_garbled_answer_is_asked_for_again():
    for bus in BUSES:
        bench = Bench(bus, Card())
        assert bench.look() == UID
        left = [2]

        def garble(frame, left=left):
            if len(frame) > 6 and left[0]:
                left[0] -= 1
                return frame[:-3] + bytes((frame[-3] ^ 4,)) + frame[-2:]
            return frame

        bench.chip.spoil = garble
        assert bench.reader.transceive(APDU) == APDU + b"\x90\x00", bus
        assert left == [0]


def test_a_line_that_garbles_everything_is_an_error_and_not_a_hang():
    for bus in BUSES:
        bench = Bench(bus, Card())
        bench.chip.spoil = lambda frame: bytes(len(frame))
        before = bench.now
        assert bench.fails(bench.reader.poll)
        assert bench.now - before < 1500
        bench.chip.spoil = None
        bench.now += 10_000
        assert bench.look() == UID


def test_a_lost_command_is_sent_again():
    for bus in BUSES:
        bench = Bench(bus, Card())
        assert bench.look() == UID
        bench.chip.deaf_to = 2
        assert bench.reader.transceive(APDU) == APDU + b"\x90\x00", bus


def test_a_clock_that_is_stretched_too_long_is_waited_for():
    bench = Bench("i2c", Card())
    bench.look(1)
    for _ in range(10):
        bench.face.stretches = 2
        bench.reader.poll()
        bench.now += 50
    bench.face.stretches = 100
    assert bench.fails(bench.reader.poll)


def test_noise_on_the_line_is_skipped():
    bench = Bench("uart", Card())
    bench.look(1)
    bench.face.noise = b"\xff\x55\x00\x00"
    assert bench.look() == UID
    bench.face.noise = bytes(50)
    assert bench.reader.transceive(APDU) == APDU + b"\x90\x00"


def test_a_hung_chip_is_reset_and_serves_again():
    for bus in BUSES:
        bench = Bench(bus, Card())
        assert bench.look() == UID
        bench.chip.hung = True
        while not bench.fails(bench.reader.poll):
            bench.now += 50
        assert bench.look() == UID, bus
        assert bench.chip.resets == 1


def test_a_chip_that_hangs_in_a_transaction_fails_within_its_time():
    for bus in BUSES:
        bench = Bench(bus, Card())
        assert bench.look() == UID
        bench.chip.hung = True
        before = bench.now
        assert bench.fails(bench.reader.transceive, APDU)
        assert bench.now - before < 400
        assert bench.look() == UID, bus


def test_a_dead_chip_is_tried_ever_more_seldom():
    bench = Bench("uart", Card(), line=False)
    bench.chip.hung = True
    busy = 0
    for _ in range(600):
        before = bench.now
        assert bench.fails(bench.reader.poll)
        busy += bench.now - before
        bench.now += 50
    assert busy < 2000, "in 30 s it may block the panel for less than 2 s in all"
    bench.chip.hung = False
    bench.now += 6000
    assert bench.look() == UID


def test_a_chip_that_refuses_a_command_is_no_card():
    bench = Bench("uart", Card())
    bench.chip.spoil = lambda frame: frame if len(frame) == 6 else bytes.fromhex("0000FF01FF7F8100")
    assert bench.fails(bench.reader.poll)


def test_an_answer_longer_than_expected_is_read_whole():
    class Talker(Card):
        def transceive(self, apdu):
            return bytes(200) + b"\x90\x00"

    for bus in BUSES:
        bench = Bench(bus, Talker())
        assert bench.look() == UID
        assert bench.reader.transceive(APDU) == bytes(200) + b"\x90\x00", bus


def test_a_card_that_lay_there_before_the_panel_restarted_is_found():
    """The chip kept its power and the card is still activated: it answers only after the field was off."""
    bench = Bench("uart", Card())
    assert bench.look() == UID
    bench.reader = Pn532(UartBus(bench.face), None, bench.sleep, lambda: bench.now)
    assert bench.look() == UID


class Wallet(virtual.Card):
    """A genuine card in the chip's field; `delay_ms` for each exchange, gone after `exchanges`."""

    def __init__(self, bench, delay_ms=10, exchanges=99):
        super().__init__()
        self.bench, self.delay_ms, self.exchanges = bench, delay_ms, exchanges

    def enter_field(self):
        pass

    def transceive(self, apdu):
        self.bench.now += self.delay_ms
        self.exchanges -= 1
        if not self.exchanges:
            self.bench.chip.card = None
        return super().transceive(apdu)


def judged(bench, card):
    """What the panel's card reader makes of `card`, over driver and chip."""
    bench.chip.card = card
    cards = CardReader(
        bench.reader, lambda uid: bytearray(virtual.KEY), lambda n: virtual.RANDOM_A[:n], lambda: bench.now
    )
    for _ in range(6):
        bench.now += 50
        event = cards.poll(bench.now)
        if event:
            return event
    return None


def test_a_card_opens_through_every_bus():
    for bus in BUSES:
        bench = Bench(bus)
        assert judged(bench, Wallet(bench)) == ("card", UID), bus


def test_a_card_taken_away_between_two_exchanges_may_come_again():
    for bus in BUSES:
        bench = Bench(bus)
        for exchanges in (1, 2, 3):
            assert judged(bench, Wallet(bench, exchanges=exchanges)) == ("card_refused", "card_removed", UID)
            assert judged(bench, Wallet(bench)) == ("card", UID), bus


def test_a_relay_is_too_slow_and_a_dead_one_runs_out_of_time():
    for bus in BUSES:
        bench = Bench(bus)
        assert judged(bench, Wallet(bench, delay_ms=90)) == ("card_refused", "too_slow", UID), bus
        assert judged(bench, Wallet(bench, delay_ms=40)) == ("card", UID), bus
