"""The image alone starts a panel: boot.py and main.py from the built filesystem, under MicroPython, on a fake chip."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.link.messages import decode_frame, encode_frame, open_plain, plain
from host_tools.image import source_root
from host_tools.image.boards import chip_boards, load
from host_tools.image.build import filesystem

ROOT = source_root()
PATIENCE_S = 30.0
# A 32-bit build, where MENSHEN_MP32 names one, is nearest to the chip.
PORTS = {"x64": str(Path(sys.executable).parent / "micropython")}
if os.environ.get("MENSHEN_MP32"):
    PORTS["x86"] = os.environ["MENSHEN_MP32"]


class Started:
    """A process that runs an image; what it printed so far is in `lines`."""

    def __init__(self, board: str, march: str, folder: Path) -> None:
        image = folder / "vfs.bin"
        image.write_bytes(filesystem(load(board), march=march))  # the PC's processor, else as it is flashed
        micropython = PORTS[march]
        command = [micropython, "-X", "heapsize=40M", "-m", "tests.host_tools.boot_image", image]
        self._process = subprocess.Popen(
            [str(word) for word in command],
            cwd=ROOT,
            env={"MICROPYPATH": f"{ROOT}:.frozen"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.lines: list[bytes] = []
        self._queue: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._queue.put(line.strip())

    def wait_for(self, text: bytes) -> bytes:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                self.lines.append(self._queue.get(timeout=0.1))
            except queue.Empty:
                continue
            if text in self.lines[-1]:
                return self.lines[-1]
        raise AssertionError(b"\n".join(self.lines).decode(errors="replace"))

    def send(self, data: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(params=[(board, march) for board in chip_boards() for march in PORTS], ids="-".join)
def started(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Started]]:
    panel = Started(*request.param, tmp_path)
    yield request.param[0], panel
    panel.stop()


def test_a_flashed_board_starts_by_itself_and_answers_on_the_link(started: tuple[str, Started]) -> None:
    board, panel = started
    panel.wait_for(b"app: ready")
    panel.send(b"noise of a terminal\r\n" + encode_frame(plain(1, {"op": "hello"})))
    line = panel.wait_for(b"~")
    answer = open_plain(decode_frame(line[line.index(b"~") :]))
    assert answer["ok"] and answer["board"] == board and not answer["provisioned"]
    assert not [line for line in panel.lines if b"Traceback" in line or b"died" in line], panel.lines
