"""Every parser that faces the outside, first guided by coverage on CPython, then in the panel's own Python.

The last line is one JSON object: inputs, crashes, hangs, wrong_opens, leaks; the exit code is 0 when the last four are.
The same --seed gives the same inputs. What is found is told on stderr and kept in build/fuzz; as a regression it
goes to tests/fuzz/regressions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from host_tools.sim.panel import find_micropython
from tests.fuzz import panel_targets, targets
from tests.fuzz.engine import KINDS, Finding, Outcome, fuzz

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "fuzz"
SILENT_S = 30.0
_PYTHON_SHARE = 0.3
_TIME_SHARE = 0.5
# Targets that cost much more than the others, and the part of a full share that they get.
_SHARES = {"stored_settings": 0.15, "stored_parity": 0.15, "vault_flash": 0.2, "at_the_door": 0.3, "link_commands": 0.5}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=400_000)
    parser.add_argument("--seconds", type=float, default=285.0, help="the time after which no further input is begun")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    started = time.monotonic()
    names = [target[0] for target in targets.targets()]
    first = _on_cpython(names, wanted.inputs * _PYTHON_SHARE, wanted.seed, started + wanted.seconds * _TIME_SHARE)
    missing = wanted.inputs - sum(outcome.inputs for outcome in first)
    corpora = {outcome.target: outcome.corpus for outcome in first}
    plan = _plan(missing, [*names, *panel_targets.NAMES])
    second = _on_the_panel(plan, corpora, wanted.seed, started + wanted.seconds)
    outcomes = first + second
    for outcome in outcomes:
        for finding in outcome.findings:
            _tell(finding)
    summary = {"inputs": sum(outcome.inputs for outcome in outcomes)}
    summary |= {kind: sum(outcome.counts[kind] for outcome in outcomes) for kind in KINDS}
    told = ", ".join(f"{o.target} {o.inputs} ({o.paths} steps)" for o in first)
    print(f"seed {wanted.seed}, {time.monotonic() - started:.0f} s; CPython: {told}", file=sys.stderr)
    print(f"MicroPython: {', '.join(f'{o.target} {o.inputs}' for o in second)}", file=sys.stderr)
    print(json.dumps(summary))
    return 1 if any(summary[kind] for kind in KINDS) else 0


def _plan(inputs: float, names: list[str]) -> dict[str, int]:
    weight = sum(_SHARES.get(name, 1.0) for name in names)
    return {name: 1 + round(inputs * _SHARES.get(name, 1.0) / weight) for name in names}


def _on_cpython(names: list[str], inputs: float, seed: int, until: float) -> list[Outcome]:
    jobs = [(name, count, seed, until) for name, count in _plan(inputs, names).items()]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return pool.starmap(_one_target, jobs, chunksize=1)


def _one_target(name: str, inputs: int, seed: int, until: float) -> Outcome:
    os.environ["MENSHEN_FUZZ_ID"] = str(os.getpid())
    target = next(target for target in targets.targets() if target[0] == name)
    return fuzz(target, inputs, seed, until)


def _on_the_panel(plan: dict[str, int], corpora: dict[str, list[bytes]], seed: int, until: float) -> list[Outcome]:
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(on_the_panel, name, n, seed, corpora.get(name, []), until) for name, n in plan.items()]
        return [job.result() for job in jobs]


def on_the_panel(
    name: str, inputs: int, seed: int, corpus: list[bytes], until: float = float("inf"), module: str = ""
) -> Outcome:
    """One target in a MicroPython process of its own; one that falls silent for SILENT_S hangs."""
    module = module or ("tests.fuzz.panel_targets" if name in panel_targets.NAMES else "tests.fuzz.targets")
    outcome = Outcome(name)
    with tempfile.TemporaryDirectory() as folder:
        begin = Path(folder, "corpus")
        begin.write_text("".join(f"{data.hex()}\n" for data in corpus))
        command = [find_micropython(), "-X", "heapsize=24M", "-m", "tests.fuzz.panel_side"]
        process = subprocess.Popen(
            [*command, module, name, str(inputs), str(seed), str(begin)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={"MICROPYPATH": f"{ROOT}:.frozen", "TMPDIR": folder},
        )
        _follow(process, outcome, until)
    return outcome


def _follow(process: subprocess.Popen[str], outcome: Outcome, until: float) -> None:
    lines: queue.Queue[str | None] = queue.Queue()
    assert process.stdout
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    tail: list[str] = []
    try:
        while time.monotonic() < until:
            line = lines.get(timeout=SILENT_S)
            if line is None:
                outcome.found("crashes", b"", "the process ended: " + "\n".join(tail[-12:]))
                return
            tail.append(line)
            word, _, rest = line.partition(" ")
            if word == "FOUND":
                kind, _, data = rest.partition(" ")
                outcome.found(kind, bytes.fromhex(data), "in MicroPython")
            elif word in ("AT", "DONE"):
                outcome.inputs = int(rest)
                if word == "DONE":
                    return
            elif outcome.findings:
                outcome.findings[-1].trace += "\n" + line
    except queue.Empty:
        outcome.found("hangs", b"", f"silent for {SILENT_S} s, after: {tail[-1:]}")
    finally:
        process.kill()
        process.wait()


def _read(stream: object, lines: queue.Queue[str | None]) -> None:
    for line in stream:  # type: ignore[attr-defined]
        lines.put(line.rstrip("\n"))
    lines.put(None)


def _tell(finding: Finding) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    file = KEPT / f"{finding.target}-{hashlib.sha256(finding.data).hexdigest()[:12]}"
    file.write_bytes(finding.data)
    print(f"{finding.kind}: {finding.target}, input in {file}\n{finding.trace}", file=sys.stderr)
