"""MicroPython releases for the ESP32 family, made here from the documented image format: valid, though no code runs."""

from __future__ import annotations

import hashlib
import random
import struct
from pathlib import Path

from host_tools.image import partitions
from host_tools.image.partitions import APP, DATA, Partition

ESP32_S3, ESP32_C3 = 9, 5
APP_ADDRESS, IRAM = 0x3C0B0020, 0x40374000
TABLE = [
    Partition("nvs", DATA, 0x02, 0x9000, 0x6000),
    Partition("phy_init", DATA, 0x01, 0xF000, 0x1000),
    Partition("factory", APP, 0x00, 0x10000, 0x1F0000),
    Partition("vfs", DATA, 0x81, 0x200000, 0x200000),
]


def image(segments: list[tuple[int, bytes]], chip: int = ESP32_S3, size_field: int = 2, digest: bool = True) -> bytes:
    header = struct.pack("<BBBBIB3xHBHH4xB", 0xE9, len(segments), 2, size_field << 4 | 0xF, 0x403C8924,
                         0xEE, chip, 0, 0, 0xFFFF, digest)  # fmt: skip
    body, checksum = header, 0xEF
    for address, data in segments:
        body += struct.pack("<II", address, len(data)) + data
        for byte in data:
            checksum ^= byte
    body = body.ljust(len(body) // 16 * 16 + 15, b"\0") + bytes([checksum])
    return body + hashlib.sha256(body).digest() if digest else body


def app(kilobytes: int = 96, chip: int = ESP32_S3, names: bytes = b"") -> bytes:
    """`names`: strings that the application holds, such as its board's and its modules'."""
    description = struct.pack("<II8x32s32s16s16s32s", 0xABCD5432, 0, b"v1.28.0", b"micropython", b"12:00:00",
                              b"Apr  1 2026", b"v5.5.1")  # fmt: skip
    noise = random.Random(1).randbytes
    return image([(APP_ADDRESS, description + noise(kilobytes * 1024) + names), (IRAM, noise(8192))], chip)


def bootloader(chip: int = ESP32_S3) -> bytes:
    noise = random.Random(2).randbytes
    return image([(0x3FCE3810, noise(4096)), (IRAM, noise(12288))], chip)


def release(chip: int = ESP32_S3, application: bytes | None = None) -> bytes:
    """bootloader, table, app, with 0xFF between, as esptool's merge-bin writes it."""
    flash = bytearray(b"\xff" * 0x10000)
    first = bootloader(chip)
    flash[: len(first)] = first
    flash[0x8000:0x9000] = partitions.encode(TABLE)
    return bytes(flash) + (application or app(chip=chip))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
