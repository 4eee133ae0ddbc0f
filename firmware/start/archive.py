"""The firmware's files in one: a read-only filesystem over an archive, for a flash whose every file takes 4 KB or more.

Archive: MAGIC, entries u16, bytes of the index u32, SHA-256 of all else; the index, an entry each of path length u8,
path, offset u32 (from the index's end), stored bytes u32, bytes u32; the contents, each as raw deflate with a window
of 1 KB where that is shorter. Little endian. Read by the host tools alike.
"""

import hashlib
import io
import struct

MAGIC = b"MNA2"
HEADER = "<4sHI32s"  # the digest last
ENTRY = "<III"
WINDOW_BITS = 10

_DIRECTORY, _FILE = 0x4000, 0x8000
_ENOENT, _EROFS = 2, 30
_CHUNK = 4096


def read_index(file) -> dict:
    """{path: (position, stored bytes, bytes)} of an open archive, its digest checked; ValueError when it is damaged."""
    head = file.read(struct.calcsize(HEADER))
    if len(head) != struct.calcsize(HEADER):
        raise ValueError("the archive is too short")
    magic, count, index_bytes, digest = struct.unpack(HEADER, head)
    if magic != MAGIC:
        raise ValueError("no archive")
    index = file.read(index_bytes)
    found = hashlib.sha256(head[:-32])
    found.update(index)
    while True:
        chunk = file.read(_CHUNK)
        if not chunk:
            break
        found.update(chunk)
    if found.digest() != digest:
        raise ValueError("the archive is damaged")
    return _entries(index, count, len(head) + index_bytes)


def _entries(index: bytes, count: int, base: int) -> dict:
    files, at = {}, 0
    for _ in range(count):
        end = at + 1 + index[at]
        offset, stored, size = struct.unpack_from(ENTRY, index, end)
        files[str(index[at + 1 : end], "utf-8")] = (base + offset, stored, size)
        at = end + struct.calcsize(ENTRY)
    return files


def content(file, entry: tuple) -> bytes:
    """One file's bytes; `entry` as `read_index` gives it."""
    position, stored, size = entry
    file.seek(position)
    data = file.read(stored)
    return data if stored == size else _inflated(data)


def _inflated(data: bytes) -> bytes:
    try:
        import deflate
    except ImportError:  # not on a panel
        import zlib

        return zlib.decompress(data, -WINDOW_BITS)
    return deflate.DeflateIO(io.BytesIO(data), deflate.RAW, WINDOW_BITS).read()


class Archive:
    """What os.mount takes: `Archive("/a/firmware.pak")`. Files are read whole when they are opened."""

    def __init__(self, path: str):
        self._file = open(path, "rb")  # noqa: SIM115, as long as it is mounted
        self._files = read_index(self._file)
        self._folders = {""}
        for name in self._files:
            while "/" in name:
                name = name.rsplit("/", 1)[0]
                self._folders.add(name)

    def mount(self, readonly, mkfs) -> None:
        pass

    def umount(self) -> None:
        self._file.close()

    def open(self, path: str, mode: str):
        if "w" in mode or "a" in mode or "+" in mode:
            raise OSError(_EROFS)
        entry = self._files.get(path.strip("/"))
        if entry is None:
            raise OSError(_ENOENT)
        data = content(self._file, entry)
        return io.BytesIO(data) if "b" in mode else io.StringIO(str(data, "utf-8"))

    def stat(self, path: str) -> tuple:
        name = path.strip("/")
        if name in self._files:
            return (_FILE, 0, 0, 0, 0, 0, self._files[name][2], 0, 0, 0)
        if name in self._folders:
            return (_DIRECTORY, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        raise OSError(_ENOENT)

    def ilistdir(self, path: str):
        name = path.strip("/")
        start = name + "/" if name else ""
        for folder in self._folders:
            if folder and folder.startswith(start) and "/" not in folder[len(start) :]:
                yield (folder[len(start) :], _DIRECTORY, 0)
        for file in self._files:
            if file.startswith(start) and "/" not in file[len(start) :]:
                yield (file[len(start) :], _FILE, 0, self._files[file][2])

    def chdir(self, path: str) -> None:
        if path.strip("/") not in self._folders:
            raise OSError(_ENOENT)
