"""Whole flash images: every board, the stock parts, what provisioning adds, and MicroPython's view of the result."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from esptool.bin_image import LoadFirmwareImage

from host_tools.errors import Usage
from host_tools.image import archive, esp32, littlefs, mpy, partitions, source_root
from host_tools.image.board_info import chip_boards, load
from host_tools.image.build import FlashImage, build, filesystem, read_provision
from host_tools.image.esp32 import ImageError
from host_tools.image.inspect import inspect
from tests.host_tools import stock

BOARD = "xiao_esp32s3_sense"
ROOT = source_root()


@pytest.fixture(scope="module")
def micropython(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stock.write(tmp_path_factory.mktemp("stock") / "MICROPYTHON.bin", stock.release())


@pytest.fixture(scope="module")
def image(micropython: Path) -> FlashImage:
    return build(BOARD, micropython)


@pytest.mark.parametrize("board", chip_boards())
def test_every_board_gets_a_whole_image(board: str, micropython: Path, tmp_path: Path) -> None:
    built = build(board, micropython)
    path = stock.write(tmp_path / "flash.bin", built.whole())
    found = inspect(path)
    assert (found["chip"], found["flash_mb"], found["problems"]) == ("ESP32-S3", load(board).flash_mb, [])
    content = {partition["name"]: partition["content"] for partition in found["partitions"]}
    assert content["vault"] == content["nvs"] == "erased"
    assert content["factory"].startswith("micropython v1.28.0")
    assert "files" in content["vfs"]


def test_the_stock_parts_are_unchanged_but_for_the_flash_size(image: FlashImage) -> None:
    whole = image.whole()
    bootloader = LoadFirmwareImage("esp32s3", whole)
    bootloader.verify()
    assert whole[3] >> 4 == esp32.FLASH_SIZES[8]
    assert whole[4:100] == stock.bootloader()[4:100]
    assert whole[0x10000 : 0x10000 + len(stock.app())] == stock.app()
    assert partitions.decode(whole[0x8000:0x9000]) == load(BOARD).layout


def test_the_same_inputs_give_the_same_bytes(image: FlashImage, micropython: Path) -> None:
    assert build(BOARD, micropython).whole() == image.whole()


def test_the_filesystem_holds_compiled_firmware_and_readable_start_up_files(image: FlashImage) -> None:
    files = littlefs.files(image.parts[-1][2])
    sources = [name for name in files if name.endswith(".py")]
    assert sorted(sources) == ["/a/board.py", "/boot.py", "/main.py"]
    assert files["/a/board.py"] == (ROOT / "boards" / BOARD / "board.py").read_bytes()
    assert files["/boot.py"] == (ROOT / "firmware/hal/esp32/boot.py").read_bytes()
    packs = [f"/a/packs/{path.name}" for path in (ROOT / "models").glob("*/*.pack")]
    assert files["/a/packs/detector.pack"] == (ROOT / "models/detector/detector.pack").read_bytes()
    own = {"/a/board.py", "/a/firmware.pak", "/a/manifest.json", *packs}
    assert set(files) == {"/archive.mpy", "/boot.py", "/main.py", "/slots.mpy", *own}
    firmware = archive.unpack(files["/a/firmware.pak"])
    assert {"app.mpy", "hal/esp32/board.mpy", "ui/fonts/large.fnt"} <= set(firmware)
    assert not [name for name in firmware if "virtual" in name or "__pycache__" in name or name.endswith(".py")]
    assert "hal/esp32/boot.mpy" not in firmware, "it lies outside"


def test_firmware_and_packs_stay_within_their_budget(image: FlashImage) -> None:
    assert littlefs.used_bytes(image.parts[-1][2]) <= 1.5 * 1024 * 1024


@pytest.mark.parametrize("board", chip_boards())
def test_both_slots_fit_with_room_for_an_update_to_be_staged(board: str, tmp_path: Path) -> None:
    """An embedder of 600 KB of weights, all that its budget allows, beside the rest; twice."""
    info = load(board)
    files = littlefs.files(filesystem(info))
    for name, content in files.items():
        for slot in ("a", "b") if name.startswith("/a/") else ("",):
            path = tmp_path / (name.replace("/a/", f"/{slot}/", 1) if slot else name).lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.ljust(605_000, b"x") if name.endswith("embedder.pack") else content)
    used = littlefs.used_bytes(littlefs.pack(tmp_path, info.vfs.size))
    assert info.vfs.size - used >= 40 * 1024, "firmware/services/update.py asks for this"


def test_inspect_lists_the_firmware_as_it_is_mounted(image: FlashImage, tmp_path: Path) -> None:
    found = inspect(stock.write(tmp_path / "flash.bin", image.whole()))
    files = next(p["files"] for p in found["partitions"] if p["name"] == "vfs")
    assert files["/a/firmware/app.mpy"] > 1000 and "/a/firmware.pak" not in files
    assert "/a/packs/embedder.pack" in files


def test_micropython_mounts_it_and_writes_to_it(image: FlashImage, tmp_path: Path) -> None:
    vfs = image.parts[-1][2]
    path = stock.write(tmp_path / "vfs.bin", vfs)
    micropython = Path(sys.executable).parent / "micropython"
    command = [str(micropython), "-X", "heapsize=32M", str(ROOT / "tests/host_tools/mount_vfs.py"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sizes = {name.removeprefix("/flash"): size for name, size in json.loads(done.stdout.splitlines()[0]).items()}
    assert sizes == {name: len(content) for name, content in littlefs.files(vfs).items()}


def test_every_module_of_the_firmware_compiles_for_the_s3(tmp_path: Path) -> None:
    sources = [path for path in sorted((ROOT / "firmware").rglob("*.py")) if "virtual" not in path.parts]
    assert len(sources) > 80
    for path in sources:
        out = tmp_path / "out.mpy"
        mpy.compile_module(path, path.name, out)
        assert out.read_bytes()[:1] == b"M" and out.read_bytes()[1] == 6, path
    with pytest.raises(mpy.CompileError, match=r"bad\.py"):
        mpy.compile_module(stock.write(tmp_path / "bad.py", b"def ("), "bad.py", tmp_path / "bad.mpy")


def test_viper_code_is_compiled_for_the_s3_and_marked_so(tmp_path: Path) -> None:
    out = tmp_path / "k.mpy"
    mpy.compile_module(ROOT / "firmware/nn/kernels_viper.py", "k", out)
    xtensawin = 10  # MP_NATIVE_ARCH_XTENSAWIN, in bits 2 to 5 of the feature byte
    assert out.read_bytes()[2] >> 2 & 0xF == xtensawin


def test_an_application_too_large_for_its_slot_is_refused(tmp_path: Path) -> None:
    path = stock.write(tmp_path / "big.bin", stock.release(application=stock.app(kilobytes=2100)))
    with pytest.raises(ImageError, match="has room for 2048 KB"):
        build(BOARD, path)
    assert build("m5stack_cores3", path).stock.app.data == stock.app(kilobytes=2100)


@pytest.mark.parametrize(
    ("board", "names", "about"),
    [
        (BOARD, b"Generic ESP32S3 module with Octal-SPIRAM with ESP32S3\0FrameSize\0", []),
        (BOARD, b"Generic ESP32S3 module with ESP32S3\0FrameSize\0", ["SPIRAM_OCT variant"]),
        (BOARD, b"XIAO ESP32S3 SENSE with ESP32-S3\0FrameSize\0", []),
        (BOARD, b"Generic ESP32S3 module with Octal-SPIRAM with ESP32S3\0", ["no camera module"]),
        ("m5stack_cores3", b"Generic ESP32S3 module with Octal-SPIRAM with ESP32S3\0FrameSize\0", ["plain variant"]),
        ("esp32s3_generic", b"Generic ESP32S3 module with Octal-SPIRAM with ESP32S3\0", []),
    ],
)
def test_images_that_will_not_work_as_expected_are_told(
    board: str, names: bytes, about: list[str], tmp_path: Path
) -> None:
    path = stock.write(tmp_path / "given.bin", stock.release(application=stock.app(names=names)))
    told = build(board, path).cautions()
    assert len(told) == len(about) and all(word in sentence for word, sentence in zip(about, told, strict=True))


def test_there_is_no_image_for_the_virtual_panel_or_a_board_nobody_knows(micropython: Path) -> None:
    for board in ("virtual", "nonsense", "../virtual"):
        with pytest.raises(Usage, match="Boards: esp32s3_generic"):
            build(board, micropython)


def test_a_provisioning_file_becomes_settings_and_network(tmp_path: Path) -> None:
    wanted = {
        "settings": {"door": 3, "open_s": 8},
        "network": {"ssid": "Hof 7", "password": "x" * 20, "ntp": "10.0.0.1"},
    }
    path = tmp_path / "provision.json"
    path.write_text(json.dumps(wanted))
    files = littlefs.files(filesystem(load(BOARD), path))
    assert json.loads(files["/settings.json"]) == wanted["settings"]
    assert json.loads(files["/network.json"]) == wanted["network"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "no JSON"),
        ('{"keys": {}}', "nothing else"),
        ('{"settings": {"door": 99}}', "from 0 to 31"),
        ('{"settings": {"threshold": 1}}', "no setting"),
        ('{"settings": []}', "no object"),
        ('{"network": {"password": "x"}}', "ssid"),
        ('{"network": {"ssid": "s", "ntp": "time.example"}}', "IPv4"),
        ('{"network": {"ssid": 5}}', "text"),
        ('{"network": {"ssid": "' + "s" * 65 + '"}}', "64 bytes"),
    ],
)
def test_a_wrong_provisioning_file_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "provision.json"
    path.write_text(content)
    with pytest.raises(Usage, match=complaint):
        read_provision(path)


def test_inspect_tells_what_a_panel_in_use_holds(image: FlashImage, tmp_path: Path) -> None:
    whole = bytearray(image.whole())
    vault = load(BOARD).vault
    for block in (0, 1, 30):
        whole[vault.offset + block * 4096 + 8] = 0
    whole[0x10000 + 5000] ^= 1
    found = {p["name"]: p for p in inspect(stock.write(tmp_path / "dump.bin", bytes(whole)))["partitions"]}
    assert found["vault"]["content"] == "3 of 1048 blocks in use"
    assert found["factory"]["content"] == "unreadable" and "damaged" in found["factory"]["why"]
    short = {p["name"]: p for p in inspect(stock.write(tmp_path / "short.bin", bytes(whole[:0x300000])))["partitions"]}
    assert (short["vfs"]["content"], short["vault"]["content"]) == ("cut short", "not in this file")


def test_inspect_of_a_stock_release_names_its_own_faults(micropython: Path) -> None:
    found = inspect(micropython)
    assert found["flash_mb"] == 4 and [p["name"] for p in found["partitions"]] == ["nvs", "phy_init", "factory", "vfs"]
    assert "v1.28.0" in found["partitions"][2]["content"], "it ends with the application, which is whole"
