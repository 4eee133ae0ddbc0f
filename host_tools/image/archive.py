"""Archives of firmware files, as firmware/hal/esp32/archive.py defines and reads them."""

from __future__ import annotations

import hashlib
import io
import struct
from pathlib import Path

from firmware.hal.esp32.archive import ENTRY, HEADER, MAGIC, read_index
from host_tools.errors import NotFlashable

_DIGEST_BYTES = 32


def pack(tree: Path) -> bytes:
    """Every file under `tree`, by its path relative to it."""
    index, contents = b"", b""
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    for path in files:
        name, content = path.relative_to(tree).as_posix().encode(), path.read_bytes()
        index += bytes([len(name)]) + name + struct.pack(ENTRY, len(contents), len(content))
        contents += content
    head = struct.pack(HEADER, MAGIC, len(files), len(index), b"")[:-_DIGEST_BYTES]
    return head + hashlib.sha256(head + index + contents).digest() + index + contents


def unpack(archive: bytes) -> dict[str, bytes]:
    try:
        found = read_index(io.BytesIO(archive))
    except (ValueError, struct.error, IndexError) as error:
        raise NotFlashable(f"The firmware's archive cannot be read: {error}.") from error
    return {name: archive[at : at + size] for name, (at, size) in found.items()}
