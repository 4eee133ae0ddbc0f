"""Keypads at their wires: bouncing contacts, quick fingers, ghost keys, water on the plate, chips that fail."""

from firmware.base.errors import HalError
from firmware.hal.drivers.keypad_matrix import DEBOUNCE_MS, KEYS_3, KEYS_4, MatrixKeypad
from firmware.hal.drivers.mpr121 import KEYS, Mpr121Keypad


class Matrix:
    """A keypad's contacts: rows pulled low are felt in the columns, through every path of closed contacts."""

    def __init__(self, columns=3):
        self.width = columns
        self.names = KEYS_4 if columns == 4 else KEYS_3
        self.closed = ""
        self.low = set()
        self.now = 0
        rows = [lambda level, i=i: (self.low.discard if level else self.low.add)(i) for i in range(4)]
        sense = [lambda j=j: 0 if j in self._felt() else 1 for j in range(columns)]
        self.keypad = MatrixKeypad(rows, sense, ticks=lambda: self.now)

    def _felt(self):
        """Columns connected with a low row; current flows backwards through other keys too."""
        rows, columns = set(self.low), set()
        contacts = [divmod(self.names.index(key), self.width) for key in self.closed]
        for _ in range(8):
            for row, column in contacts:
                if row in rows:
                    columns.add(column)
                if column in columns:
                    rows.add(row)
        return columns

    def hold(self, keys, ms=60):
        """What the keypad reports while exactly `keys` are down."""
        self.closed = keys
        reported = ""
        for _ in range(ms // 10):
            self.now += 10
            reported += self.keypad.scan()
        return reported


def test_every_key_is_reported_once_as_it_goes_down():
    for columns in (3, 4):
        matrix = Matrix(columns)
        for key in matrix.names:
            expected = key if key in "0123456789*#" else ""
            assert matrix.hold(key, 500) == expected
            assert matrix.hold("") == ""


def test_a_contact_that_bounces_is_one_key():
    matrix = Matrix()
    reported = ""
    for down in (1, 0, 1, 1, 0, 1):
        reported += matrix.hold("5" if down else "", 10)
    assert reported == ""
    assert matrix.hold("5", DEBOUNCE_MS + 20) == "5"
    for down in (0, 1, 0, 0, 1):
        assert matrix.hold("5" if down else "", 10) == ""
    assert matrix.hold("") == "" and matrix.hold("5") == "5"


def test_quick_fingers_overlap():
    matrix = Matrix()
    assert matrix.hold("3") + matrix.hold("30") + matrix.hold("0") + matrix.hold("01") + matrix.hold("1") == "301"


def test_two_keys_going_down_together_are_both_reported():
    matrix = Matrix()
    assert sorted(matrix.hold("19")) == ["1", "9"]


def test_a_ghost_key_is_never_reported():
    """Three corners of a rectangle: the fourth is felt although nobody touches it."""
    for columns in (3, 4):
        for rows in ((0, 1), (0, 3), (1, 2)):
            for pair in ((0, 1), (0, 2), (1, 2)):
                matrix = Matrix(columns)
                corners = [matrix.names[row * columns + column] for row in rows for column in pair]
                for ghost in corners:
                    touched = [key for key in corners if key != ghost]
                    reported = matrix.hold(touched[0]) + matrix.hold("".join(touched[:2]))
                    reported += matrix.hold("".join(touched), 200)
                    assert ghost not in reported, (touched, ghost)
                    matrix.hold("")


def test_after_a_ghost_the_keypad_goes_on():
    matrix = Matrix()
    matrix.hold("124", 200)
    matrix.hold("")
    assert matrix.hold("5") == "5"


def test_keys_pressed_between_two_scans_are_kept_in_order():
    matrix = Matrix()
    for key in "301#":
        matrix.closed = key
        for _ in range(5):
            matrix.now += 10
            matrix.keypad.sample()
        matrix.closed = ""
        for _ in range(5):
            matrix.now += 10
            matrix.keypad.sample()
    assert matrix.keypad.scan() == "301#"


class Chip:
    """An MPR121's registers."""

    def __init__(self):
        self.memory = bytearray(256)
        self.writes = 0
        self.dead = False

    def touch(self, keys):
        bits = 0
        for key in keys:
            bits |= 1 << KEYS.index(key)
        self.memory[0], self.memory[1] = bits & 255, bits >> 8

    def writeto_mem(self, address, register, data):
        self._alive(address)
        self.writes += 1
        if register == 0x80 and data == b"\x63":
            self.memory = bytearray(256)
            return
        for i in range(len(data)):
            self.memory[register + i] = data[i]

    def readfrom_mem_into(self, address, register, buffer):
        self._alive(address)
        for i in range(len(buffer)):
            buffer[i] = self.memory[register + i]

    def _alive(self, address):
        if self.dead or address != 0x5A:
            raise OSError(19)


class Plate:
    def __init__(self):
        self.chip = Chip()
        self.now = 0
        self.keypad = Mpr121Keypad(self.chip, ticks=lambda: self.now)
        assert self.touch("") == ""

    def touch(self, keys):
        self.chip.touch(keys)
        self.now += 15
        return self.keypad.scan()


def test_a_touch_is_one_key():
    plate = Plate()
    for key in KEYS:
        assert plate.touch(key) == key
        assert plate.touch(key) == "" and plate.touch("") == ""


def test_a_finger_that_slides_over_is_the_next_key():
    plate = Plate()
    assert plate.touch("3") + plate.touch("30") + plate.touch("0") + plate.touch("") + plate.touch("1") == "301"


def test_a_palm_or_water_is_no_key_until_it_is_gone():
    plate = Plate()
    assert plate.touch("456") == "" and plate.touch("4567") == "" and plate.touch("7") == ""
    assert plate.touch("") == "" and plate.touch("7") == "7"


def test_a_finger_that_was_there_at_the_start_is_no_key():
    plate = Plate()
    plate.chip.memory[0x5E] = 0
    plate.touch("")
    assert plate.touch("5") == "" and plate.touch("") == "" and plate.touch("5") == "5"


def test_a_chip_that_lost_its_settings_gets_them_again():
    plate = Plate()
    for register, value in ((0x5E, 0x00), (1, 0x80)):
        before = plate.chip.writes
        plate.touch("")
        plate.chip.memory[register] = value
        plate.now += 15
        assert plate.keypad.scan() == ""
        assert plate.touch("") == "" and plate.chip.writes > before
        assert plate.chip.memory[0x5E] == 0xCC and plate.touch("8") == "8"
        plate.touch("")


def test_a_chip_that_is_gone_is_a_hal_error_and_is_not_asked_all_the_time():
    plate = Plate()
    plate.chip.dead = True
    for _ in range(3):
        try:
            plate.touch("1")
            raise AssertionError
        except HalError:
            pass
    plate.chip.dead = False
    plate.now += 2000
    assert plate.touch("") == "" and plate.touch("1") == "1"
