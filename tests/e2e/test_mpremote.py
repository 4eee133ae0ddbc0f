"""Stock mpremote against a virtual panel, as against a board: a plain program first, then the real app."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from host_tools.sim.control import Sim

MPREMOTE = str(Path(sys.executable).with_name("mpremote"))
LOOP = """
import time
print("loop is up")
while True:
    time.sleep_ms(20)
"""


def loop_only(vfs):
    (vfs / "lib").mkdir(parents=True)
    (vfs / "main.py").write_text(LOOP)


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    with Sim.start(tmp_path_factory.mktemp("sim") / "loop", stage=loop_only) as sim:
        yield sim


@pytest.fixture(scope="module")
def panel(tmp_path_factory):
    with Sim.start(tmp_path_factory.mktemp("sim") / "panel") as sim:
        assert sim.wait_console("app: ready", 20), sim.console()
        yield sim


def mpremote(sim, *words, code=0):
    run = subprocess.run([MPREMOTE, "connect", sim.port, *map(str, words)], capture_output=True, text=True, timeout=30)
    assert run.returncode == code, f"{words}: {run.stdout}{run.stderr}\n{sim.console()[-2000:]}"
    return run.stdout


def test_interrupts_main_evaluates_and_lists(loop):
    assert loop.wait_console("loop is up")
    assert mpremote(loop, "eval", "6 * 7") == "42\n"
    assert "main.py" in mpremote(loop, "ls", ":/")
    assert mpremote(loop, "exec", "import os; print(os.getcwd())") == "/\n"


def test_the_panels_root_is_not_the_computers(loop):
    assert "etc" not in mpremote(loop, "ls", ":/").split()
    mpremote(loop, "exec", "open('/etc/passwd')", code=1)


def test_copies_both_ways_unchanged(loop, tmp_path):
    sent, got = tmp_path / "sent.bin", tmp_path / "got.bin"
    sent.write_bytes(bytes(range(256)) * 12)
    mpremote(loop, "cp", sent, ":/lib/data.bin", "+", "cp", ":/lib/data.bin", got)
    assert got.read_bytes() == sent.read_bytes()
    assert (loop.state / "vfs/lib/data.bin").read_bytes() == sent.read_bytes()
    mpremote(loop, "rm", ":/lib/data.bin")
    assert not (loop.state / "vfs/lib/data.bin").exists()


def test_runs_local_code_and_reports_its_errors(loop, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint('ran on', sys.implementation.name)\n")
    assert mpremote(loop, "run", script) == "ran on micropython\n"
    assert "ZeroDivisionError" in mpremote(loop, "exec", "1 // 0", code=1)


def test_mounts_a_local_directory(loop, tmp_path):
    (tmp_path / "greeting.py").write_text("WORDS = 'from the computer'\n")
    said = mpremote(loop, "mount", tmp_path, "exec", "import greeting; print(greeting.WORDS)")
    assert said.endswith("from the computer\n")


def test_a_soft_reset_forgets_and_resume_does_not(loop):
    said = mpremote(loop, "exec", "kept = 1", "+", "soft-reset", "+", "resume", "eval", "'kept' in globals()")
    assert said == "False\n"
    said = mpremote(loop, "exec", "kept = 1", "+", "resume", "eval", "kept")
    assert said == "1\n"
    assert "MPY: soft reboot" in loop.console()


def test_a_panel_without_owner_lets_the_technician_in(panel):
    assert mpremote(panel, "eval", "2 + 2") == "4\n"
    listed = mpremote(panel, "ls", ":/")
    assert {"main.py", "boot.py", "slots.py", "a/"} <= set(listed.split())
    said = mpremote(panel, "exec", "import board; b = board.build(); print(b.name, b.door.closed())")
    assert said == "virtual True\n"


def test_the_app_comes_back_after_a_power_cycle_and_a_reset(panel):
    for restart in (panel.restart, lambda: mpremote(panel, "reset")):
        seen = len(panel.console())
        restart()
        assert panel.wait_console("app: ready", 20, after=seen), panel.console()
