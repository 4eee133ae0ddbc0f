"""`menshen image` and `menshen flash` as a technician types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host_tools.image import partitions
from host_tools.image.board_info import load
from tests.host_tools import stock
from tests.host_tools.rom_loader import DownloadMode
from tests.host_tools.test_cli_commands import Result, run, undocumented

BOARD = "freenove_esp32s3_wroom_cam"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return stock.write(tmp_path / "MICROPYTHON.bin", stock.release())


def menshen(*words: str | Path, stdin: str = "") -> Result:
    with pytest.MonkeyPatch.context() as patch:
        return run(patch, *[str(word) for word in words], stdin=stdin)


def test_an_image_is_built_and_looked_into(release: Path, tmp_path: Path) -> None:
    out = tmp_path / "flash.bin"
    built = menshen("image", "build", "--board", BOARD, "--micropython", release, "--out", out, "--json")
    assert "no camera module" in built.err and len(built.json["cautions"]) == 1
    assert built.code == 0 and built.json["bytes"] == out.stat().st_size == 8 << 20
    assert [part["name"] for part in built.json["parts"]] == ["bootloader", "partition table", "factory", "vfs"]
    shown = menshen("image", "inspect", out, "--files")
    assert shown.code == 0 and "vault\tdata 0x40\t0x3e8000\t4192 KB\terased" in shown.out
    assert "micropython v1.28.0" in shown.out and "/a/packs/embedder.pack" in shown.out
    assert menshen("image", "inspect", out, "--json").json["problems"] == []
    assert not list(tmp_path.glob("*.part"))


def test_wrong_files_have_their_exit_codes(release: Path, tmp_path: Path) -> None:
    c3 = stock.write(tmp_path / "c3.bin", stock.release(chip=stock.ESP32_C3))
    out = tmp_path / "flash.bin"
    failed = menshen("image", "build", "--board", BOARD, "--micropython", c3, "--out", out, "--json")
    assert failed.code == 21 and json.loads(failed.out)["error"] == "image" and "ESP32-C3" in failed.err
    assert not out.exists()
    assert menshen("image", "build", "--board", "none", "--micropython", release, "--out", out).code == 2
    assert menshen("image", "build", "--board", BOARD, "--micropython", release, "--out", tmp_path / "no/f").code == 2
    assert menshen("image", "inspect", c3.with_name("nothing.bin")).code == 21
    assert menshen("flash", "--board", BOARD, "--port", "/dev/nowhere", "--micropython", release).code == 3


def test_a_board_is_flashed_and_a_panel_in_use_is_not_taken_by_surprise(release: Path) -> None:
    chip = DownloadMode()
    words = ("flash", "--board", BOARD, "--port", chip.port, "--micropython", release)
    try:
        done = menshen(*words)
        assert done.code == 0 and "menshen panel provision" in done.out and "Writing vfs" in done.err
        vault = load(BOARD).vault
        assert partitions.decode(bytes(chip.flash[0x8000:0x9000])) == load(BOARD).layout
        chip.flash[vault.offset] = 0
        asked = menshen(*words)  # nobody at the terminal
        assert asked.code == 2 and "is in use" in asked.err and "nothing was changed" in asked.err
        kept = menshen(*words, "--yes", "--json")
        assert undocumented("flash", kept.json) == []
        assert kept.code == 0 and kept.json["vault"] == "kept" and chip.flash[vault.offset] == 0
        erased = menshen(*words, "--erase-vault", "--yes", "--json")
        assert erased.code == 0 and erased.json["vault"] == "erased" and chip.flash[vault.offset] == 0xFF
    finally:
        chip.close()
