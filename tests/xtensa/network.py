"""A model pack on the simulated ESP32-S3: the runtime's own preparation, the shipped machine code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from array import array
from dataclasses import dataclass
from pathlib import Path

from host_tools.xtensa_asm.mpy import read_mpy
from tests.xtensa.sim.cpu import Cpu
from tests.xtensa.sim.memory import Fault, Memory

ROOT = Path(__file__).resolve().parents[2]
MACHINE = ROOT / "firmware" / "nn" / "s3" / "routines.mpy"
CALL_OVERHEAD = 1700  # instructions from MicroPython into a kernel and back (measured, shared/pie/README.md)
_PADDING, _TAPS = 19, 20  # of an operator's record


@dataclass
class Step:
    """One operator's or one move's cost; `calls` into machine code, each worth CALL_OVERHEAD more."""

    kind: str
    calls: int
    instructions: int
    cycles: int

    @property
    def total(self) -> int:
        return self.instructions + self.calls * CALL_OVERHEAD


def micropython() -> str:
    return os.environ.get("MENSHEN_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")


def run_micropython(script: str, *arguments: str, interpreter: str = "") -> None:
    done = subprocess.run(
        [interpreter or micropython(), "-X", "heapsize=32M", str(ROOT / "tests" / "xtensa" / script), *arguments],
        env=dict(os.environ, MICROPYPATH=f"{ROOT}:.frozen"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


class Network:
    def __init__(self, pack: bytes):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "in.pack")
            path.write_bytes(pack)
            run_micropython("panel_open.py", str(path), f"{folder}/out")
            self.pack_bytes = Path(folder, "out.pack").read_bytes()
            tables = json.loads(Path(folder, "out.json").read_text())
        self._routines = read_mpy(MACHINE.read_bytes())
        memory = self._memory = Memory()
        self._cpu = Cpu(memory)
        self._arena_bytes = tables["arena_bytes"]
        self._arena = memory.place("arena", self._arena_bytes, writable=True)
        self._pack = memory.place("pack", self.pack_bytes)
        self._plan = [
            (kind, record, self._table(record), self._table(border)) for kind, record, border in tables["plan"]
        ]
        self._input, self._input_border = self._table(tables["input"]), self._table(tables["input_border"])
        rows, columns = tables["input"][15:17]
        channels = tables["input"][6]  # in 4x4 patches, a pixel each
        self._pixels = memory.place("pixels", rows * columns * channels)
        self._outputs = [
            (length, memory.place(f"output {i}", length, writable=True), record, self._table(record))
            for i, (length, record) in enumerate(tables["outputs"])
        ]
        self._results = tables["results"]

    def operators(self) -> list[tuple[str, list[int]]]:
        """(kind, record) in order."""
        return [(kind, record) for kind, record, _, _ in self._plan]

    def _table(self, words: list[int] | None) -> int | None:
        return None if words is None else self._memory.place("record", array("i", words).tobytes())

    def _call(self, name: str, *arguments: int) -> tuple[int, int, int]:
        done = self._cpu.call(self._routines[name], *arguments)
        return done.small_int, done.instructions, done.cycles

    def load(self, pixels: bytes) -> Step:
        self._memory.write(self._pixels, pixels)
        _, instructions, cycles = self._call("load", self._arena, self._pixels, self._input)
        return self._fill("load", self._input_border, 1, instructions, cycles)

    def steps(self):
        """Runs operator by operator; yields its Step."""
        for kind, record, at, border in self._plan:
            calls = 1
            if kind in ("add", "avgpool"):
                done, instructions, cycles = self._call(kind, self._arena, at)
            else:
                if kind == "scaled":
                    kind = "scaled3x3" if record[_TAPS] == 9 else "scaled1x1"
                done, instructions, cycles = self._call(kind, self._arena, self._pack, at)
                if not done:
                    calls = 2
                    kind += " (scaled)"
                    done, more, longer = self._call("scaled3x3", self._arena, self._pack, at)
                    instructions, cycles = instructions + more, cycles + longer
            if not done:
                self._run_general(kind, record)
            yield self._fill(kind, border, calls, instructions, cycles)

    def export(self) -> Step:
        total = Step("store", 0, 0, 0)
        for _, to, _, at in self._outputs:
            _, instructions, cycles = self._call("store", self._arena, to, at)
            total = Step("store", total.calls + 1, total.instructions + instructions, total.cycles + cycles)
        return total

    def outputs(self) -> list[bytes]:
        whole = b"".join(self._memory.read(to, length) for length, to, _, _ in self._outputs)
        ends = [sum(self._results[: i + 1]) for i in range(len(self._results))]
        return [whole[end - length : end] for end, length in zip(ends, self._results, strict=True)]

    def result(self, i: int) -> bytes:
        """Operator i's tensor, right after its step."""
        record = self._plan[i][1]
        start, pitch, rows, columns, channels = record[2], record[3], record[4], record[5], record[7]
        places = [start + y * pitch + x * channels for y in range(rows) for x in range(columns)]
        return b"".join(self._memory.read(self._arena + at, channels - record[_PADDING]) for at in places)

    def _fill(self, kind: str, border: int | None, calls: int, instructions: int, cycles: int) -> Step:
        if border is None:
            return Step(kind, calls, instructions, cycles)
        _, more, longer = self._call("fill", self._arena, border)
        return Step(kind, calls + 1, instructions + more, cycles + longer)

    def _run_general(self, kind: str, record: list[int]) -> None:
        if kind != "avgpool":
            raise Fault(f"{kind} did nothing")
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, name) for name in ("arena", "pack", "record")]
            paths[0].write_bytes(self._memory.read(self._arena, self._arena_bytes))
            paths[1].write_bytes(self.pack_bytes)
            paths[2].write_bytes(array("i", record).tobytes())
            run_micropython("panel_general.py", kind, *map(str, paths))
            self._memory.write(self._arena, paths[0].read_bytes())
