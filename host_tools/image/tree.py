"""The tree that a board's filesystem holds: main.py, board.py, the firmware and the model packs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from host_tools.errors import HostError, Usage

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


def stage_vfs(board: str, dest: Path) -> None:
    """Writes the tree for `board` into `dest`. What it held of firmware and packs goes, other files stay."""
    root = source_root()
    if board not in boards():
        raise Usage(f"There is no board {board!r}. Boards: {', '.join(boards())}.")
    if not (root / "firmware/main.py").is_file():
        raise HostError(f"The firmware is not in {root}. Install Menshen again.")
    dest.mkdir(parents=True, exist_ok=True)
    for name in ("firmware", "packs"):
        shutil.rmtree(dest / name, ignore_errors=True)
    shutil.copytree(root / "firmware", dest / "firmware", ignore=_ignored(board, root / "firmware"))
    (dest / "firmware/main.py").unlink()
    shutil.copyfile(root / "firmware/main.py", dest / "main.py")
    start = dest / f"firmware/hal/{hal(board)}/boot.py"
    if start.is_file():
        start.rename(dest / "boot.py")
    shutil.copyfile(root / "boards" / board / "board.py", dest / "board.py")
    (dest / "packs").mkdir()
    for pack in packs():
        shutil.copyfile(pack, dest / "packs" / pack.name)


def _ignored(board: str, firmware: Path) -> Callable[[str, list[str]], set[str]]:
    other_hal = "esp32" if hal(board) == "virtual" else "virtual"

    def ignore(directory: str, names: list[str]) -> set[str]:
        skipped = {name for name in names if name == "__pycache__" or name.endswith((".pyc", ".s"))}
        return skipped | ({other_hal} if Path(directory) == firmware / "hal" else set())

    return ignore
