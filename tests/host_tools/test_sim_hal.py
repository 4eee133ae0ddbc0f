"""The virtual panel's hardware from the inside and the outside: a small program on the real board and HAL."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from firmware.ui.palette import PALETTE
from host_tools.errors import HostError, NoPanel, UnreadablePicture, Usage
from host_tools.image import stage_vfs
from host_tools.sim.camera import photograph
from host_tools.sim.card import Card
from host_tools.sim.control import Sim

# Keys are its commands; each prints one line.
PROGRAM = """
import gc, time
import board
from firmware.base.errors import HalError

panel = board.build()
frame = bytearray(76800)

def nfc():
    uid = panel.nfc.poll()
    print("uid", uid and uid.hex(), panel.nfc.transceive(bytes.fromhex("00A4040007D276000085010100")).hex())

def show():
    panel.display.fb.fill(3)
    panel.display.fb.pixel(1, 0, 5)
    panel.display.show()
    print("shown")

def flash():
    word = bytearray(4)
    panel.flash.read(2, word)
    panel.flash.program(2, b"\\x0f\\xff\\xff\\xff")
    print("flash", word.hex(), panel.flash.block_count)

def inputs():
    print("inputs", panel.door.closed(), panel.exit_button.pressed(), panel.tamper.open())

COMMANDS = {
    "0": panel.reset,
    "1": lambda: (panel.camera.capture_into(frame), print("frame", sum(frame))),
    "2": lambda: (panel.lock.release(True), print("released")),
    "3": lambda: (panel.lock.release(False), print("locked")),
    "4": nfc,
    "5": show,
    "6": lambda: print("clock", *panel.clock.now()),
    "7": lambda: (panel.console.open_repl(False), print("closed")),
    "8": lambda: (panel.clock.set(1_800_000_000), print("set")),
    "9": flash,
    "*": lambda: (panel.buzzer.tone("granted"), panel.light.show("granted"), panel.watchdog.feed(), print("fed")),
    "#": inputs,
}
print("up", panel.name, panel.has_camera, panel.memory()["heap_free"] > 1000000)
while True:
    for key in panel.keypad.scan():
        try:
            COMMANDS[key]()
        except HalError as error:
            print("failed", error.code, error)
    got = panel.console.read()
    if got:
        panel.console.write(b"got " + got + b"\\n")
    time.sleep_ms(5)
