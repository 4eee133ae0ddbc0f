"""The tree that a board's filesystem holds: what starts it, and a slot with board.py, firmware and model packs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from firmware.start.slots import RECORD, SLOTS
from host_tools.errors import HostError, Usage

START = ("slots.py", "archive.py")  # beside main.py and boot.py: what no update over the link changes

_PACKAGE = Path(__file__).resolve().parents[1]


def source_root() -> Path:
    """Where firmware/, boards/ and models/ lie: the bundle of an installed wheel, or the checkout."""
    bundle = _PACKAGE / "_bundle"
    return bundle if bundle.is_dir() else _PACKAGE.parent


def boards() -> list[str]:
    return sorted(path.parent.name for path in (source_root() / "boards").glob("*/board.py"))


def packs() -> list[Path]:
    return sorted((source_root() / "models").glob("*/*.pack"))


def hal(board: str) -> str:
    """Which folder of firmware/hal the board's board.py builds on."""
    return "virtual" if board == "virtual" else "esp32"


def stage_vfs(board: str, dest: Path, version: str | None = None) -> None:
    """Writes the tree for `board` into `dest`, as flashing does: what both slots held goes, other files stay.

    `version`: what the firmware calls itself, instead of its own word for it."""
    root = source_root()
    if board not in boards():
        raise Usage(f"There is no board {board!r}. Boards: {', '.join(boards())}.")
    if not (root / "firmware/main.py").is_file():
        raise HostError(f"The firmware is not in {root}. Install Menshen again.")
    for name in SLOTS:
        shutil.rmtree(dest / name, ignore_errors=True)
    (dest / RECORD).unlink(missing_ok=True)
    slot = dest / SLOTS[0]
    slot.mkdir(parents=True)
    shutil.copytree(root / "firmware", slot / "firmware", ignore=_ignored(board, root / "firmware"))
    (slot / "firmware/main.py").rename(dest / "main.py")
    (slot / f"firmware/hal/{hal(board)}/boot.py").rename(dest / "boot.py")
    for name in START:
        shutil.copyfile(root / "firmware/start" / name, dest / name)
    if version:
        stamp = slot / "firmware/base/version.py"
        stamp.write_text(re.sub(r'VERSION = "[^"]*"', f'VERSION = "{version}"', stamp.read_text()))
    shutil.copyfile(root / "boards" / board / "board.py", slot / "board.py")
    (slot / "packs").mkdir()
    for pack in packs():
        shutil.copyfile(pack, slot / "packs" / pack.name)


def _ignored(board: str, firmware: Path) -> Callable[[str, list[str]], set[str]]:
    other_hal = "esp32" if hal(board) == "virtual" else "virtual"

    def ignore(directory: str, names: list[str]) -> set[str]:
        skipped = {name for name in names if name == "__pycache__" or name.endswith((".pyc", ".s"))}
        return skipped | ({other_hal} if Path(directory) == firmware / "hal" else set())

    return ignore
