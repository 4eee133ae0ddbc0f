"""The fault campaign in small, and proof that it can fail: each planted defect is found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEFECTS = (
    "no-read-back",
    "no-journal",
    "commit-first",
    "wipe-by-flag",
    "forgets-receipts",
    "clears-without-looking",
    "eats-newer-keys",
)


def campaign(*arguments: str) -> tuple[int, dict[str, int]]:
    command = [sys.executable, "-m", "tests.faults", *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    return result.returncode, json.loads(result.stdout.splitlines()[-1])


def test_requirement_13_no_cut_loses_or_brings_back_a_record() -> None:
    code, counts = campaign("--quick", "--tears", "01", "--histories", "24")
    assert code == 0 and not any(list(counts.values())[2:]), counts
    assert list(counts) == ["cuts", "histories", "lost", "resurrected", "false_certificates", "stuck"]
    assert counts["cuts"] > 250 and counts["histories"] == 24


@pytest.mark.parametrize("defect", DEFECTS)
def test_requirement_16_a_planted_defect_is_found(defect: str) -> None:
    where = ["--histories", "0"] if defect == "clears-without-looking" else ["--histories-only", "--histories", "100"]
    code, counts = campaign("--plant", defect, "--quick", "--tears", "0", "--jobs", "1", *where)
    assert code == 1 and any(counts[name] for name in ("lost", "resurrected", "false_certificates")), counts
