"""The fuzzer itself: planted defects are found in both Pythons, and what it found before stays fixed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import campaign, engine, planted, targets

ROOT = Path(__file__).resolve().parents[2]
REGRESSIONS = sorted(Path(__file__).with_name("regressions").iterdir())
TARGETS = {target[0]: target for target in targets.targets()}


@pytest.mark.parametrize("target", planted.targets(), ids=lambda target: target[0])
def test_a_planted_defect_is_found_on_cpython(target: engine.Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "HANG_S", 0.2)
    outcome = engine.fuzz(target, 4000 if target[0] != "hangs" else 300, seed=1)
    assert outcome.counts[target[0]] > 0
    assert not [kind for kind in engine.KINDS if kind != target[0] and outcome.counts[kind]], outcome.findings
    assert outcome.findings[0].data


@pytest.mark.parametrize("kind", engine.KINDS)
def test_a_planted_defect_is_found_in_the_panels_own_python(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "SILENT_S", 3.0)
    outcome = campaign.on_the_panel(kind, 4000, 1, [], module="tests.fuzz.planted")
    assert outcome.counts[kind] > 0
    assert not [other for other in engine.KINDS if other != kind and outcome.counts[other]], outcome.findings


def test_coverage_leads_to_new_paths() -> None:
    outcome = engine.fuzz(TARGETS["link_message"], 300, seed=1)
    assert len(outcome.corpus) > len(TARGETS["link_message"][2]) and outcome.paths > 100


def test_the_same_seed_gives_the_same_inputs() -> None:
    corpora = [engine.fuzz(TARGETS["nfc_frame"], 500, seed=3).corpus for _ in range(2)]
    assert corpora[0] == corpora[1] != engine.fuzz(TARGETS["nfc_frame"], 500, seed=4).corpus


@pytest.mark.parametrize("file", REGRESSIONS, ids=lambda file: file.name)
def test_what_was_found_stays_fixed(file: Path) -> None:
    TARGETS[file.name.partition("-")[0]][3](file.read_bytes())


def test_a_short_campaign_says_so_in_its_last_line() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--inputs", "2000", "--seconds", "60"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ,
    )
    summary = json.loads(run.stdout.splitlines()[-1])
    assert list(summary) == ["inputs", *engine.KINDS]
    assert run.returncode == 0 and summary["inputs"] >= 2000, run.stderr[-2000:]
    assert not any(summary[kind] for kind in engine.KINDS)
