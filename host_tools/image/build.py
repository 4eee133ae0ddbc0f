"""Puts a panel's whole flash together: stock MicroPython, our partition table, the filesystem, an erased vault."""

from __future__ import annotations

import ipaddress
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware.services.settings import FIELDS
from firmware.services.update import KEY_FILE
from firmware.start.slots import SLOTS
from host_tools.errors import Usage
from host_tools.image import bundle, esp32, littlefs, mpy, partitions
from host_tools.image.board_info import BoardInfo, load
from host_tools.image.esp32 import ImageError, Stock
from host_tools.image.partitions import TABLE_OFFSET
from host_tools.image.tree import stage_vfs

_NETWORK = ("ssid", "password", "ntp")
_MAX_TEXT = 64
_GENERIC = "Generic ESP32S3"


@dataclass(frozen=True)
class FlashImage:
    """`parts`: (name, offset, content) of what is written; all other flash is erased."""

    board: BoardInfo
    stock: Stock
    parts: list[tuple[str, int, bytes]]

    def cautions(self) -> list[str]:
        """What will flash but not work as a person expects; sentences."""
        found = []
        machine = esp32.machine_name(self.stock.app)
        octal = "Octal" in machine
        if machine.startswith(_GENERIC) and octal != (self.board.psram == "octal"):
            variant = "SPIRAM_OCT variant" if self.board.psram == "octal" else "plain variant, not SPIRAM_OCT"
            found.append(
                f"The image is for {machine!r}, but {self.board.title} has {self.board.psram} PSRAM: take the "
                f"{variant}, or the firmware will not find its memory."
            )
        if self.board.has_sensor and not esp32.has_camera_module(self.stock.app):
            found.append(
                "The image has no camera module: the panel will open by card and PIN, but not by face. "
                "Images with it are published by the micropython-camera-API project."
            )
        return found

    def whole(self) -> bytes:
        """Every byte of the flash up to the layout's end, for factory programming."""
        end = max(partition.end for partition in self.board.layout)
        flash = bytearray(b"\xff" * end)
        for _, offset, content in self.parts:
            flash[offset : offset + len(content)] = content
        return bytes(flash)


def build(board: str, micropython: Path, provision: Path | None = None, update_key: bytes | None = None) -> FlashImage:
    info = load(board)
    stock = esp32.read_stock(micropython)
    bootloader = _fitting_bootloader(info, stock)
    slot = partitions.app(info.layout)
    if len(stock.app.data) > slot.size:
        raise ImageError(
            f"The application in {micropython.name} has {len(stock.app.data) // 1024} KB; {info.name} has room for "
            f"{slot.size // 1024} KB. Take another image, or enlarge its partition in boards/{info.name}."
        )
    parts = [
        ("bootloader", 0, bootloader),
        ("partition table", TABLE_OFFSET, partitions.encode(info.layout)),
        (slot.label, slot.offset, stock.app.data),
        ("vfs", info.vfs.offset, filesystem(info, provision, update_key=update_key)),
    ]
    return FlashImage(info, stock, parts)


def _fitting_bootloader(info: BoardInfo, stock: Stock) -> bytes:
    bootloader = esp32.with_flash_size(stock.bootloader, info.flash_mb).data
    if len(bootloader) > TABLE_OFFSET:
        raise ImageError(f"The bootloader has {len(bootloader)} bytes and would overwrite the partition table.")
    return bootloader


def filesystem(
    info: BoardInfo, provision: Path | None = None, march: str = mpy.XTENSA, update_key: bytes | None = None
) -> bytes:
    """The vfs partition: compiled firmware, packs, start-up files, what `provision` sets, whose updates it takes."""
    extra = read_provision(provision) if provision else {}
    with tempfile.TemporaryDirectory(prefix="menshen-") as folder:
        tree = Path(folder)
        stage_vfs(info.name, tree)
        mpy.compile_tree(tree, march)
        bundle.finish(tree / SLOTS[0], info.name)
        if update_key:
            (tree / KEY_FILE).write_bytes(update_key)
        for name, content in extra.items():
            (tree / name).write_text(json.dumps(content))
        return littlefs.pack(tree, info.vfs.size)


def read_provision(path: Path) -> dict[str, Any]:
    """File name on the panel -> its content. Keys are never among it: a panel makes its own.

    The file: {"settings": {...as in firmware/services/settings.py}, "network": {"ssid", "password", "ntp"}}."""
    try:
        wanted = json.loads(path.read_text())
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise Usage(f"{path} is no JSON file: {error}.") from error
    if not isinstance(wanted, dict) or set(wanted) - {"settings", "network"}:
        raise Usage(f'{path} may hold "settings" and "network", nothing else.')
    files: dict[str, Any] = {}
    if "settings" in wanted:
        files["settings.json"] = _settings(path, wanted["settings"])
    if "network" in wanted:
        files["network.json"] = _network(path, wanted["network"])
    return files


def _settings(path: Path, wanted: Any) -> dict[str, int]:
    if not isinstance(wanted, dict):
        raise Usage(f'{path}: "settings" is no object.')
    for name, value in wanted.items():
        if name not in FIELDS:
            raise Usage(f"{path}: there is no setting {name!r}. Settings: {', '.join(FIELDS)}.")
        _, least, most = FIELDS[name]
        if not isinstance(value, int) or not least <= value <= most:
            raise Usage(f"{path}: {name} is a number from {least} to {most}.")
    return {name: int(value) for name, value in wanted.items()}


def _network(path: Path, wanted: Any) -> dict[str, str]:
    if not isinstance(wanted, dict) or set(wanted) - set(_NETWORK) or not wanted.get("ssid"):
        raise Usage(f'{path}: "network" holds "ssid", and "password" and "ntp" where needed.')
    for name, value in wanted.items():
        if not isinstance(value, str) or len(value.encode()) > _MAX_TEXT:
            raise Usage(f"{path}: {name} is a text of at most {_MAX_TEXT} bytes.")
    if "ntp" in wanted and not _is_ipv4(wanted["ntp"]):
        raise Usage(f"{path}: ntp is an IPv4 address: the panel asks for the time without waiting for a name.")
    return dict(wanted)


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
