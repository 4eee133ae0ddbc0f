"""The world without a panel: outputs at rest after a power cycle, the watchdog, the clock, the bus's refusals."""

from __future__ import annotations

import contextlib
import socket
import struct
import time

import pytest

from firmware.hal.virtual import wire
from host_tools.errors import Usage
from host_tools.image import boards, stage_vfs
from host_tools.sim.bus import BusServer
from host_tools.sim.world import Fault, World


@pytest.fixture
def bus():
    world = World()
    server = BusServer(world)
    host, port = server.address.split(":")
    with contextlib.closing(socket.create_connection((host, int(port)), 5)) as sock:
        yield world, server, sock
    server.close()


def ask(sock, op, body=b""):
    sock.sendall(struct.pack(wire.HEADER, op, len(body)) + body)
    data = b""
    while len(data) < wire.HEADER_BYTES or len(data) < wire.HEADER_BYTES + struct.unpack_from("<I", data, 1)[0]:
        part = sock.recv(65536)
        if not part:
            raise ConnectionError
        data += part
    return data[0], data[wire.HEADER_BYTES :]


def test_a_power_cycle_puts_the_outputs_to_rest():
    world = World()
    world.set_lock(True)
    world.set_display(bytes(38400))
    world.press("12")
    world.set_camera_power(False)
    world.power_cycle()
    assert not world.released and [entry["released"] for entry in world.lock_log] == [True, False]
    assert world.display is None and world.take_keys() == ""
    assert world.expose().shape == (240, 320)


def test_a_camera_without_power():
    world = World()
    world.set_camera_power(False)
    with pytest.raises(Fault):
        world.expose()


def test_the_watchdog_bites_only_in_service():
    world = World()
    assert not world.watchdog_bites()
    world.feed_watchdog(0)
    time.sleep(0.01)
    assert not world.watchdog_bites()
    world.set_repl(False)
    assert world.watchdog_bites()
    world.feed_watchdog(60_000)
    assert not world.watchdog_bites()
    world.feed_watchdog(0)
    world.power_cycle()
    assert not world.watchdog_bites()


def test_the_clock_outlives_the_simulator(tmp_path):
    first = World(tmp_path / "rtc.json")
    assert first.now()[1] == 0
    first.set_time(1_900_000_000)
    first.step_clock(-100)
    again = World(tmp_path / "rtc.json")
    unix, source = again.now()
    assert 0 <= unix - 1_899_999_900 < 10 and source == 1
    (tmp_path / "rtc.json").write_text("{")
    assert World(tmp_path / "rtc.json").now()[1] == 0


def test_the_bus_refuses_and_goes_on(bus):
    _, _, sock = bus
    for op, body in (
        (0x7A, b""),
        (wire.DISPLAY, b"short"),
        (wire.LOCK, b""),
        (wire.TIME_SET, b"1"),
        (wire.BUZZER, b"\xff"),
    ):
        assert ask(sock, op, body)[0] == wire.FAILED
    assert ask(sock, wire.INPUTS) == (wire.INPUTS, bytes([wire.DOOR_CLOSED]))


def test_a_panel_that_was_cut_off_opens_no_door(bus):
    world, server, sock = bus
    ask(sock, wire.LOCK, b"\0")
    server.disconnect()
    with contextlib.suppress(ConnectionError, OSError):
        ask(sock, wire.LOCK, b"\1")
    assert not world.released


def test_a_second_panel_takes_the_bus(bus):
    world, _, sock = bus
    ask(sock, wire.KEYS)
    with contextlib.closing(socket.create_connection(sock.getpeername(), 5)) as second:
        assert ask(second, wire.LOCK, b"\1") == (wire.LOCK, b"")
        with pytest.raises((ConnectionError, OSError)):
            ask(sock, wire.LOCK, b"\0")
        assert world.released


def test_staging_replaces_the_firmware_and_keeps_the_rest(tmp_path):
    assert "virtual" in boards()
    stage_vfs("virtual", tmp_path)
    (tmp_path / "a/firmware/old.py").touch()
    (tmp_path / "b").mkdir()
    (tmp_path / "boot.json").write_text('{"slot": "b"}')
    (tmp_path / "settings.json").write_text("{}")
    stage_vfs("virtual", tmp_path)
    assert not (tmp_path / "a/firmware/old.py").exists() and (tmp_path / "settings.json").exists()
    assert not (tmp_path / "b").exists() and not (tmp_path / "boot.json").exists()
    assert (tmp_path / "a/firmware/hal/virtual/bus.py").is_file() and not (tmp_path / "a/firmware/hal/esp32").exists()
    assert {path.name for path in tmp_path.iterdir()} == {
        "a", "archive.py", "boot.py", "main.py", "settings.json", "slots.py"
    }  # fmt: skip
    assert (tmp_path / "a/board.py").is_file()
    with pytest.raises(Usage, match="no board 'toaster'"):
        stage_vfs("toaster", tmp_path)
