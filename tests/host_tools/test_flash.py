"""`menshen flash` through esptool's own library, against a chip that speaks the ROM loader's protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from host_tools import flash as flasher
from host_tools.errors import NoPanel, Usage
from host_tools.flash import FlashFailed, VaultInTheWay, WrongChip
from host_tools.image import partitions
from host_tools.image.board_info import load
from host_tools.image.build import FlashImage, build
from tests.host_tools import stock
from tests.host_tools.rom_loader import DownloadMode

BOARD = "xiao_esp32s3_sense"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> FlashImage:
    return build(BOARD, stock.write(tmp_path_factory.mktemp("stock") / "MICROPYTHON.bin", stock.release()))


@pytest.fixture
def chip() -> Iterator[Callable[..., DownloadMode]]:
    made: list[DownloadMode] = []

    def make(**options: Any) -> DownloadMode:
        made.append(DownloadMode(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Person:
    """Types the word that is asked for, or does not."""

    def __init__(self, agrees: bool = True) -> None:
        self.agrees, self.asked = agrees, []  # type: ignore[var-annotated]

    def __call__(self, what: str, word: str) -> None:
        self.asked.append((what, word))
        if not self.agrees:
            raise Usage("The word was not typed. Nothing was changed.")


def flash(target: DownloadMode, image: FlashImage, person: Person | None = None, **options: Any) -> Any:
    return flasher.flash(image, target.port, confirm=person or Person(agrees=False), **options)


def used_vault(target: DownloadMode, board: str = BOARD) -> int:
    """A panel in use: our table, and a record in the vault."""
    info = load(board)
    target.flash[0x8000:0x9000] = partitions.encode(info.layout)
    target.flash[info.vault.offset : info.vault.offset + 4] = b"face"
    return info.vault.offset


def test_a_new_board_gets_exactly_the_factory_image(chip: Any, image: FlashImage) -> None:
    target = chip(flash_mb=16)
    nvs = load(BOARD).layout[0]
    target.flash[nvs.offset : nvs.offset + 20] = b"somebody's Wi-Fi key"
    seen: list[tuple[str, int, int]] = []
    done = flash(target, image, progress=lambda *step: seen.append(step))
    whole = image.whole()
    assert bytes(target.flash[: len(whole)]) == whole
    assert bytes(target.flash[len(whole) :]).count(b"\xff") == 8 << 20
    assert done["vault"] == "empty" and done["written"]["vfs"] == load(BOARD).vfs.size
    names = [name for name, _, _ in seen if name]
    assert names == ["bootloader", "partition table", "factory", "vfs"]
    assert max(done for _, done, _ in seen) > 100_000, "progress goes along"


def test_a_panel_in_use_keeps_its_vault_and_asks_first(chip: Any, image: FlashImage) -> None:
    target = chip()
    vault = used_vault(target)
    before = bytes(target.flash)
    refusing = Person(agrees=False)
    with pytest.raises(Usage):
        flash(target, image, person=refusing)
    assert bytes(target.flash) == before and refusing.asked[0][1] == BOARD
    assert flash(target, image, person=Person())["vault"] == "kept"
    assert bytes(target.flash[vault : vault + 4]) == b"face"
    assert bytes(target.flash[0x10000:0x10001]) == b"\xe9"


def test_the_vault_goes_only_by_its_own_option_and_a_typed_word(chip: Any, image: FlashImage) -> None:
    target = chip()
    vault = used_vault(target)
    with pytest.raises(Usage):
        flash(target, image, erase_vault=True)
    assert bytes(target.flash[vault : vault + 4]) == b"face"
    person = Person()
    assert flash(target, image, person=person, erase_vault=True)["vault"] == "erased"
    assert person.asked[0][1] == "erase" and "every resident" in person.asked[0][0]
    assert bytes(target.flash[vault : load(BOARD).vault.end]).count(b"\xff") == load(BOARD).vault.size


def test_another_boards_vault_is_not_written_over(chip: Any, image: FlashImage) -> None:
    target = chip(flash_mb=16)
    old = used_vault(target, "m5stack_cores3")
    before = bytes(target.flash)
    with pytest.raises(VaultInTheWay, match="elsewhere"):
        flash(target, image, person=Person())
    assert bytes(target.flash) == before
    flash(target, image, person=Person(), erase_vault=True)
    assert b"face" not in bytes(target.flash[old : old + 4096]), "it is gone, not only forgotten"


def test_other_data_where_the_vault_will_be_is_not_taken_for_records(chip: Any, image: FlashImage) -> None:
    target = chip()
    place = load(BOARD).vault.offset + 0x10000
    target.flash[place : place + 9] = b"demo code"
    with pytest.raises(VaultInTheWay, match="other data"):
        flash(target, image, person=Person())
    flash(target, image, person=Person(), erase_vault=True)
    assert bytes(target.flash[place : place + 9]) == b"\xff" * 9


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"chip_id": 5}, "ESP32-C3"),
        ({"chip_id": 13}, "ESP32-C6"),
        ({"flash_mb": 4}, "4MB of flash; .* needs 8 MB"),
    ],
)
def test_the_wrong_chip_is_left_alone(chip: Any, image: FlashImage, options: dict[str, int], complaint: str) -> None:
    target = chip(**options)
    with pytest.raises(WrongChip, match=complaint):
        flash(target, image)
    assert not target.writes


def test_a_chip_with_secure_boot_is_left_alone(chip: Any, image: FlashImage) -> None:
    target = chip()
    target._registers[0x60007038] = 1 << 20  # EFUSE_SECURE_BOOT_EN
    with pytest.raises(WrongChip, match="secure boot"):
        flash(target, image)
    assert not target.writes


def test_flash_that_does_not_take_what_is_written_is_noticed(chip: Any, image: FlashImage) -> None:
    target = chip()
    target.lossy = True
    with pytest.raises(FlashFailed):
        flash(target, image)


def test_a_vault_that_does_not_erase_is_no_success(chip: Any, image: FlashImage) -> None:
    target = chip()
    vault = used_vault(target)
    target.worn.add(vault // 4096)
    with pytest.raises(FlashFailed, match="read back"):
        flash(target, image, person=Person(), erase_vault=True)


def test_a_pulled_cable_is_told_and_the_next_run_finishes(chip: Any, image: FlashImage) -> None:
    target = chip()
    target.drop_after = 110
    with pytest.raises(FlashFailed, match="Run the command again"):
        flash(target, image)
    target.drop_after = -1
    flash(target, image, person=Person())
    whole = image.whole()
    assert bytes(target.flash) == whole


def test_nobody_on_the_port(image: FlashImage) -> None:
    with pytest.raises(NoPanel, match="BOOT"):
        flasher.flash(image, "/dev/nowhere", confirm=Person())