"""


def stage(vfs):
    stage_vfs("virtual", vfs)
    (vfs / "main.py").write_text(PROGRAM)


@pytest.fixture
def sim(tmp_path):
    with Sim.start(tmp_path / "panel", stage=stage, tty=True) as sim:
        assert sim.wait_console("up virtual True True"), sim.console()
        yield sim


def said(sim, key, start):
    """Presses `key`; the next line that begins with `start`, without it."""
    before = len(sim.console())
    sim.press(key)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for line in sim.console()[before:].splitlines(keepends=True):
            if line.startswith(start) and line.endswith("\n"):
                return line[len(start) :].strip()
        time.sleep(0.01)
    raise AssertionError(f"{key} did not lead to {start!r}:\n{sim.console()}")


def alive(pid):
    """Not ended, or ended but not waited for: whoever adopts an orphan may take its time."""
    try:
        os.kill(pid, 0)
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def gone(pid):
    for _ in range(500):
        if not alive(pid):
            return True
        time.sleep(0.01)
    return False


def test_camera(sim):
    empty = int(said(sim, "1", "frame"))
    assert np.array_equal(sim.last_frame(), photograph(None, 0)) and empty == sim.last_frame().sum()
    bright = np.full((50, 40, 3), 240, np.uint8)
    sim.show(bright, height=230, seed=9)
    assert int(said(sim, "1", "frame")) == photograph(bright, 1, height=230, seed=9).sum()
    sim.cut_camera(True)
    assert said(sim, "1", "failed") == "camera the camera does not answer"
    sim.cut_camera(False)
    sim.show(None)
    assert int(said(sim, "1", "frame")) == photograph(None, 2).sum()


def test_pictures_and_keys_that_are_none(sim, tmp_path):
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(UnreadablePicture):
        sim.show(torn)
    with pytest.raises(UnreadablePicture):
        sim.show(tmp_path / "absent.jpg")
    with pytest.raises(Usage, match="unknown camera parameter: zoom"):
        sim.show(None, zoom=2)
    with pytest.raises(Usage, match="keypad"):
        sim.press("3A")


def test_lock_door_and_buzzer(sim):
    before = time.time()
    said(sim, "2", "released")
    assert sim.wait_lock(True, since=before, timeout=5)
    assert sim.door_state() == {"released": True, "closed": True}
    assert not sim.wait_lock(False, since=before, timeout=0.05)
    said(sim, "3", "locked")
    assert [entry["released"] for entry in sim.lock_log()] == [True, False]
    sim.set_door(False)
    sim.set_exit(True)
    sim.set_tamper(True)
    assert said(sim, "#", "inputs") == "False True True"
    said(sim, "*", "fed")
    assert [entry["tone"] for entry in sim.buzzer_log()] == ["granted"]
    assert [entry["light"] for entry in sim.light_log()] == ["granted"] and sim.status()["light"] == "granted"


def test_cards_come_and_go(sim, tmp_path):
    card = Card.create()
    card.save(tmp_path / "card.json")
    assert said(sim, "4", "failed") == "hal no card in the field"
    sim.tap(tmp_path / "card.json")
    assert said(sim, "4", "uid") == f"{card.uid.hex()} 9000"
    sim.tap(None)
    assert said(sim, "4", "failed") == "hal no card in the field"
    sim.tap(tmp_path / "card.json", seconds=0.0)
    assert said(sim, "4", "failed") == "hal no card in the field"
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(Usage, match="not a card file"):
        sim.tap(tmp_path / "card.json")


def test_screen(sim):
    assert not sim.screen().any()
    said(sim, "5", "shown")
    screen = sim.screen()
    assert screen.shape == (320, 240, 3)
    assert tuple(screen[0, 1]) == PALETTE[5]
    assert tuple(screen[0, 0]) == tuple(screen[319, 239]) == PALETTE[3]


def test_clock_survives_a_power_cut(sim):
    assert said(sim, "6", "clock").split()[1] == "0"
    with pytest.raises(Usage, match="never set"):
        sim.clock_step(1)
    said(sim, "8", "set")
    sim.clock_step(3600)
    unix, source = said(sim, "6", "clock").split()
    assert 0 <= int(unix) - 1_800_003_600 < 20 and source == "2"
    sim.kill()
    sim.restart()
    unix, source = said(sim, "6", "clock").split()
    assert 0 <= int(unix) - 1_800_003_600 < 20 and source == "1"


def test_flash_survives_a_power_cut_and_the_lock_falls_shut(sim):
    assert said(sim, "9", "flash").split()[0] == "ffffffff"
    said(sim, "2", "released")
    pid = sim.status()["panel_pid"]
    sim.kill()
    assert not alive(pid)
    assert sim.status()["panel_pid"] is None
    assert not sim.door_state()["released"] and not sim.lock_log()[-1]["released"]
    sim.restart()
    assert said(sim, "9", "flash").split()[0] == "0fffffff"
    assert "chips" not in [path.name for path in (sim.state / "vfs").iterdir()]


def test_reset_and_a_crash_start_it_again(sim):
    pid = sim.status()["panel_pid"]
    assert said(sim, "0", "up")
    assert sim.status()["panel_pid"] != pid
    os.kill(sim.status()["panel_pid"], 9)
    assert sim.wait_console("ended (-9), restarting")
    assert said(sim, "#", "inputs")


def connect(sim):
    return contextlib.closing(socket.create_connection(("127.0.0.1", int(sim.port.rsplit(":", 1)[1])), 5))


def received(sock, until):
    data = b""
    sock.settimeout(5)
    while until not in data:
        data += sock.recv(4096)
    return data


def test_bytes_pass_unchanged_and_ctrl_c_only_while_the_repl_is_open(sim):
    every = bytes(b for b in range(256) if b != 3)
    said(sim, "7", "closed")
    with connect(sim) as port:
        port.sendall(every + b"\x03\x03.")
        assert every + b"." in received(port, b".\n").replace(b"\ngot ", b"")
        port.sendall(b"x" * 20_000 + b"END")
        assert received(port, b"END").count(b"x") == 20_000
    said(sim, "0", "up")
    with connect(sim) as port:
        port.sendall(b"\x03")
        assert b"KeyboardInterrupt" in received(port, b">>> ")
        port.sendall(b"\x03\x031 + 41\r")
        assert b"42" in received(port, b"\n42")
        port.sendall(b"\x04")
        assert b"MPY: soft reboot" in received(port, b"up virtual")


def test_a_later_client_waits_for_the_first(sim):
    with connect(sim) as first:
        first.sendall(b"1")
        received(first, b"got 1")
        with connect(sim) as second:
            second.sendall(b"2")
            time.sleep(0.1)
            assert "got 2" not in sim.console()
            first.close()
            received(second, b"got 2")


def test_the_device_file_is_the_same_port(sim):
    with (sim.state / "tty").open("r+b", buffering=0) as port:
        port.write(b"hello")
        data = b""
        while b"hello" not in data:
            data += port.read(64)
    with connect(sim) as client:
        client.sendall(b"over tcp")
        received(client, b"over tcp")


def test_start_attach_and_stop(tmp_path):
    state = tmp_path / "panel"
    with pytest.raises(NoPanel):
        Sim.attach(state)
    sim = Sim.start(state, stage=stage, detach=True)
    sim.close()
    again = Sim.attach(state)
    with pytest.raises(HostError, match="already"):
        Sim.start(state, stage=stage)
    status = again.status()
    again.stop()
    assert gone(status["pid"]) and gone(status["panel_pid"])
    assert not (state / "sim.json").exists()
    with pytest.raises(NoPanel):
        again.status()


def test_no_orphans_when_the_owner_or_the_simulator_dies(tmp_path):
    sim = Sim.start(tmp_path / "owner", stage=stage)
    status = sim.status()
    sim._process.stdin.close()  # as the kernel does when the owner dies
    assert gone(status["panel_pid"]) and sim._process.wait(10) == 0
    sim = Sim.start(tmp_path / "simulator", stage=stage)
    assert sim.wait_console("up")
    status = sim.status()
    sim._process.kill()
    assert gone(status["panel_pid"])
    sim.stop()


def test_a_simulator_that_cannot_start_says_why(tmp_path):
    (tmp_path / "panel").mkdir()
    (tmp_path / "panel" / "lock").mkdir()
    with pytest.raises(HostError, match="did not start"):
        Sim.start(tmp_path / "panel", stage=stage)


def test_the_control_port_needs_the_token(sim):
    stranger = Sim(sim.state, sim._info | {"token": "0"})
    with pytest.raises(Usage, match="wrong token"):
        stranger.status()
    stranger.close()
    assert (sim.state / "sim.json").stat().st_mode & 0o077 == 0
