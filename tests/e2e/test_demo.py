"""`menshen demo` as its user runs it: exit code, last line and page; with the portraits and with own pictures."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from PIL import Image

pytest.importorskip("matplotlib", reason="the portraits come with matplotlib")
pytest.importorskip("skimage", reason="the portraits come with scikit-image")

STEPS = [
    "provision",
    "consent_and_enrol",
    "decline",
    "refuse_without_consent",
    "restart",
    "withdraw",
    "restart_after_wipe",
]


def demo(folder, *words, code=0):
    command = [sys.executable, "-m", "host_tools.cli", "demo", "--json", *map(str, words)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=150, cwd=folder)
    assert run.returncode == code, run.stdout + run.stderr
    return run


def test_the_story_comes_out_and_is_told_on_one_self_contained_page(tmp_path):
    run = demo(tmp_path)
    last = json.loads(run.stdout.splitlines()[-1])
    assert last["ok"] and [step["name"] for step in last["steps"]] == STEPS
    assert all(step["ok"] and step["milliseconds"] > 0 for step in last["steps"])
    assert 200_000 < last["peak_heap_bytes"] < 4_000_000
    assert set(last["models"]) == {"detector", "embedder"}
    page = (tmp_path / last["page"]).read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 15
    assert not re.search(r'(?:src|href)="(?!data:)', page), "the page must not reach outside itself"


def test_own_pictures_tell_the_same_story(tmp_path):
    from matplotlib.cbook import get_sample_data
    from skimage.data import astronaut

    for name in ("ann", "bea"):
        (tmp_path / "people" / name).mkdir(parents=True)
    Image.fromarray(astronaut()[:300, 80:380]).save(tmp_path / "people/ann/one.png")
    Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)).save(tmp_path / "people/bea/one.jpg")
    run = demo(tmp_path, "--photos", tmp_path / "people")
    assert json.loads(run.stdout.splitlines()[-1])["ok"]
    assert "Ann" in run.stdout or "ann" in run.stdout


def test_pictures_that_do_not_serve_end_in_a_sentence_and_an_exit_code(tmp_path):
    (tmp_path / "people/ann").mkdir(parents=True)
    run = demo(tmp_path, "--photos", tmp_path / "people", code=2)
    assert "Traceback" not in run.stderr and "two people" in run.stderr
