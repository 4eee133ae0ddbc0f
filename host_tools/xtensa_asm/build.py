"""`python -m host_tools.xtensa_asm.build`: firmware/nn/s3/*.s to firmware/nn/s3/routines.mpy. With --check, only says
whether that file is what its sources make."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from host_tools.xtensa_asm.assembler import AsmError, assemble
from host_tools.xtensa_asm.mpy import write_mpy

SOURCES = Path(__file__).resolve().parents[2] / "firmware" / "nn" / "s3"
PRELUDE = "common.s"
OUTPUT = "routines.mpy"


def routines(folder: Path = SOURCES) -> dict[str, bytes]:
    """Machine code by name: one routine a file, each after the common text."""
    common = (folder / PRELUDE).read_text()
    found = {}
    for path in sorted(folder.glob("*.s")):
        if path.name == PRELUDE:
            continue
        try:
            found[path.stem] = assemble(common, path.read_text())
        except AsmError as error:
            raise SystemExit(f"{path}: {error}") from None
    return found


def build(folder: Path = SOURCES) -> bytes:
    return write_mpy("routines.py", routines(folder))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    target = SOURCES / OUTPUT
    content = build()
    if check:
        current = target.exists() and target.read_bytes() == content
        print(f"{target.name} {'is' if current else 'is not'} what its sources make", file=sys.stderr)
        return int(not current)
    target.write_bytes(content)
    for name, code in routines().items():
        print(f"{name:10} {len(code):5} bytes")
    print(f"{target.name:10} {len(content):5} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
