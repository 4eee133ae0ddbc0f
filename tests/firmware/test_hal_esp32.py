"""The ESP32-S3's drivers on fakes of its modules: the contracts of hal/api.py, and every documented error."""

import time

from tests.firmware import esp32_fakes as fakes

fakes.install()

from firmware.base.errors import BadRequest, CameraError, HalError  # noqa: E402
from firmware.hal.api import FRAME_BYTES, TIME_RTC, TIME_SET, TIME_UNKNOWN  # noqa: E402
from firmware.hal.esp32.camera import SensorCamera  # noqa: E402
from firmware.hal.esp32.clock import Ds3231, Esp32Clock  # noqa: E402
from firmware.hal.esp32.console import SerialConsole  # noqa: E402
from firmware.hal.esp32.door import (  # noqa: E402
    Buzzer,
    DoorContact,
    ExitButton,
    FireContact,
    RelayLock,
    TamperSwitch,
    input_pin,
)
from firmware.hal.esp32.entropy import Entropy  # noqa: E402
from firmware.hal.esp32.expander import Pcf8574  # noqa: E402
from firmware.hal.esp32.flash import PartitionFlash  # noqa: E402
from firmware.hal.esp32.network import NtpTime, Wifi, parse_ntp  # noqa: E402
from firmware.hal.esp32.system import HardwareWatchdog  # noqa: E402
from firmware.hal.fed import FedCamera  # noqa: E402

CAMERA_PINS = {
    "data_pins": [11, 9, 8, 10, 12, 18, 17, 16],
    "vsync_pin": 6,
    "href_pin": 7,
    "pclk_pin": 13,
    "xclk_pin": 15,
    "sda_pin": 4,
    "scl_pin": 5,
}


def raises(kind, function, *arguments) -> str:
    try:
        function(*arguments)
    except kind as error:
        return str(error)
    raise AssertionError("%s was expected" % kind.__name__)


# The vault's flash


def test_flash_programs_like_nor_and_erases_whole_blocks():
    fakes.install()
    flash = PartitionFlash()
    assert flash.block_count == 64
    flash.program(3, b"\xf0\x0f", 100)
    flash.program(3, b"\x3f\xff", 100)
    got = bytearray(4)
    flash.read(3, got, 99)
    assert got == b"\xff\x30\x0f\xff"
    flash.erase(3)
    flash.read(3, got, 99)
    assert got == b"\xff\xff\xff\xff"


def test_flash_refuses_what_leaves_the_block_before_the_chip_sees_it():
    chip = fakes.install()
    flash = PartitionFlash()
    for block, data, offset in ((64, b"x", 0), (-1, b"x", 0), (0, b"xy", 4095), (0, b"x", -1)):
        raises(HalError, flash.program, block, data, offset)
        raises(HalError, flash.read, block, bytearray(data), offset)
    assert bytes(chip.partitions[0].memory).count(b"\xff") == 64 * 4096


def test_flash_tells_a_cell_that_no_longer_falls_and_a_dead_bus():
    chip = fakes.install()
    flash = PartitionFlash()
    chip.partitions[0].stuck.add(5)
    assert "did not take" in raises(HalError, flash.program, 5, b"\x00", 0)
    chip.partitions[0].broken = True
    for call in (lambda: flash.program(1, b"x"), lambda: flash.read(1, bytearray(1)), lambda: flash.erase(1)):
        raises(HalError, call)


def test_a_vault_is_in_use_once_it_holds_keys():
    chip = fakes.install()
    flash = PartitionFlash()
    assert not flash.in_use()
    flash.program(9, b"a record of nobody")
    assert not flash.in_use()
    flash.program(1, b"keys", 8)
    assert flash.in_use()
    chip.partitions = []
    assert "vault" in raises(HalError, PartitionFlash)


# The camera


def test_each_frame_is_fresh_and_nothing_of_it_stays_with_the_driver():
    chip = fakes.install()
    camera = SensorCamera(CAMERA_PINS, vflip=True)
    options = chip.sensor.options
    assert options["fb_count"] == 1 and options["grab_mode"] == 0 and options["data_pins"][0] == 11
    assert chip.sensor.flipped
    first, second = bytearray(FRAME_BYTES), bytearray(FRAME_BYTES)
    camera.capture_into(first)
    assert any(first) and not any(chip.sensor.memory)
    camera.capture_into(second)
    assert first != second and not any(chip.sensor.memory)


