"""ESP-IDF partition tables: the CSV that a person writes and the binary that the second-stage bootloader reads.

Formats: ESP-IDF programming guide, "Partition Tables". The binary is a row of 32-byte entries, closed by an entry that
holds the MD5 of those before it, in one erased 4 KB sector at 0x8000.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import NotFlashable, Usage

TABLE_OFFSET = 0x8000
TABLE_BYTES = 0xC00  # what the bootloader reads
SECTOR = 0x1000
FIRST_FREE = TABLE_OFFSET + SECTOR
APP_ALIGNMENT = 0x10000

APP, DATA = 0, 1
FACTORY, OTA_0, FAT, VAULT = 0x00, 0x10, 0x81, 0x40

_ENTRY = struct.Struct("<2sBBII16sI")
_ENTRY_MAGIC = b"\xaa\x50"
_MD5_ENTRY = b"\xeb\xeb" + b"\xff" * 14
_LABEL_BYTES = 15  # a terminating zero is expected in the 16
_TYPES = {"app": APP, "data": DATA}
_SUBTYPES = {
    APP: {"factory": FACTORY, **{f"ota_{i}": OTA_0 + i for i in range(16)}},
    DATA: {"ota": 0x00, "phy": 0x01, "nvs": 0x02, "coredump": 0x03, "fat": FAT, "spiffs": 0x82, "littlefs": 0x83},
}


class TableError(NotFlashable):
    """The partition table cannot be used."""

    code = "partitions"


@dataclass(frozen=True)
class Partition:
    label: str
    type: int
    subtype: int
    offset: int
    size: int
    flags: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.size

    def kind(self) -> str:
        """Such as "app factory"; numbers where the subtype has no name."""
        type_name = {APP: "app", DATA: "data"}.get(self.type, hex(self.type))
        names = {value: name for name, value in _SUBTYPES.get(self.type, {}).items()}
        return f"{type_name} {names.get(self.subtype, hex(self.subtype))}"


def read_csv(path: Path) -> list[Partition]:
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        try:
            rows.append(_row([field.strip() for field in text.split(",")]))
        except (ValueError, KeyError) as error:
            raise TableError(f"{path}, line {number}: {text!r} is no partition ({error}).") from error
    return rows


def _row(fields: list[str]) -> Partition:
    label, type_, subtype, offset, size = fields[:5]
    kind = _TYPES[type_] if type_ in _TYPES else int(type_, 0)
    names = _SUBTYPES.get(kind, {})
    return Partition(label, kind, names[subtype] if subtype in names else int(subtype, 0), _bytes(offset), _bytes(size))


def _bytes(text: str) -> int:
    scale = {"K": 1024, "M": 1024 * 1024}.get(text[-1:].upper(), 1)
    return int(text[:-1], 0) * scale if scale > 1 else int(text, 0)


def check(partitions: list[Partition], flash_bytes: int) -> None:
    """TableError for what the bootloader, the ROM or MicroPython would not stand."""
    labels = [partition.label for partition in partitions]
    for partition in partitions:
        _check_one(partition, flash_bytes)
        if labels.count(partition.label) > 1:
            raise TableError(f"Two partitions are named {partition.label!r}.")
    ordered = sorted(partitions, key=lambda partition: partition.offset)
    for before, after in itertools.pairwise(ordered):
        if after.offset < before.end:
            raise TableError(f"{before.label} and {after.label} overlap at {after.offset:#x}.")
    if len(partitions) * _ENTRY.size > TABLE_BYTES - 2 * _ENTRY.size:
        raise TableError(f"{len(partitions)} partitions are more than a table holds.")


def _check_one(partition: Partition, flash_bytes: int) -> None:
    name = partition.label
    alignment = APP_ALIGNMENT if partition.type == APP else SECTOR
    if not name or len(name.encode()) > _LABEL_BYTES:
        raise TableError(f"A partition's name has 1 to {_LABEL_BYTES} bytes: {name!r}.")
    if partition.offset % alignment:
        raise TableError(f"{name} starts at {partition.offset:#x}, no multiple of {alignment:#x}.")
    if partition.size <= 0 or partition.size % SECTOR:
        raise TableError(f"{name} has {partition.size:#x} bytes, no multiple of {SECTOR:#x}.")
    if partition.offset < FIRST_FREE:
        raise TableError(f"{name} starts at {partition.offset:#x}, where bootloader and table are.")
    if partition.end > flash_bytes:
        raise TableError(f"{name} ends at {partition.end:#x}, beyond the flash of {flash_bytes:#x} bytes.")


def find(partitions: list[Partition], label: str) -> Partition:
    for partition in partitions:
        if partition.label == label:
            return partition
    raise TableError(f"The layout has no partition named {label}.")


def app(partitions: list[Partition]) -> Partition:
    """The application that a chip without OTA data starts: factory, else the first slot."""
    apps = [p for p in partitions if p.type == APP and (p.subtype == FACTORY or p.subtype & 0xF0 == OTA_0)]
    if not apps:
        raise TableError("The layout has no partition for the application.")
    return min(apps, key=lambda partition: partition.subtype)


def encode(partitions: list[Partition]) -> bytes:
    """The whole sector that lies at TABLE_OFFSET."""
    entries = b"".join(
        _ENTRY.pack(_ENTRY_MAGIC, p.type, p.subtype, p.offset, p.size, p.label.encode(), p.flags) for p in partitions
    )
    return (entries + _MD5_ENTRY + hashlib.md5(entries).digest()).ljust(SECTOR, b"\xff")


def decode(data: bytes) -> list[Partition]:
    """The entries of a table read from flash; TableError when there is none, or its MD5 does not fit."""
    partitions: list[Partition] = []
    for at in range(0, min(len(data), TABLE_BYTES) - _ENTRY.size + 1, _ENTRY.size):
        entry = data[at : at + _ENTRY.size]
        if entry[:16] == _MD5_ENTRY:
            if hashlib.md5(data[:at]).digest() != entry[16:]:
                raise TableError("The partition table's MD5 does not fit: it was damaged or altered.")
            return partitions
        if entry == b"\xff" * _ENTRY.size and partitions:
            return partitions  # a table made without MD5
        magic, kind, subtype, offset, size, label, flags = _ENTRY.unpack(entry)
        if magic != _ENTRY_MAGIC:
            break
        partitions.append(
            Partition(label.split(b"\0")[0].decode("ascii", "replace"), kind, subtype, offset, size, flags)
        )
    raise TableError(f"There is no partition table at {TABLE_OFFSET:#x}.")


def flash_bytes(megabytes: int) -> int:
    if megabytes not in (1, 2, 4, 8, 16, 32):
        raise Usage(f"No flash chip has {megabytes} MB.")
    return megabytes * 1024 * 1024
