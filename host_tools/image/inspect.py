"""What is in a flash image, or in a dump of a panel's flash, without starting it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from host_tools.errors import HostError
from host_tools.image import archive, esp32, littlefs, partitions
from host_tools.image.partitions import APP, FAT, SECTOR, TABLE_OFFSET, VAULT, Partition


def inspect(path: Path) -> dict[str, Any]:
    """Partitions with their content in words, sizes in bytes; ImageError or TableError where there is no image."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise esp32.ImageError(f"{path} cannot be read: {error.strerror}.") from error
    bootloader = esp32.parse(data, path.name)
    table = partitions.decode(data[TABLE_OFFSET : TABLE_OFFSET + SECTOR])
    return {
        "file": str(path),
        "bytes": len(data),
        "chip": bootloader.chip,
        "flash_mb": bootloader.size_mb,
        "problems": _problems(table, bootloader.size_mb),
        "partitions": [_partition(data, partition) for partition in table],
    }


def _problems(table: list[Partition], flash_mb: int) -> list[str]:
    try:
        partitions.check(table, flash_mb * 1024 * 1024)
    except HostError as error:
        return [str(error)]
    return []


def _partition(data: bytes, partition: Partition) -> dict[str, Any]:
    content = data[partition.offset : partition.end]
    # A stock image ends with its application, which says itself how long it is.
    found: dict[str, Any] = {"content": _blank(content, 0 if partition.type == APP else partition.size)}
    if found["content"] == "data":
        try:
            found = _content(content, partition)
        except HostError as error:
            found = {"content": "unreadable", "why": str(error)}
    return {
        "name": partition.label,
        "kind": partition.kind(),
        "offset": partition.offset,
        "size": partition.size,
        **found,
    }


def _blank(content: bytes, size: int) -> str:
    if not content:
        return "not in this file"
    if content.count(b"\xff") == len(content):
        return "erased"
    return "data" if len(content) >= size else "cut short"


def _content(content: bytes, partition: Partition) -> dict[str, Any]:
    if partition.type == APP:
        app = esp32.parse(content, f"The application in {partition.label}")
        return {"content": esp32.describe_app(app) or f"{app.chip} application", "used": len(app.data)}
    if partition.subtype == FAT and partition.label == "vfs":
        files = _files(content)
        return {"content": f"{len(files)} files", "used": littlefs.used_bytes(content), "files": files}
    if partition.subtype == VAULT:
        blocks = range(0, len(content), SECTOR)
        used = sum(1 for at in blocks if content[at : at + SECTOR].count(b"\xff") != SECTOR)
        return {"content": f"{used} of {len(blocks)} blocks in use", "used": used * SECTOR}
    return {"content": "data"}


def _files(filesystem: bytes) -> dict[str, int]:
    """Sizes by path, those in the firmware's archive as it is mounted."""
    found = {}
    for name, body in littlefs.files(filesystem).items():
        if name.endswith("/firmware.pak"):
            folder = name.removesuffix(".pak")
            found.update({f"{folder}/{inner}": len(data) for inner, data in archive.unpack(body).items()})
        else:
            found[name] = len(body)
    return found