def test_camera_failures_are_camera_errors_and_power_restarts_the_sensor():
    chip = fakes.install()
    camera = SensorCamera(CAMERA_PINS)
    frame = bytearray(FRAME_BYTES)
    chip.sensor.fails = True
    raises(CameraError, camera.capture_into, frame)
    chip.sensor.fails = False
    chip.sensor.size = 100
    raises(CameraError, camera.capture_into, frame)
    old = chip.sensor
    camera.power(False)
    assert not old.initialised
    raises(CameraError, camera.capture_into, frame)
    camera.power(True)
    camera.capture_into(frame)
    assert chip.sensor is not old


def test_no_sensor_and_no_camera_module_are_told_apart():
    chip = fakes.install()
    chip.camera_fails = True
    assert "sensor" in raises(CameraError, SensorCamera, CAMERA_PINS)
    fakes.install(camera=False)
    assert "module" in raises(CameraError, SensorCamera, CAMERA_PINS)


def test_a_fed_frame_is_used_as_often_as_said_and_then_gone():
    camera = FedCamera()
    frame = bytearray(FRAME_BYTES)
    raises(CameraError, camera.capture_into, frame)
    half = b"\x55" * (FRAME_BYTES // 2)
    assert not camera.feed(0, half, 2)
    raises(CameraError, camera.capture_into, frame)
    raises(BadRequest, camera.feed, 10, half, 2)
    raises(BadRequest, camera.feed, len(half), half + b"x", 2)
    assert camera.feed(len(half), half, 2)
    camera.capture_into(frame)
    assert frame[0] == frame[-1] == 0x55
    camera.capture_into(frame)
    assert not any(camera._frame)
    raises(CameraError, camera.capture_into, frame)
    camera.feed(0, half, 1)
    camera.power(False)
    assert not any(camera._frame)
    raises(BadRequest, camera.feed, len(half), half, 1)


# The door's side


def test_the_lock_leaves_reset_locked_and_follows():
    chip = fakes.install()
    lock = RelayLock(21)
    assert chip.modes[21] == (fakes.Pin.OUT, -1, 0) and chip.pins[21].driven == 0
    lock.release(True)
    assert chip.pins[21].driven == 1
    lock.release(False)
    assert chip.pins[21].driven == 0


def test_contacts_bounce_without_being_believed():
    chip = fakes.install()
    button = ExitButton(input_pin(47))
    assert chip.modes[47][:2] == (fakes.Pin.IN, fakes.Pin.PULL_UP)
    assert not button.pressed()
    for level in (0, 1, 0):
        chip.levels[47] = level
        assert not button.pressed()
    fakes.wait_ms(25)
    assert button.pressed()
    chip.levels[47] = 1
    assert button.pressed()
    fakes.wait_ms(25)
    assert not button.pressed()


def test_a_cut_wire_reads_as_an_open_door_an_open_case_and_a_fire():
    chip = fakes.install()
    chip.levels[14] = chip.levels[1] = 0
    door, case = DoorContact(input_pin(14)), TamperSwitch(input_pin(1))
    assert door.closed() and not case.open()
    fire = FireContact(input_pin(18))
    chip.levels[18] = 0
    fire.alarm(), fakes.wait_ms(25)
    assert not fire.alarm()
    del chip.levels[14], chip.levels[1], chip.levels[18]  # the pull-ups are left alone
    door.closed(), case.open(), fire.alarm()
    fakes.wait_ms(25)
    assert not door.closed() and case.open() and fire.alarm()


def test_an_expanders_inputs_read_like_pins_and_its_silence_as_open_contacts():
    chip = fakes.install()
    port = chip.devices[0x20] = fakes.Port()
    bus = fakes.I2C(0, fakes.Pin(6), fakes.Pin(7))
    expander = Pcf8574(bus)
    port.pulled_low = 0b010
    assert [expander.pin(n).value() for n in range(3)] == [1, 0, 1]
    port.silent = True
    assert [expander.pin(n).value() for n in range(3)] == [1, 1, 1]


def test_tones_play_on_the_timer_and_end_silent():
    chip = fakes.install()
    buzzer = Buzzer(2)
    pwm = chip.pwm[0]
    assert pwm.duty_u16() == 0
    buzzer.tone("denied")
    heard = []
    while chip.timers[0].running:
        heard.append((pwm.freq() if pwm.duty_u16() else 0, chip.timers[0].period))
        chip.fire(0)
    assert heard == [(700, 180), (0, 80), (500, 260)] and pwm.duty_u16() == 0
    buzzer.tone("alarm")
    buzzer.tone("off")
    assert pwm.duty_u16() == 0 and not chip.timers[0].running
    for name in ("key", "granted", "denied", "alarm", "off"):
        buzzer.tone(name)


# Clock and network


def test_a_clock_without_battery_knows_nothing_until_it_is_told():
    chip = fakes.install()
    clock = Esp32Clock()
    # The PC's own clock stands in for the chip's, and is always set.
    assert clock.now()[1] in (TIME_UNKNOWN, TIME_RTC)
    clock.set(1_767_323_045)
    assert chip.rtc == (2026, 1, 2, 4, 3, 4, 5, 0) and clock.now()[1] == TIME_SET


def test_a_battery_backed_clock_gives_the_time_and_is_set_with_it():
    chip = fakes.install()
    device = chip.devices[0x68] = fakes.Registers()
    rtc = Ds3231(fakes.I2C(0, fakes.Pin(9), fakes.Pin(8)))
    clock = Esp32Clock(rtc)
    clock.set(1_767_323_045)  # Friday 2026-01-02 03:04:05
    assert bytes(device.bytes[:7]) == b"\x05\x04\x03\x05\x02\x01\x26"
    chip.rtc = None
    assert not Esp32Clock(rtc).battery_low() and not Esp32Clock().battery_low()
    chip.rtc = None
    assert Esp32Clock(rtc).now()[1] == TIME_RTC and chip.rtc == (2026, 1, 2, 4, 3, 4, 5, 0)
    chip.rtc = None
    device.bytes[0x0F] = 0x80  # it was without power meanwhile
    assert Esp32Clock(rtc).battery_low()
    assert chip.rtc is None
    device.bytes[0x0F], device.bytes[0] = 0, 0x7F  # no BCD
    Esp32Clock(rtc)
    assert chip.rtc is None


def test_ntp_sets_an_unknown_time_but_only_nudges_a_known_one():
    fakes.install()
    clock = Esp32Clock()
    now = clock.now()[0]
    clock._source = TIME_UNKNOWN
    assert not clock.correct(1_000_000)  # 1970
    assert clock.correct(now + 100_000) and clock.now()[1] == TIME_SET
    assert not clock.correct(now + 400) and not clock.correct(now - 400)
    assert clock.correct(now + 30)


def ntp_answer(cookie, unix, mode=4, stratum=2):
    seconds = (unix + 2_208_988_800) & 0xFFFFFFFF
    return bytes([0x20 | mode, stratum]) + bytes(22) + cookie + bytes(8) + seconds.to_bytes(4, "big") + bytes(4)


def test_ntp_answers_that_are_none_are_dropped():
    cookie = b"8 random"
    assert parse_ntp(ntp_answer(cookie, 1_800_000_000), cookie) == 1_800_000_000
    assert parse_ntp(ntp_answer(cookie, 2_200_000_000), cookie) == 2_200_000_000  # after NTP's wrap in 2036
    assert parse_ntp(ntp_answer(b"another!", 1_800_000_000), cookie) == 0
    assert parse_ntp(ntp_answer(cookie, 1_800_000_000, mode=3), cookie) == 0
    assert parse_ntp(ntp_answer(cookie, 1_800_000_000, stratum=0), cookie) == 0
    assert parse_ntp(ntp_answer(cookie, 1_800_000_000)[:40], cookie) == 0


def test_ntp_over_a_real_socket():
    import os
    import socket

    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while True:
        address = socket.getaddrinfo("127.0.0.1", 20000 + int.from_bytes(os.urandom(2), "big") % 20000)[0][-1]
        try:
            server.bind(address)
            break
        except OSError:
            pass  # somebody else's
    fakes.install().radio = True
    taken = []

    class Clock:
        def correct(self, unix):
            taken.append(unix)

    ntp = NtpTime("127.0.0.1", Wifi("site", "secret"), Clock())
    ntp._address = address
    ntp.poll()
    request, sender = server.recvfrom(64)
    assert len(request) == 48 and request[0] & 7 == 3
    server.sendto(ntp_answer(request[40:48], 1_800_000_000), sender)
    for _ in range(50):
        ntp.poll()
        if taken:
            break
        fakes.wait_ms(10)
    server.close()
    assert taken == [1_800_000_000]


# Entropy


def test_entropy_is_seeded_with_the_radio_on_and_leaves_it_as_it_was():
    chip = fakes.install()
    states = []
    entropy = Entropy(1)
    states.append(chip.radio)
    assert states == [False] and chip.wifi is not None
    first, second = entropy(48), entropy(48)
    assert len(first) == 48 and first != second


def test_panels_whose_generators_agree_still_differ():
    """Two panels, one pseudo-random stream: the converter's noise alone keeps their keys apart."""
    import hashlib
    import os

    import firmware.hal.esp32.entropy as module

    class Weak:
        def __init__(self):
            self._count = 0

        def urandom(self, n):
            self._count += 1
            return (hashlib.sha256(b"%d" % self._count).digest() * 2)[:n]

    try:
        outputs = set()
        for panel in range(2):
            chip = fakes.install()
            chip.analog[1] = [(panel * 7 + i * i * 3) & 0xFFFF for i in range(50)]
            module.os = Weak()
            outputs.add(Entropy(1)(32))
        assert len(outputs) == 2
    finally:
        module.os = os


def test_a_generator_that_repeats_itself_makes_no_keys():
    import os

    import firmware.hal.esp32.entropy as module

    class Dead:
        def __init__(self, answer):
            self.urandom = answer

    fakes.install()
    try:
        module.os = Dead(lambda n: bytes(range(n)))
        assert "repeats" in raises(HalError, lambda: Entropy(1)(64))
        module.os = Dead(lambda n: bytes(n))
        assert "repeats" in raises(HalError, Entropy, 1)
    finally:
        module.os = os


# Console and watchdog


def test_the_repl_opens_and_closes_with_ctrl_c_and_the_watchdog_is_held_meanwhile():
    chip = fakes.install()
    watchdog = HardwareWatchdog()
    console = SerialConsole(watchdog.hold)
    console.open_repl(True)
    chip.fire(1)  # before the first feed nothing is armed, and nothing may be fed
    assert chip.kbd_intr == [3] and chip.wdt is None
    watchdog.feed()
    fed = chip.wdt.fed
    chip.fire(1)
    assert chip.wdt.fed == fed + 1 and chip.wdt.timeout == 20_000
    console.open_repl(False)
    assert chip.kbd_intr == [3, -1] and not chip.timers[1].running and not console.repl_open


def test_a_loop_that_hangs_is_reset_within_two_seconds_and_known_work_is_given_longer():
    chip = fakes.install()
    watchdog = HardwareWatchdog()
    watchdog.relax()
    assert chip.wdt is None, "nothing is armed before start-up is over"
    watchdog.feed()
    assert chip.wdt.timeout == 20_000
    watchdog.feed()
    assert chip.wdt.timeout == watchdog.timeout_ms == 2000 and chip.wdt.fed == 1
    armed = chip.wdt
    watchdog.feed()
    assert chip.wdt is armed and armed.fed == 2, "armed once, then only fed"
    watchdog.relax()
    assert chip.wdt.timeout == 20_000
    watchdog.feed()
    assert chip.wdt.timeout == 2000
    watchdog.hold(True)
    watchdog.feed()
    assert chip.wdt.timeout == 20_000, "Ctrl-D begins a start-up"
    watchdog.hold(False)
    watchdog.feed()
    assert chip.wdt.timeout == 2000
    watchdog.hold(True, 8)
    for _ in range(6):
        chip.fire(1)
    try:
        chip.fire(1)
        raise AssertionError("what is open for a time is closed by a restart, whoever holds the REPL")
    except fakes.Restart:
        pass


def test_the_console_reads_what_is_there_and_never_waits():
    fakes.install()
    start = time.ticks_ms()
    assert SerialConsole().read() == b""
    assert time.ticks_diff(time.ticks_ms(), start) < 200
