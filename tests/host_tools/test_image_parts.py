"""Partition tables and ESP32 images: what is written is what ESP-IDF documents, and esptool's own classes agree."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from esptool.bin_image import LoadFirmwareImage

from firmware.start.archive import Archive
from host_tools.errors import NotFlashable
from host_tools.image import archive, esp32, littlefs, partitions
from host_tools.image.esp32 import ImageError
from host_tools.image.partitions import APP, DATA, Partition, TableError
from tests.host_tools import stock

MB = 1024 * 1024


def test_the_made_releases_are_valid_to_esptool() -> None:
    for data in (stock.bootloader(), stock.app()):
        image = LoadFirmwareImage("esp32s3", data)
        image.verify()
        assert image.chip_id == 9 and image.stored_digest == image.calc_digest


def test_parsing_takes_the_image_and_nothing_behind_it() -> None:
    data = stock.app()
    parsed = esp32.parse(data + b"\xff" * 5000, "x")
    assert parsed.data == data and parsed.chip == "ESP32-S3" and parsed.size_mb == 4
    assert esp32.describe_app(parsed) == "micropython v1.28.0, built Apr  1 2026 with ESP-IDF v5.5.1"
    assert esp32.describe_app(esp32.parse(stock.bootloader(), "x")) == ""


@pytest.mark.parametrize("megabytes", [2, 4, 8, 16, 32])
@pytest.mark.parametrize("digest", [True, False])
def test_the_flash_size_is_corrected_with_the_digest(megabytes: int, digest: bool) -> None:
    before = esp32.parse(stock.image([(stock.IRAM, b"boot" * 100)], digest=digest), "x")
    after = esp32.with_flash_size(before, megabytes)
    assert after.size_mb == megabytes and len(after.data) == len(before.data)
    LoadFirmwareImage("esp32s3", after.data).verify()
    if digest:
        assert after.data[-32:] == hashlib.sha256(after.data[:-32]).digest()
    changed = [i for i in range(len(before.data) - 32 * digest) if before.data[i] != after.data[i]]
    assert changed in ([], [3]), "only the header's size field may change"
    assert after.data[3] & 0x0F == before.data[3] & 0x0F, "the flash frequency stays"


def test_every_damaged_byte_of_a_bootloader_is_noticed() -> None:
    data = stock.image([(stock.IRAM, bytes(range(64)))])
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x40
        with pytest.raises(ImageError):
            esp32.parse(bytes(damaged), "x")
    for length in range(len(data)):
        with pytest.raises(ImageError):
            esp32.parse(data[:length], "x")


def wrong(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(ImageError) as raised:
        esp32.read_stock(stock.write(tmp_path / "given.bin", data))
    return str(raised.value)


def test_wrong_files_are_named_for_what_they_are(tmp_path: Path) -> None:
    whole = stock.release()
    assert "ESP32-C3" in wrong(tmp_path, stock.release(chip=stock.ESP32_C3))
    assert "its bootloader for the ESP32-S3" in wrong(tmp_path, stock.release(application=stock.app(chip=5)))
    for length in (10, 5000, 0x8010, 0x10000, 0x10400, len(whole) - 1):
        assert "cut short" in wrong(tmp_path, whole[:length]) or length < 24
    assert "application alone" in wrong(tmp_path, stock.app())
    assert "UF2" in wrong(tmp_path, b"UF2\n" + bytes(600))
    assert "ELF" in wrong(tmp_path, b"\x7fELF" + bytes(600))
    assert "does not start" in wrong(tmp_path, b"<!DOCTYPE html>" + bytes(600))
    damaged = bytearray(whole)
    damaged[0x10000 + 5000] ^= 1
    assert "damaged" in wrong(tmp_path, bytes(damaged))
    with pytest.raises(ImageError, match="cannot be read"):
        esp32.read_stock(tmp_path / "nowhere.bin")


def test_a_release_comes_apart(tmp_path: Path) -> None:
    found = esp32.read_stock(stock.write(tmp_path / "MICROPYTHON.bin", stock.release()))
    assert found.bootloader.data == stock.bootloader() and found.app.data == stock.app()
    assert found.table == stock.TABLE


def test_a_table_is_encoded_as_the_guide_says() -> None:
    data = partitions.encode(stock.TABLE)
    assert len(data) == 0x1000
    assert data[:32] == b"\xaa\x50\x01\x02\x00\x90\x00\x00\x00\x60\x00\x00nvs" + b"\0" * 13 + b"\0" * 4
    assert data[128:144] == b"\xeb\xeb" + b"\xff" * 14
    assert data[144:160] == hashlib.md5(data[:128]).digest()
    assert data[160:].count(b"\xff") == 0x1000 - 160
    assert partitions.decode(data) == stock.TABLE


def test_a_damaged_or_missing_table_is_refused() -> None:
    data = bytearray(partitions.encode(stock.TABLE))
    data[40] ^= 1
    with pytest.raises(TableError, match="MD5"):
        partitions.decode(bytes(data))
    for nothing in (b"", b"\xff" * 0x1000, b"\0" * 0x1000):
        with pytest.raises(TableError, match="no partition table"):
            partitions.decode(nothing)
    without_md5 = partitions.encode(stock.TABLE)[:128].ljust(0x1000, b"\xff")
    assert partitions.decode(without_md5) == stock.TABLE


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"offset": 0x18000}, "multiple of 0x10000"),
        ({"size": 0x1234}, "multiple of 0x1000"),
        ({"size": 0}, "multiple of"),
        ({"size": 0x300000}, "overlap"),
        ({"size": 4 * MB}, "beyond the flash"),
        ({"label": "nvs"}, "named 'nvs'"),
        ({"label": "x" * 16}, "1 to 15 bytes"),
        ({"label": ""}, "1 to 15 bytes"),
        ({"offset": 0}, "bootloader"),
    ],
)
def test_layouts_that_cannot_work_are_refused(change: dict[str, int | str], complaint: str) -> None:
    partitions.check(stock.TABLE, 4 * MB)
    table = [replace(p, **change) if p.label == "factory" else p for p in stock.TABLE]  # type: ignore[arg-type]
    with pytest.raises(TableError, match=complaint):
        partitions.check(table, 4 * MB)


def test_csv_is_read_with_its_units_and_names(tmp_path: Path) -> None:
    path = tmp_path / "partitions.csv"
    path.write_text(
        "# Name, Type\nnvs, data, nvs, 0x9000, 24K,\n\napp, app, ota_0, 0x10000, 1M # first\nx, 0x40, 7, 2M, 4K\n"
    )
    assert partitions.read_csv(path) == [
        Partition("nvs", DATA, 2, 0x9000, 0x6000),
        Partition("app", APP, 0x10, 0x10000, MB),
        Partition("x", 0x40, 7, 2 * MB, 4096),
    ]
    for line in ("a, b", "a, app, nvs, 0x10000, 4K", "a, data, nvs, here, 4K"):
        path.write_text(line)
        with pytest.raises(TableError, match="line 1"):
            partitions.read_csv(path)


def test_files_come_back_out_of_the_filesystem(tmp_path: Path) -> None:
    (tmp_path / "firmware" / "nn").mkdir(parents=True)
    contents = {"/main.py": b"x" * 10, "/firmware/nn/a.mpy": bytes(range(256)) * 100, "/empty": b""}
    for name, data in contents.items():
        (tmp_path / name[1:]).write_bytes(data)
    image = littlefs.pack(tmp_path, 128 * 1024)
    assert len(image) == 128 * 1024 and littlefs.files(image) == contents
    (tmp_path / "big").write_bytes(bytes(200_000))
    with pytest.raises(littlefs.FilesystemError, match="do not fit"):
        littlefs.pack(tmp_path, 128 * 1024)
    with pytest.raises(littlefs.FilesystemError):
        littlefs.files(b"\xff" * 65536)


def tree(folder: Path) -> dict[str, bytes]:
    contents = {
        "app.mpy": b"M\x06",
        "nn/__init__.mpy": b"",
        "nn/s3/k.mpy": bytes(range(256)),
        "ui/labels.txt": "名".encode(),
    }
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return contents


def test_an_archive_reads_as_a_filesystem(tmp_path: Path) -> None:
    contents = tree(tmp_path / "tree")
    packed = archive.pack(tmp_path / "tree")
    assert archive.unpack(packed) == contents
    mounted = Archive(str(stock.write(tmp_path / "firmware.pak", packed)))
    for name, content in contents.items():
        assert mounted.open("/" + name, "rb").read() == content
        assert mounted.stat("/" + name)[0] == 0x8000 and mounted.stat(name)[6] == len(content)
    assert mounted.open("ui/labels.txt", "r").read() == "名"
    assert mounted.stat("/")[0] == mounted.stat("/nn/s3")[0] == 0x4000
    assert sorted(entry[0] for entry in mounted.ilistdir("/")) == ["app.mpy", "nn", "ui"]
    assert sorted(entry[0] for entry in mounted.ilistdir("/nn")) == ["__init__.mpy", "s3"]
    for call in (lambda: mounted.stat("/n"), lambda: mounted.open("nn", "rb"), lambda: mounted.open("app.mpy", "wb")):
        with pytest.raises(OSError):
            call()
    mounted.umount()


def test_what_deflates_to_its_own_length_is_read_as_it_is(tmp_path: Path) -> None:
    contents = {f"{n}-{kind}": bytes(i % kind for i in range(n)) for n in range(1, 60) for kind in (1, 2, 5, 11)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert archive.unpack(archive.pack(tmp_path)) == contents


def test_every_damaged_byte_of_an_archive_is_noticed(tmp_path: Path) -> None:
    tree(tmp_path)
    packed = archive.pack(tmp_path)
    for at in range(len(packed)):
        with pytest.raises(NotFlashable):
            archive.unpack(packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :])
    for length in range(len(packed)):
        with pytest.raises(NotFlashable):
            archive.unpack(packed[:length])
