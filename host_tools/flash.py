"""Puts firmware on a board over USB, through esptool's library: checked before, verified after, the vault left alone.

What is written: bootloader, partition table, application and filesystem; the chip's settings store (nvs) is erased. The
vault, where residents are, is erased only when that is asked for by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from host_tools.errors import NoPanel, NotFlashable
from host_tools.image import partitions
from host_tools.image.build import FlashImage
from host_tools.image.partitions import SECTOR, TABLE_OFFSET, Partition, TableError

CHIP = "ESP32-S3"
BAUD = 921_600

Progress = Callable[[str, int, int], None]
Confirm = Callable[[str, str], None]


class WrongChip(NotFlashable):
    """The chip on the port is not what the image is for."""

    code = "chip"


class FlashFailed(NotFlashable):
    """The board was not flashed; what it holds now must be taken as incomplete."""

    code = "flash"


class VaultInTheWay(NotFlashable):
    """The flash holds something where the vault will be, and nobody said that it may go."""

    code = "vault_in_use"


def flash(
    image: FlashImage,
    port: str,
    *,
    confirm: Confirm,
    erase_vault: bool = False,
    progress: Progress = lambda what, done, total: None,
    baud: int = BAUD,
) -> dict[str, Any]:
    """Returns what was done. `confirm(what, word)` raises unless a person types `word`; it is called when the vault
    holds anything. `progress(what, done, total)` in bytes on the wire."""
    with _chip(port, progress) as connect:
        chip = _Session(connect(), image, port, baud)
        chip.check()
        found = chip.vaults()
        if found and not erase_vault:
            chip.keep_only_its_own(found)
        if found:
            confirm(_warning(image, port, erase_vault), "erase" if erase_vault else image.board.name)
        if erase_vault:
            for partition in found:
                chip.erase(partition)
        chip.write(progress)
        chip.restart()
    return {
        "board": image.board.name,
        "port": port,
        "micropython": image.stock.description(),
        "written": {name: len(content) for name, _, content in image.parts},
        "vault": ("erased" if erase_vault else "kept") if found else "empty",
    }


def _warning(image: FlashImage, port: str, erase_vault: bool) -> str:
    title = image.board.title
    if erase_vault:
        return (
            f"This erases the vault of the panel on {port}: its keys, every resident, face, PIN and card, and the log. "
            "No receipt is made. The panel is then a new one."
        )
    return (
        f"The panel on {port} is in use. Its firmware is replaced for {title}, its settings return to their defaults; "
        "residents, keys and log stay."
    )


class _Session:
    """One connected chip, with esptool's stub running on it."""

    def __init__(self, esp: Any, image: FlashImage, port: str, baud: int) -> None:
        self._esp, self._image, self._port, self._baud = esp, image, port, baud
        self._old_table: list[Partition] = []

    def check(self) -> None:
        """Chip, its locks, flash size; and what lies on it."""
        from esptool import cmds, util  # type: ignore[import-untyped]

        esp, info = self._esp, self._image.board
        if esp.CHIP_NAME != CHIP:
            raise WrongChip(f"The chip on {self._port} is an {esp.CHIP_NAME}; {info.title} has an {CHIP}.")
        if esp.secure_download_mode or esp.get_flash_encryption_enabled() or esp.get_secure_boot_enabled():
            raise WrongChip(
                f"The chip on {self._port} has secure boot or flash encryption: MicroPython does not run on it."
            )
        self._esp = esp = cmds.run_stub(esp)
        cmds.attach_flash(esp)
        size = cmds.detect_flash_size(esp)
        if size is None or util.flash_size_bytes(size) < info.flash_bytes:
            raise WrongChip(
                f"The board on {self._port} has {size or 'an unknown amount'} of flash; {info.title} needs "
                f"{info.flash_mb} MB."
            )
        if not self._port.startswith("socket:") and esp.get_usb_mode() is None:
            esp.change_baud(self._baud)
        self._old_table = self._read_table()

    def vaults(self) -> list[Partition]:
        """Where data lies that is a vault, or lies where the vault will be: the old table's place, then the new one."""
        new = self._image.board.vault
        places = [p for p in self._old_table if p.label == new.label and p.subtype == partitions.VAULT]
        if (new.offset, new.size) not in [(p.offset, p.size) for p in places]:
            places.append(new)
        return [place for place in places if not self._blank(place)]

    def keep_only_its_own(self, found: list[Partition]) -> None:
        """VaultInTheWay unless what was found is this layout's vault, which writing does not touch."""
        new = self._image.board.vault
        old = [p.offset for p in self._old_table if p.label == new.label and p.subtype == partitions.VAULT]
        if not old:
            raise VaultInTheWay(
                f"The flash of the board on {self._port} holds other data where the vault will be. "
                "Add --erase-vault to erase it; nothing was changed."
            )
        if [(p.offset, p.size) for p in found] != [(new.offset, new.size)]:
            raise VaultInTheWay(
                f"The vault of the panel on {self._port} lies elsewhere than {self._image.board.name} has it: "
                "its residents would be lost. Take the board that it was flashed for, or add --erase-vault; nothing "
                "was changed."
            )

    def erase(self, partition: Partition) -> None:
        from esptool import cmds

        cmds.erase_region(self._esp, partition.offset, partition.size)
        if not self._blank(partition):
            raise FlashFailed(
                f"The {partition.label} does not read back as erased: the flash chip is worn out or locked."
            )

    def write(self, progress: Progress) -> None:
        from esptool import cmds

        for name, offset, content in self._image.parts:
            progress(name, 0, len(content))
            cmds.write_flash(self._esp, [(offset, content)])
        for partition in self._image.board.layout:
            if partition.label == "nvs":
                self.erase(partition)
        cmds.verify_flash(self._esp, [(offset, content) for _, offset, content in self._image.parts])

    def restart(self) -> None:
        from esptool import cmds

        cmds.reset_chip(self._esp, "hard-reset")

    def _read_table(self) -> list[Partition]:
        try:
            return partitions.decode(self._esp.read_flash(TABLE_OFFSET, SECTOR))
        except TableError:
            return []

    def _blank(self, partition: Partition) -> bool:
        """The chip computes the MD5 itself: four megabytes need not cross the wire."""
        erased = hashlib.md5(b"\xff" * partition.size).hexdigest()
        return bool(self._esp.flash_md5sum(partition.offset, partition.size) == erased)


