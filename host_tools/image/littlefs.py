"""LittleFS images with the geometry that MicroPython's VfsLfs2 uses on an ESP32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from host_tools.errors import NotFlashable

if TYPE_CHECKING:
    import littlefs

BLOCK = 4096
_UNIT = 32  # read, program and lookahead size
_CACHE = 4 * _UNIT  # MicroPython's; a larger one here would inline files that the panel could not read


class FilesystemError(NotFlashable):
    """The filesystem's image cannot be made or read."""

    code = "filesystem"


def pack(tree: Path, size: int) -> bytes:
    """The files under `tree` as a filesystem of `size` bytes."""
    from littlefs import LittleFSError

    filesystem = _mounted(None, size)
    try:
        for path in sorted(tree.rglob("*")):
            name = "/" + path.relative_to(tree).as_posix()
            if path.is_dir():
                filesystem.mkdir(name)
                continue
            with filesystem.open(name, "wb") as file:
                file.write(path.read_bytes())
    except LittleFSError as error:
        used = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
        raise FilesystemError(
            f"The files ({used // 1024} KB) do not fit into the filesystem's partition of {size // 1024} KB: {error}."
        ) from error
    return bytes(filesystem.context.buffer)


def files(image: bytes) -> dict[str, bytes]:
    """Path -> content of every file in a filesystem's image."""
    from littlefs import LittleFSError

    try:
        filesystem = _mounted(image, len(image))
        found = {}
        for folder, _, names in filesystem.walk("/"):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}"
                with filesystem.open(path, "rb") as file:
                    found[path] = bytes(file.read())
        return found
    except LittleFSError as error:
        raise FilesystemError(f"The filesystem cannot be read: {error}.") from error


def used_bytes(image: bytes) -> int:
    return int(_mounted(image, len(image)).used_block_count) * BLOCK


def _mounted(image: bytes | None, size: int) -> littlefs.LittleFS:
    from littlefs import LittleFS

    filesystem = LittleFS(
        block_size=BLOCK,
        block_count=size // BLOCK,
        read_size=_UNIT,
        prog_size=_UNIT,
        cache_size=_CACHE,
        lookahead_size=_UNIT,
        mount=False,
    )
    if image is None:
        filesystem.format()
    else:
        filesystem.context.buffer = bytearray(image)
    filesystem.mount()
    return filesystem
