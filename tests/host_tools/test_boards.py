"""The boards' tables: no pin twice, none that the chip needs for itself, layouts that fit, wiring as it is built."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from firmware.vault.layout import Layout
from host_tools.image import partitions
from host_tools.image.board_info import chip_boards, constants, load
from host_tools.image.tree import source_root

TABLES = ("CAMERA", "I2C", "LCD", "KEYPAD", "WIRES", "PIXEL")
STRAPPING = {0, 3, 45, 46}
USB = {19, 20}
FLASH = set(range(26, 33))
OCTAL_PSRAM = set(range(33, 38))
ABSENT = set(range(22, 26))
ADC1 = set(range(1, 11))
CAPABILITIES = {"camera", "nfc", "keypad", "display"}
BOARDS = chip_boards()


def folder(board: str) -> Path:
    return source_root() / "boards" / board


def pins(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [pin for item in value.values() for pin in pins(item)]
    if isinstance(value, list):
        return [pin for item in value for pin in pins(item)]
    return [value] if isinstance(value, int) and value >= 0 else []


def tables(board: str) -> dict[str, Any]:
    found = constants(folder(board) / "board.py")
    return {name: found[name] for name in TABLES if name in found}


def test_the_five_boards_are_there() -> None:
    assert {"freenove_esp32s3_wroom_cam", "xiao_esp32s3_sense", "m5stack_cores3", "lilygo_t_camera_s3",
            "esp32s3_generic"} <= set(BOARDS)  # fmt: skip


@pytest.mark.parametrize("board", BOARDS)
def test_no_pin_is_used_twice(board: str) -> None:
    used = [pin for table in tables(board).values() for pin in pins(table)]
    assert sorted(used) == sorted(set(used))


@pytest.mark.parametrize("board", BOARDS)
def test_no_pin_of_the_chips_own_is_used(board: str) -> None:
    manifest = constants(folder(board) / "manifest.py")
    forbidden = USB | FLASH | ABSENT | (OCTAL_PSRAM if manifest["PSRAM"] == "octal" else set())
    for name, table in tables(board).items():
        wired = set(pins(table))
        assert not wired & forbidden, name
        assert max(wired) <= 48
        # The maker may have put the camera on a strapping pin; a technician's wire there could keep the board from
        # starting.
        if name not in manifest["ONBOARD"]:
            assert not wired & STRAPPING, name


@pytest.mark.parametrize("board", BOARDS)
def test_the_camera_is_complete(board: str) -> None:
    camera = tables(board).get("CAMERA")
    if camera is None:
        return
    assert len(camera["data_pins"]) == 8
    assert {"vsync_pin", "href_pin", "pclk_pin", "xclk_pin", "sda_pin", "scl_pin"} <= set(camera)


@pytest.mark.parametrize("board", BOARDS)
def test_the_door_is_complete_and_its_lock_on_a_pin_of_the_chip(board: str) -> None:
    wires = tables(board)["WIRES"]
    assert {"lock", "exit", "contact", "tamper", "buzzer"} <= set(wires)
    assert set(wires) <= {"lock", "exit", "contact", "tamper", "buzzer", "light", "fire", "lock_back"}
    assert isinstance(wires["lock"], int), "an expander's outputs are high in reset"
    slots = [place[1] for place in wires.values() if isinstance(place, tuple)]
    assert len(set(slots)) == len(slots) and all(0 <= slot < 8 for slot in slots)


@pytest.mark.parametrize("board", BOARDS)
def test_noise_is_read_where_the_radio_does_not_disturb(board: str) -> None:
    noise = constants(folder(board) / "board.py")["NOISE"]
    assert noise is None or noise in ADC1
    assert noise not in pins(tables(board).get("CAMERA", {}))


@pytest.mark.parametrize("board", BOARDS)
def test_capabilities_are_known_ones(board: str) -> None:
    found = constants(folder(board) / "board.py")
    assert set(found["CAPABILITIES"]) <= CAPABILITIES and len(set(found["CAPABILITIES"])) == len(found["CAPABILITIES"])
    assert ("display" in found["CAPABILITIES"]) == ("LCD" in found)


@pytest.mark.parametrize("board", BOARDS)
def test_the_layout_fits_the_flash_and_has_what_the_panel_needs(board: str) -> None:
    info = load(board)
    assert info.flash_mb in (8, 16)
    assert info.vfs.subtype == partitions.FAT, "MicroPython looks for a data partition of this type named vfs"
    assert info.vault.subtype == partitions.VAULT
    assert partitions.app(info.layout).offset == 0x10000
    assert partitions.app(info.layout).size >= 0x1F0000, "the slot of stock images"
    assert partitions.decode(partitions.encode(info.layout)) == info.layout


@pytest.mark.parametrize("board", BOARDS)
def test_the_vault_holds_512_residents_with_a_face_each(board: str) -> None:
    blocks = load(board).vault.size // 4096
    layout = Layout(blocks)
    assert len(layout.records) - layout.reserve >= 2 * 512


@pytest.mark.parametrize("board", BOARDS)
def test_the_wiring_notes_name_every_wire_as_the_code_has_it(board: str) -> None:
    notes = (folder(board) / "wiring.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", notes, re.MULTILINE))
    expected: dict[str, str] = {}
    found = tables(board)
    onboard = constants(folder(board) / "manifest.py")["ONBOARD"]
    for name, place in found["WIRES"].items():
        expected[name] = f"PCF8574 P{place[1]}" if isinstance(place, tuple) else f"GPIO {place}"
    for name in ("sda", "scl"):
        expected[name] = f"GPIO {found['I2C'][name]}"
    if "LCD" in found and "LCD" not in onboard:
        expected |= {f"lcd_{name}": f"GPIO {pin}" for name, pin in found["LCD"].items()}
    for line, numbers in found.get("KEYPAD", {}).items():
        expected |= {f"{line[:-1]}_{at + 1}": f"GPIO {pin}" for at, pin in enumerate(numbers)}
    assert {name: rows.get(name) for name in expected} == expected
    assert set(rows) == set(expected), "wires in the notes that the code does not know"
