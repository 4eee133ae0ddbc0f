"""Fuzzes the targets on CPython, guided by coverage: an input that takes a new path through the firmware is kept and
changed further. Findings go to a callback; nothing here decides what is wrong."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.mutate import mutate
from tests.fuzz.targets import Leak, WrongOpen

Target = tuple[str, int, list[bytes], Callable[[bytes], None]]

FIRMWARE = str(Path(__file__).resolve().parents[2] / "firmware") + os.sep
HANG_S = 5.0
_CORPUS_MOST = 400
_FINDINGS_MOST = 5  # of one kind and target; the rest is counted alone


@dataclass
class Finding:
    kind: str
    target: str
    data: bytes
    trace: str


@dataclass
class Outcome:
    """`corpus` holds the inputs that took new paths, for the panel's own Python to go on from."""

    target: str
    inputs: int = 0
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    corpus: list[bytes] = field(default_factory=list)
    paths: int = 0

    def found(self, kind: str, data: bytes, trace: str) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= _FINDINGS_MOST:
            self.findings.append(Finding(kind, self.target, data, trace))


KINDS = ("crashes", "hangs", "wrong_opens", "leaks")


class Hang(BaseException):
    pass


class Coverage:
    """Which lines of the firmware follow which, as a set of numbers."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self._new = False
        self._last = 0

    def run(self, act: Callable[[], None]) -> bool:
        """Whether `act` took a step that none before it took."""
        self._new, self._last = False, 0
        sys.settrace(self._enter)
        try:
            act()
        finally:
            sys.settrace(None)
        return self._new

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(FIRMWARE) else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            here = hash((frame.f_code.co_filename, frame.f_lineno))
            step = here ^ self._last >> 1
            self._last = here
            if step not in self.seen:
                self.seen.add(step)
                self._new = True
        return self._line


def fuzz(target: Target, inputs: int, seed: int, until: float = float("inf")) -> Outcome:
    """`inputs` runs of one target, or fewer when time.monotonic() passes `until`."""
    name, most, seeds, run = target
    random.seed(f"{seed} {name}")
    outcome = Outcome(name, corpus=list(seeds))
    coverage = Coverage()
    for data in _inputs(outcome.corpus, most):
        if outcome.inputs >= inputs or time.monotonic() > until:
            break
        outcome.inputs += 1
        if _try(outcome, coverage, run, data) and len(outcome.corpus) < _CORPUS_MOST and outcome.inputs > len(seeds):
            outcome.corpus.append(data)
    outcome.paths = len(coverage.seen)
    return outcome


def _inputs(corpus: list[bytes], most: int) -> Iterator[bytes]:
    yield from list(corpus)
    while True:
        # The newest paths are the least explored.
        pick = max(random.randrange(len(corpus)), random.randrange(len(corpus)))
        yield mutate(corpus[pick], corpus, most)


def _try(outcome: Outcome, coverage: Coverage, run: Callable[[bytes], None], data: bytes) -> bool:
    try:
        with _limit(HANG_S):
            return coverage.run(lambda: run(data))
    except Hang:
        outcome.found("hangs", data, f"longer than {HANG_S} s")
    except WrongOpen as error:
        outcome.found("wrong_opens", data, str(error))
    except Leak as error:
        outcome.found("leaks", data, str(error))
    except Exception:
        outcome.found("crashes", data, traceback.format_exc())
    return False


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
