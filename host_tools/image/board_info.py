"""What the host needs to know of a board: boards/<name>/manifest.py and partitions.csv, read without running them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools.errors import Usage
from host_tools.image import partitions
from host_tools.image.partitions import Partition
from host_tools.image.tree import boards, source_root


@dataclass(frozen=True)
class BoardInfo:
    name: str
    title: str
    flash_mb: int
    psram: str
    has_sensor: bool
    layout: list[Partition]

    @property
    def flash_bytes(self) -> int:
        return self.flash_mb * 1024 * 1024

    @property
    def vault(self) -> Partition:
        return partitions.find(self.layout, "vault")

    @property
    def vfs(self) -> Partition:
        return partitions.find(self.layout, "vfs")


def chip_boards() -> list[str]:
    """The boards with a chip to flash."""
    return [name for name in boards() if constants(_folder(name) / "manifest.py").get("CHIP")]


def load(name: str) -> BoardInfo:
    """Usage when there is no such board to flash; TableError when its layout is not sound."""
    if name not in chip_boards():
        raise Usage(f"There is no board {name!r} to flash. Boards: {', '.join(chip_boards())}.")
    manifest = constants(_folder(name) / "manifest.py")
    has_sensor = "CAMERA" in constants(_folder(name) / "board.py")
    layout = partitions.read_csv(_folder(name) / "partitions.csv")
    partitions.check(layout, partitions.flash_bytes(manifest["FLASH_MB"]))
    return BoardInfo(name, manifest["TITLE"], manifest["FLASH_MB"], manifest["PSRAM"], has_sensor, layout)


def constants(path: Path) -> dict[str, Any]:
    """The module's top-level assignments of literals."""
    found = {}
    for node in ast.parse(path.read_text(), str(path)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def _folder(name: str) -> Path:
    return source_root() / "boards" / name
