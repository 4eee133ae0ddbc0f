"""What fingers do to a keypad, and what the panel makes of it."""

from firmware.base.errors import HalError
from firmware.base.ticks import ticks_add
from firmware.credentials.keypad import ENTRY_TIMEOUT_MS, NOTICE_TIMEOUT_MS, KeypadEntry


class Keys:
    def __init__(self):
        self.pressed = ""

    def scan(self):
        keys, self.pressed = self.pressed, ""
        return keys


class Story:
    """Types keys, one poll each, and keeps the events other than what to show."""

    def __init__(self):
        self.keys = Keys()
        self.entry = KeypadEntry(self.keys)
        self.now = ticks_add(0, -5000)  # the tick counter wraps in the middle of the stories
        self.shown = None

    def type(self, keys):
        events = []
        for key in keys:
            self.now = ticks_add(self.now, 100)
            self.keys.pressed = key
            events += self.entry.poll(self.now)
        self.shown = [event for event in events if event[0] == "typing"][-1:] or None
        return [event for event in events if event[0] != "typing"]

    def wait(self, ms):
        self.now = ticks_add(self.now, ms)
        return self.entry.poll(self.now)


def test_flat_then_pin():
    story = Story()
    assert story.type("30") == []
    assert story.shown == [("typing", "flat", "30")]
    assert story.type("1#") == [("flat", "301")]
    assert story.entry.busy
    assert story.type("2468") == []
    assert story.shown == [("typing", "pin", 4)]
    assert story.type("13#") == [("pin", "301", bytearray(b"246813"))]
    assert not story.entry.busy


def test_all_keys_at_once_are_the_same():
    story = Story()
    story.keys.pressed = "301#246813#"
    kinds = [event[0] for event in story.entry.poll(0) if event[0] != "typing"]
    assert kinds == ["flat", "pin"]


def test_the_star_clears_then_gives_up():
    story = Story()
    assert story.type("39*") == []
    assert story.shown == [("typing", "flat", "")]
    assert story.type("301#11*") == [("flat", "301")]
    assert story.shown == [("typing", "pin", 0)]
    assert story.type("246813#")[0][2] == b"246813"
    assert story.type("301#*") == [("flat", "301"), ("cancel",)]
    assert story.type("3**") == [("cancel",)]
    assert story.type("*#*#") == [("withdraw",), ("cancel",)]


def test_the_star_on_an_empty_keypad_begins_a_withdrawal():
    story = Story()
    assert story.type("*301#246813#")[:2] == [("withdraw",), ("flat", "301")]
    assert story.type("*") == [("withdraw",)]
    assert story.wait(ENTRY_TIMEOUT_MS) == [("timeout",)]


def test_silence_gives_up_and_wipes():
    story = Story()
    story.type("301#2468")
    assert story.wait(ENTRY_TIMEOUT_MS - 1) == []
    assert story.wait(1) == [("timeout",)]
    assert story.wait(ENTRY_TIMEOUT_MS) == []
    assert story.entry._pin == bytearray(12)
    assert story.type("13#") == [("flat", "13")], "what comes later starts anew"


def test_the_pins_own_buffer_is_wiped_once_handed_over():
    story = Story()
    pin = story.type("301#246813#")[1][2]
    assert pin == b"246813" and story.entry._pin == bytearray(12)
    story.type("301#9999")
    story.entry.reset()
    assert story.entry._pin == bytearray(12)


def test_too_many_digits_never_pass_for_the_first_ones():
    story = Story()
    assert story.type("301#" + "1" * 13) == [("flat", "301"), ("refused", "pin")]
    assert story.type("246813#")[0][2] == b"246813"
    assert story.type("1234567") == [("refused", "flat")]
    assert story.type("301#24681#") == [("flat", "301"), ("refused", "pin")]


def test_keys_that_do_not_exist_do_nothing():
    story = Story()
    assert story.type("A?3B0#") == [("flat", "30")]
    assert story.type("24D68C13#")[0][2] == b"246813"


def test_a_notice_is_accepted_on_its_last_page_only_and_declined_on_any():
    story = Story()
    story.entry.ask(3, story.now)
    assert story.type("#") == []
    assert story.type("8") == [("page", 1)]
    assert story.type("#35") == []
    assert story.type("8888") == [("page", 2)]
    assert story.type("#") == [("accept",)]
    assert not story.entry.busy
    for keys in ("*", "8*", "88*"):
        story.entry.ask(3, story.now)
        assert story.type(keys)[-1] == ("decline",)


def test_silence_is_no_consent():
    story = Story()
    story.entry.ask(1, story.now)
    assert story.wait(NOTICE_TIMEOUT_MS - 1) == []
    assert story.wait(1) == [("timeout",)]
    assert story.type("#") == []


def test_a_notice_drops_what_was_being_typed():
    story = Story()
    story.type("301#24")
    story.entry.ask(1, story.now)
    assert story.entry._pin == bytearray(12)
    assert story.type("#") == [("accept",)]
    assert story.type("6813#") == [("flat", "6813")]


def test_a_keypad_that_fails_types_nothing_and_goes_on():
    class Broken:
        def scan(self):
            raise HalError("no answer")

    story = Story()
    story.type("30")
    story.entry._keypad = Broken()
    assert story.wait(100) == []
    story.entry._keypad = story.keys
    assert story.type("1#") == [("flat", "301")]
