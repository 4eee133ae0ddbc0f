"""Every board's build() on a fake chip: what it offers when all is wired, and that a missing part costs only itself."""

import sys

from tests.firmware import esp32_fakes as fakes

fakes.install()

from firmware.hal.api import FRAME_BYTES  # noqa: E402
from firmware.hal.esp32.display import NoScreen, Ssd1306, St7789  # noqa: E402

NAMES = (
    "esp32s3_generic",
    "freenove_esp32s3_wroom_cam",
    "lilygo_t_camera_s3",
    "m5stack_cores3",
    "xiao_esp32s3_sense",
)


def module(name):
    path = "boards/%s/board.py" % name
    for root in sys.path:
        try:
            with open((root + "/" if root else "") + path) as file:
                names = {}
                exec(compile(file.read(), path, "exec"), names)
                return names
        except OSError:
            continue
    raise OSError(path)


def wired():
    """A chip with everything on its buses that a board could have."""
    chip = fakes.install()
    chip.devices[0x24] = fakes.Registers()  # PN532
    chip.devices[0x5A] = fakes.Registers()  # MPR121
    chip.devices[0x20] = fakes.Port()
    chip.devices[0x3C] = fakes.Oled()
    chip.devices[0x34] = fakes.Registers()  # AXP2101
    chip.devices[0x58] = fakes.Registers()  # AW9523
    return chip


def built(name, chip):
    names = module(name)
    if "LCD" in names:
        dc = names["LCD"]["dc"]
        plain = fakes.SPI.__init__

        def wire(self, *arguments, **options):
            plain(self, *arguments, **options)
            self.dc = dc

        fakes.SPI.__init__ = wire
        try:
            return names, names["build"]()
        finally:
            fakes.SPI.__init__ = plain
    return names, names["build"]()


def pins_of(names) -> set:
    """Every GPIO number in the board's tables."""
    found = {names["NOISE"]}

    def collect(value):
        if isinstance(value, dict):
            for key in value:
                collect(value[key])
        elif isinstance(value, list):
            for item in value:
                collect(item)
        elif isinstance(value, int):
            found.add(value)

    for table in ("CAMERA", "I2C", "LCD", "KEYPAD", "WIRES"):
        collect(names.get(table, {}))
    if "PIXEL" in names:
        found.add(names["PIXEL"])
    return found


def test_each_board_offers_what_it_says_when_all_is_wired():
    for name in NAMES:
        chip = wired()
        names, board = built(name, chip)
        assert board.name == name
        assert board.capabilities == set(names["CAPABILITIES"]), (name, board.capabilities)
        assert board.has_camera and board.has_nfc and board.has_keypad
        assert chip.hertz == 240_000_000
        assert chip.pins[names["WIRES"]["lock"]].driven == 0


def test_no_pin_is_touched_that_the_tables_do_not_name():
    for name in NAMES:
        chip = wired()
        names, _ = built(name, chip)
        assert set(chip.pins) <= pins_of(names), (name, set(chip.pins) - pins_of(names))
        if chip.spi:
            assert set(chip.spi.pins) <= pins_of(names)


def test_the_sensors_clock_keeps_its_ledc_channel():
    for name in NAMES:
        chip = wired()
        names, _ = built(name, chip)
        xclk = names.get("CAMERA", {}).get("xclk_pin", -1)
        if xclk >= 0:
            assert chip.pwm[0].pin == xclk and chip.pwm[1].pin == names["WIRES"]["buzzer"]


def test_the_light_shows_on_the_boards_that_have_one():
    lit = {}
    for name in NAMES:
        chip = wired()
        names, board = built(name, chip)
        if board.light:
            for said in ("ready", "working", "granted", "denied", "alarm", "off", "granted"):
                board.light.show(said)
            pin = names.get("PIXEL", names["WIRES"].get("light"))
            lit[name] = chip.pixels[-1] if "PIXEL" in names else (pin, chip.pins[pin].driven)
            board.light.show("off")
            assert chip.pixels[-1][1] == bytes(3) if "PIXEL" in names else not chip.pins[pin].driven
    assert lit == {
        "freenove_esp32s3_wroom_cam": (48, b"\x40\x00\x20"),
        "m5stack_cores3": (6, 1),
        "esp32s3_generic": (21, 1),
    }


