"""The image alone starts a panel: boot.py and main.py from the built filesystem, under MicroPython, on a fake chip."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.link.messages import decode_frame, encode_frame, open_plain, plain
from host_tools import maintenance, panels, selftest
from host_tools.image import source_root
from host_tools.image.board_info import chip_boards, constants, load
from host_tools.image.build import filesystem
from host_tools.site import Site
from host_tools.site.registry import Registry
from tests import mp32

ROOT = source_root()
GENERIC = "esp32s3_generic"
PATIENCE_S = 30.0
# A 32-bit build is nearest to the chip.
PORTS = {"x64": str(Path(sys.executable).parent / "micropython")}
if narrow := mp32.find():
    PORTS["x86"] = narrow


class Started:
    """A process that runs an image, and a carrier to it; what `wait_for` read so far is in `lines`."""

    away = False

    def __init__(self, board: str, march: str, folder: Path, grounded: tuple[int, ...] = ()) -> None:
        image = folder / "vfs.bin"
        image.write_bytes(filesystem(load(board), march=march))  # the PC's processor, else as it is flashed
        micropython = PORTS[march]
        command = [
            micropython,
            "-X",
            "heapsize=40M",
            "-m",
            "tests.host_tools.boot_image",
            image,
            folder / "vault.bin",
            *grounded,
        ]
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
            self._queue.put(line)

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

    def read(self) -> bytes:
        try:
            return self._queue.get(timeout=0.05)
        except queue.Empty:
            return b""

    def close(self) -> None:
        pass

    def write(self, data: bytes) -> None:
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
    panel.write(b"noise of a terminal\r\n" + encode_frame(plain(1, {"op": "hello"})))
    line = panel.wait_for(b"~")
    answer = open_plain(decode_frame(line[line.index(b"~") :].strip()))
    assert answer["ok"] and answer["board"] == board and not answer["provisioned"]
    assert not [line for line in panel.lines if b"Traceback" in line or b"died" in line], panel.lines


@pytest.mark.parametrize("march", PORTS)
def test_a_panel_taken_into_service_stays_its_own_across_restarts(march: str, tmp_path: Path) -> None:
    """Keys made from the chip's entropy, records on its partition, Ctrl-C closed from the first moment on."""
    wires = constants(ROOT / "boards" / GENERIC / "board.py")["WIRES"]
    closed = (wires["contact"], wires["tamper"])  # door and case
    first = Started(GENERIC, march, tmp_path, closed)
    try:
        first.wait_for(b"Ctrl-C opens the REPL")
        first.wait_for(b"app: ready")
        with Site(Registry(tmp_path / "site.db"), open_carrier=lambda port: first) as site:
            panel = panels.provision(site, "pipe", "door", open_carrier=lambda port: first)
            assert panels.status(panel)["board"] == GENERIC
            token = maintenance.token(site, panel)
            assert panel.connected().plain("maintain", token=token)["state"] == "asked"
            assert panel.connected().plain("maintain", token=token, end=True)["state"] == "refused"
            seen = {check.name: check.verdict for check in selftest.run(panel, ("camera", "vault", "random"))}
            assert seen == {"camera": "ok", "vault": "ok", "random": "ok"}  # the picture was fed
            identity = panel.record.panel_id
    finally:
        first.stop()
    second = Started(GENERIC, march, tmp_path, closed)
    try:
        second.wait_for(b"app: ready")
        assert not [line for line in second.lines if b"opens the REPL" in line]
        assert b"does nothing" in second.lines[0], "before anything else starts"
        second.write(encode_frame(plain(1, {"op": "hello"})))
        line = second.wait_for(b"~")
        answer = open_plain(decode_frame(line[line.index(b"~") :].strip()))
        assert answer["provisioned"] and answer["panel_id"] == identity.hex()
    finally:
        second.stop()
