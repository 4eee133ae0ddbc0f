"""The panel's memory with 512 residents of 4 templates: `python -m tests.memory [--attempts 1000] [--heap 8M]`.

A 32-bit MicroPython (tests/mp32.py) has a board's words; without one the PC's own is measured, whose objects are twice
as large. Figures as JSON on stdout; exit code 1 when a limit is exceeded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from matplotlib.cbook import get_sample_data

from firmware.start.slots import SLOTS
from host_tools.image.mpy import compile_tree
from host_tools.image.tree import stage_vfs
from host_tools.sim.panel import find_micropython
from host_tools.vision.frames import search_levels
from host_tools.vision.pictures import load_grey
from tests import mp32

ROOT = Path(__file__).resolve().parents[2]
HEAP_LIMIT = {32: 1_800_000, 64: 2_300_000}  # in use after the start, by the bits of a word; the first is a board's
SMALLEST_HEAP = {32: "1900K", 64: "4M"}  # in which everything works
GROWTH_LIMIT = 2_000  # between the second and the last third of the attempts; in the first the rings of events fill
TIMEOUT_S = 1500


def house(folder: Path) -> None:
    """A vault full of residents, with packs and the firmware compiled as on a board, for this PC's processor."""
    stage_vfs("virtual", folder)
    compile_tree(folder / SLOTS[0], "x86" if mp32.find() else "x64")
    portrait = load_grey(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    (folder / SLOTS[0] / "picture").write_bytes(next(search_levels(portrait))[0].frame.tobytes())
    _run("16M", "prepare", folder)


def measure(folder: Path, attempts: int, heap: str = "") -> dict:
    """What panel.py found, the limits beside it; in the smallest heap unless another is named."""
    bits = 32 if mp32.find() else 64
    heap = heap or SMALLEST_HEAP[bits]
    lines = _run(heap, "measure", folder, attempts).splitlines()
    figures = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
    samples = figures["samples"]
    third = max(1, len(samples) // 3)
    growth = max(samples[-third:]) - max(samples[third : 2 * third]) if len(samples) > 2 else 0
    return {**figures, "word_bits": bits, "heap": heap, "limit": HEAP_LIMIT[bits], "growth": growth}


def holds(figures: dict) -> bool:
    return figures["boot"]["heap_used"] <= figures["limit"] and figures["growth"] <= GROWTH_LIMIT


def _run(heap: str, what: str, folder: Path, *words: object) -> str:
    micropython, slot = mp32.find() or find_micropython(), str(folder / SLOTS[0])
    command = [micropython, "-X", f"heapsize={heap}", "tests/memory/panel.py", what, slot, *map(str, words)]
    environment = {**os.environ, "MICROPYPATH": f"{slot}:{ROOT}:.frozen"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--attempts", type=int, default=1000)
    parser.add_argument("--heap", default="", help="the smallest by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        house(Path(folder))
        figures = measure(Path(folder), options.attempts, options.heap)
    print(json.dumps(figures))
    return 0 if holds(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
