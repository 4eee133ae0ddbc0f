"""The fault campaign: `python -m tests.faults`, or `make faults`.

Cuts the power after every operation of every step in every setting, then lets random histories run, each beside a
reference model (model.py). Progress goes to stderr; the last line on stdout is one JSON object. Exit code 1 when
anything but `cuts` and `histories` is not 0. The same seed finds the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
COUNTS = ("cuts", "histories", "lost", "resurrected", "false_certificates", "stuck")
SCENARIOS = (
    "wipe-all",
    "wipe-all beside a resisting block",
    "log rotation with a wipe open",
    "replace as the log turns",
    "wipe as the log turns",
    "receipts acknowledged",
    "enrol as the log turns",
    "wipe beside a resisting block",
    "log rotation",
    "log purged by age",
    "replace",
    "tombstone",
    "wipe",
    "enrol",
    "credential change",
    "credentials dropped",
    "counters carried over",
)
BATCH = 50


class Job:
    """One MicroPython process; `counts` and `notes` as of its latest report."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        self.name = name
        self.counts = dict.fromkeys(COUNTS, 0)
        self.notes: list[str] = []
        micropython = os.environ.get("MENSHEN_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")
        self._out: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the job
        self._process = subprocess.Popen(
            [micropython, "-X", "heapsize=32M", "tests/faults/worker.py", *arguments],
            cwd=ROOT,
            env={**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"},
            stdout=self._out,
            stderr=subprocess.PIPE,
            text=True,
        )

    def poll(self) -> bool:
        """Whether it has ended; the counts are up to date."""
        ended = self._process.poll() is not None
        self._read()
        if ended and self._process.returncode:
            assert self._process.stderr is not None
            self.counts["stuck"] += 1
            self.notes.append(f"{self.name}: {self._process.stderr.read()[-500:]}")
        return ended

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._read()

    def _read(self) -> None:
        self._out.seek(0)
        lines = [line for line in self._out.read().splitlines() if line.endswith("}}") or line.endswith("]}")]
        if lines:
            report = json.loads(lines[-1])
            self.counts, self.notes = report["counts"], report["notes"]


def jobs(options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """All scenarios, then histories until there are enough of them."""
    if not options.histories_only:
        for name in SCENARIOS:
            quick = [options.tears, "once"] if options.quick else [options.tears]
            yield name, [options.plant, "scenario", name, *quick]
    first = options.seed * 1_000_000 + 1
    for start in range(0, options.histories, BATCH):
        count = min(BATCH, options.histories - start)
        yield "histories", [options.plant, "histories", str(first + start), str(count)]


def run(options: argparse.Namespace) -> dict[str, int]:
    deadline = time.monotonic() + options.seconds
    todo = jobs(options)
    running: list[Job] = []
    ended: list[Job] = []
    said = 0.0
    more = True
    while more or running:
        while more and len(running) < options.jobs and not bad(total(ended)):
            following = next(todo, None)
            more = following is not None and time.monotonic() < deadline
            if following is not None and more:
                running.append(Job(*following))
        more = more and not bad(total(ended))
        for job in [job for job in running if job.poll()]:
            running.remove(job)
            ended.append(job)
        if time.monotonic() > deadline + 5:
            for job in running:
                job.stop()
            ended += running
            running = []
        if time.monotonic() - said > 2:
            said = time.monotonic()
            say(total(ended + running), running)
        time.sleep(0.05)
    for job in ended:
        for note in job.notes:
            print(f"{job.name}: {note}", file=sys.stderr)
    return total(ended)


def total(some: list[Job]) -> dict[str, int]:
    return {name: sum(job.counts[name] for job in some) for name in COUNTS}


def bad(counts: dict[str, int]) -> bool:
    return any(counts[name] for name in COUNTS[2:])


def say(counts: dict[str, int], running: list[Job]) -> None:
    names = ", ".join(job.name for job in running)
    print(" ".join(f"{name} {counts[name]}" for name in COUNTS), f"({names})", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="which random histories (default 1)")
    parser.add_argument("--histories", type=int, default=20_000, help="at most so many")
    parser.add_argument("--seconds", type=float, default=270, help="no new work after so long (default 270)")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="processes at a time")
    parser.add_argument("--tears", default="0123", help="ways in which an operation is cut off, see rig.tearing")
    parser.add_argument("--quick", action="store_true", help="one cut, and none in the start after it")
    parser.add_argument("--histories-only", action="store_true")
    parser.add_argument("--plant", default="none", help="a defect from defects.py, to see it found")
    options = parser.parse_args(arguments)
    counts = run(options)
    print(json.dumps(counts))
    return 1 if bad(counts) else 0


if __name__ == "__main__":
    sys.exit(main())