def test_a_bare_board_still_has_a_door_a_clock_and_a_console():
    for name in NAMES:
        fakes.install(camera=False).camera_fails = True
        _, board = built(name, fakes.chip)
        assert not board.has_nfc
        assert board.nfc is None
        board.lock.release(True)
        board.lock.release(False)
        assert board.door.closed() in (True, False) and not board.exit_button.pressed()
        assert len(board.entropy(32)) == 32 and board.clock.now() and board.memory()["heap_used"]
        board.tick()
        board.display.show()


def test_one_silent_part_costs_only_itself():
    for address, lost in ((0x24, "nfc"), (0x5A, "keypad")):
        chip = wired()
        del chip.devices[address]
        names, board = built("xiao_esp32s3_sense", chip)
        assert set(names["CAPABILITIES"]) - board.capabilities == {lost}
    chip = wired()
    chip.camera_fails = True
    names, board = built("xiao_esp32s3_sense", chip)
    assert set(names["CAPABILITIES"]) - board.capabilities == {"camera"}


def test_the_screens_are_what_the_boards_have():
    kinds = {}
    for name in NAMES:
        kinds[name] = type(built(name, wired())[1].display)
    assert kinds.pop("lilygo_t_camera_s3") is Ssd1306
    assert set(kinds.values()) == {St7789}
    chip = wired()
    del chip.devices[0x3C]
    assert type(built("lilygo_t_camera_s3", chip)[1].display) is NoScreen


def test_power_chips_are_set_up_before_the_camera_is_asked():
    chip = wired()
    built("m5stack_cores3", chip)
    assert chip.buses[0].pins == (12, 11) and chip.buses[1].pins == (2, 1)
    assert (0x94, 28) in chip.devices[0x34].log and chip.devices[0x58].log[-1] == (0x03, 0b10000011)
    chip = wired()
    built("lilygo_t_camera_s3", chip)
    assert chip.devices[0x34].log[-1] == (0x90, 0b00011111)


def test_frames_are_fed_where_there_is_no_sensor():
    _, board = built("esp32s3_generic", wired())
    frame = bytearray(FRAME_BYTES)
    assert board.takes_frames and board.camera.feed(0, b"\x07" * FRAME_BYTES, 1)
    board.camera.capture_into(frame)
    assert frame[100] == 7


def test_a_panel_in_service_starts_with_the_repl_closed():
    chip = wired()
    _, board = built("esp32s3_generic", chip)
    assert chip.kbd_intr == [3] and board.console.repl_open
    chip = wired()
    chip.partitions[0].memory[8] = 0
    _, board = built("esp32s3_generic", chip)
    assert chip.kbd_intr == [-1] and not board.console.repl_open


def test_a_fire_contact_and_a_motor_lock_are_there_where_they_are_wired():
    chip = wired()
    names, board = built("esp32s3_generic", chip)
    assert board.fire is None and board.lock_back is None
    chip = wired()
    names["WIRES"].update({"fire": 18, "lock_back": 38})
    chip.levels[18] = 0
    board = names["build"]()
    assert not board.fire.alarm() and chip.pins[38].driven == 0
    board.lock_back.release(True)
    assert chip.pins[38].driven == 1 and chip.pins[names["WIRES"]["lock"]].driven == 0


def test_settings_of_the_network_are_optional_and_damaged_ones_do_no_harm():
    import os

    folder = (os.getenv("TMPDIR") or "/tmp") + "/menshen-network-test"
    try:
        os.mkdir(folder)
    except OSError:
        pass
    from firmware.hal.esp32 import network

    assert network.read_settings(folder + "/nowhere") == {}
    for text, found in (
        ('{"ssid": "site", "password": "p", "ntp": "192.168.1.1"}', 3),
        ("{broken", 0),
        ("[]", 0),
        ('{"ssid": 5}', 0),
    ):
        with open(folder + "/network.json", "w") as file:
            file.write(text)
        assert len(network.read_settings(folder)) == found, text
    os.remove(folder + "/network.json")
    os.rmdir(folder)


def test_the_network_that_the_site_sets_takes_the_place_of_the_one_it_was_built_with():
    chip = wired()
    _, board = built("esp32s3_generic", chip)
    assert not board.network.up() and board.network.address() == ""
    board.network.join("built", "p", "")
    wlan = chip.wifi
    assert board.network.up() and board.network.address() == "192.168.1.7"
    board.network.join("site", "q", "192.168.1.1")
    assert chip.wifi is wlan or chip.wifi.joined == ("site", "q")
    board.tick()
