"""Application and bootloader images as the ESP32 family's ROM reads them, and the parts of a stock MicroPython file.

Format: ESP-IDF programming guide, "App Image Format": a 24-byte header, segments, a checksum that ends on a 16-byte
boundary, and a SHA-256 over all before it.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import NotFlashable
from host_tools.image import partitions
from host_tools.image.partitions import TABLE_OFFSET, Partition, TableError

CHIPS = {0: "ESP32", 2: "ESP32-S2", 5: "ESP32-C3", 9: "ESP32-S3", 12: "ESP32-C2", 13: "ESP32-C6", 16: "ESP32-H2",
         18: "ESP32-P4", 20: "ESP32-C61", 23: "ESP32-C5"}  # fmt: skip
ESP32_S3 = 9
FLASH_SIZES = {1: 0, 2: 1, 4: 2, 8: 3, 16: 4, 32: 5}  # MB: the header's size field

_MAGIC = 0xE9
_HEADER = struct.Struct("<BBBBIB3xHBHH4xB")
_SEGMENT = struct.Struct("<II")
_MAX_SEGMENTS = 16
_CHECKSUM_SEED = 0xEF
_DIGEST_BYTES = 32
_APP_DESCRIPTION = struct.Struct("<II8x32s32s16s16s32s")
_APP_MAGIC = 0xABCD5432


class ImageError(NotFlashable):
    """The file cannot be used as the image that is asked for."""

    code = "image"


@dataclass(frozen=True)
class Image:
    """`data` is exactly the image, digest included; `size_mb` what the header says of the flash."""

    data: bytes
    chip_id: int
    size_mb: int
    has_digest: bool
    segments: tuple[tuple[int, int], ...]  # load address, bytes

    @property
    def chip(self) -> str:
        return CHIPS.get(self.chip_id, f"chip {self.chip_id}")


@dataclass(frozen=True)
class Stock:
    """A MicroPython .bin as published: what to take from it."""

    bootloader: Image
    app: Image
    table: list[Partition]

    def description(self) -> str:
        return describe_app(self.app)


def parse(data: bytes, what: str) -> Image:
    """The image at the start of `data`; ImageError names `what` when there is none, or it is damaged."""
    if len(data) < _HEADER.size or data[0] != _MAGIC:
        raise ImageError(f"{what} is no ESP32 image: it does not start with {_MAGIC:#x}.")
    _, count, _, size_freq, _, _, chip_id, _, _, _, digest = _HEADER.unpack_from(data)
    if not 1 <= count <= _MAX_SEGMENTS:
        raise ImageError(f"{what} is no ESP32 image: {count} segments.")
    at, checksum, segments = _HEADER.size, _CHECKSUM_SEED, []
    for _ in range(count):
        if at + _SEGMENT.size > len(data):
            raise _truncated(what)
        address, size = _SEGMENT.unpack_from(data, at)
        at += _SEGMENT.size
        if at + size > len(data):
            raise _truncated(what)
        segments.append((address, size))
        checksum ^= _folded(data[at : at + size])
        at += size
    end = at // 16 * 16 + 16
    if end + (_DIGEST_BYTES if digest else 0) > len(data):
        raise _truncated(what)
    if data[end - 1] != checksum:
        raise ImageError(f"{what} is damaged: its checksum does not fit.")
    if digest:
        if hashlib.sha256(data[:end]).digest() != data[end : end + _DIGEST_BYTES]:
            raise ImageError(f"{what} is damaged: its SHA-256 does not fit.")
        end += _DIGEST_BYTES
    sizes = {field: megabytes for megabytes, field in FLASH_SIZES.items()}
    return Image(data[:end], chip_id, sizes.get(size_freq >> 4, 0), bool(digest), tuple(segments))


def _truncated(what: str) -> ImageError:
    return ImageError(f"{what} is cut short. Download it again.")


def _folded(data: bytes) -> int:
    """The XOR of all bytes."""
    whole = int.from_bytes(data, "little")
    bits = max(8, 1 << (len(data) * 8 - 1).bit_length()) if data else 8
    while bits > 8:
        bits //= 2
        whole = (whole >> bits) ^ (whole & ((1 << bits) - 1))
    return whole


def with_flash_size(image: Image, megabytes: int) -> Image:
    """A copy whose header says so: the second stage refuses a partition table beyond what its header says."""
    data = bytearray(image.data)
    data[3] = FLASH_SIZES[megabytes] << 4 | data[3] & 0x0F
    if image.has_digest:
        data[-_DIGEST_BYTES:] = hashlib.sha256(data[:-_DIGEST_BYTES]).digest()
    return parse(bytes(data), "The bootloader")


def read_stock(path: Path) -> Stock:
    """Takes a published MicroPython .bin for the ESP32-S3 apart; ImageError says what it is instead."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    name = path.name
    if data[:4] == b"\x7fELF":
        raise ImageError(f"{name} is an ELF file. Take the .bin of the same release.")
    if data[:4] == b"UF2\n":
        raise ImageError(f"{name} is a UF2 file. Take the .bin of the same release.")
    bootloader = parse(data, name)
    if bootloader.chip_id != ESP32_S3:
        raise ImageError(f"{name} is for the {bootloader.chip}. These boards need an image for the ESP32-S3.")
    try:
        table = partitions.decode(data[TABLE_OFFSET : TABLE_OFFSET + partitions.SECTOR])
        slot = partitions.app(table)
    except TableError as error:
        if len(data) < TABLE_OFFSET + partitions.SECTOR and len(bootloader.data) < TABLE_OFFSET:
            raise _truncated(name) from error
        if describe_app(bootloader):
            raise ImageError(
                f"{name} is the application alone. Take the .bin that also holds bootloader and partition table."
            ) from error
        raise ImageError(f"{name} holds a bootloader but no partition table: it is no MicroPython release.") from error
    if slot.offset >= len(data):
        raise _truncated(name)
    app = parse(data[slot.offset :], f"The application in {name}")
    if app.chip_id != ESP32_S3:
        raise ImageError(f"The application in {name} is for the {app.chip}, its bootloader for the ESP32-S3.")
    return Stock(bootloader, app, table)


def machine_name(app: Image) -> str:
    """What the image calls its board in sys.implementation, such as "Generic ESP32S3 module with Octal-SPIRAM with
    ESP32S3"; "" where that cannot be found."""
    found = re.search(rb"([ -~]{4,80} with ESP32-?S3)\0", app.data)
    return found[1].decode() if found else ""


def has_camera_module(app: Image) -> bool:
    return b"FrameSize\0" in app.data


def describe_app(image: Image) -> str:
    """Project, version and build of the esp_app_desc_t that opens an application's first segment; "" elsewhere."""
    at = _HEADER.size + _SEGMENT.size
    if len(image.data) < at + _APP_DESCRIPTION.size:
        return ""
    magic, _, version, project, _, date, idf = _APP_DESCRIPTION.unpack_from(image.data, at)
    if magic != _APP_MAGIC:
        return ""
    words = [text.split(b"\0")[0].decode("ascii", "replace") for text in (project, version, date, idf)]
    return f"{words[0]} {words[1]}, built {words[2]} with ESP-IDF {words[3]}"
