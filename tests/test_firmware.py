"""Runs each tests/firmware/test_*.py in a MicroPython process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "tests" / "firmware").glob("**/test_*.py"))
HEAP = "16M"  # 64-bit objects are twice the panel's: about its 8 MB
TIMEOUT_S = 150


def micropython() -> str:
    return os.environ.get("MENSHEN_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_under_micropython(path: Path, tmp_path: Path) -> None:
    environment = dict(os.environ, MICROPYPATH=f"{ROOT}:.frozen", TMPDIR=str(tmp_path))
    command = [micropython(), "-X", f"heapsize={HEAP}", "tests/firmware/run.py", str(path.relative_to(ROOT))]
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert result.returncode == 0, f"\n{result.stdout}{result.stderr}"