@contextmanager
def _chip(port: str, progress: Progress) -> Iterator[Callable[[], Any]]:
    """Gives a function that connects; closes the port and turns esptool's errors into ours."""
    import serial
    from esptool import cmds
    from esptool.util import FatalError  # type: ignore[import-untyped]

    opened: list[Any] = []

    def connect() -> Any:
        try:
            opened.append(cmds.detect_chip(port, connect_attempts=3))
        except (FatalError, OSError, serial.SerialException) as error:
            raise NoPanel(
                f"No board answers on {port} ({_first_line(error)}). Hold its BOOT button, press RST (or plug it in), "
                "let go, and run the command again."
            ) from error
        return opened[0]

    with _quiet(progress):
        try:
            yield connect
        except (FatalError, OSError, serial.SerialException) as error:
            raise FlashFailed(f"Flashing stopped: {_first_line(error)}. Run the command again.") from error
        finally:
            for esp in opened:
                esp._port.close()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


@contextmanager
def _quiet(progress: Progress) -> Iterator[None]:
    """esptool talks to its logger; only its progress reaches ours."""
    from esp_pylib.logger import EspLog
    from esptool.logger import TemplateLogger, log  # type: ignore[import-untyped]

    class Listener(TemplateLogger):
        def print(self, *args: Any, **kwargs: Any) -> None: ...
        def note(self, message: str) -> None: ...
        def warning(self, message: str) -> None: ...
        def error(self, message: str) -> None: ...
        def stage(self, finish: bool = False) -> None: ...
        def set_verbosity(self, verbosity: str) -> None: ...

        def progress_bar(
            self, cur_iter: int, total_iters: int, prefix: str = "", suffix: str = "", bar_length: int = 30
        ) -> None:
            progress("", cur_iter, total_iters)

    before = EspLog.instance
    log.set_logger(Listener())
    try:
        yield
    finally:
        EspLog.instance = before
