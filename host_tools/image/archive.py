"""Archives of firmware files, as firmware/start/archive.py defines and reads them."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path

from firmware.start.archive import ENTRY, HEADER, MAGIC, WINDOW_BITS, content, read_index
from host_tools.errors import NotFlashable

_DIGEST_BYTES = 32


def pack(tree: Path) -> bytes:
    """Every file under `tree`, by its path relative to it."""
    index, contents = b"", b""
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    for path in files:
        name, plain = path.relative_to(tree).as_posix().encode(), path.read_bytes()
        stored = min(plain, _deflated(plain), key=len)  # of two as long the plain one: that is how it is read
        index += bytes([len(name)]) + name + struct.pack(ENTRY, len(contents), len(stored), len(plain))
        contents += stored
    head = struct.pack(HEADER, MAGIC, len(files), len(index), b"")[:-_DIGEST_BYTES]
    return head + hashlib.sha256(head + index + contents).digest() + index + contents


def unpack(archive: bytes) -> dict[str, bytes]:
    file = io.BytesIO(archive)
    try:
        return {name: content(file, entry) for name, entry in read_index(file).items()}
    except (ValueError, struct.error, IndexError, zlib.error) as error:
        raise NotFlashable(f"The firmware's archive cannot be read: {error}.") from error


def _deflated(plain: bytes) -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -WINDOW_BITS)
    return squeezer.compress(plain) + squeezer.flush()
