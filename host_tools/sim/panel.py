"""The panel's process: MicroPython's unix port on a pseudo-terminal of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import tty
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import HostError
from host_tools.image import source_root

# The terminal becomes the process's controlling one: it dies (SIGHUP) with whoever holds the other end.
_LAUNCHER = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGHUP, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
_SIGINT_BIT = 1 << (signal.SIGINT - 1)
FRIENDLY, RAW = "friendly", "raw"
FRIENDLY_BANNER = b'Type "help()" for more information.\r\n>>> '
RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
_PROMPTS = (b">>> ", b"... ", b"=== ", b"\r\n>", b"\x04>")


def find_micropython() -> str:
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if not found:
        raise HostError("MicroPython is not there. Run `make setup`, or install your system's micropython.")
    return found


@dataclass(frozen=True)
class PanelSpec:
    """vfs: the directory that becomes the panel's `/`. world: HOST:PORT of the hardware bus."""

    vfs: Path
    flash: Path
    world: str
    heap: str = "8M"
    blocks: int = 1048
    fed: bool = False  # frames come over the link

    def environment(self, start: str) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MICROPY")}
        return clean | {
            "HOME": str(self.vfs.parent),  # the REPL keeps its history there
            "MICROPYPATH": ".frozen:/lib",
            "MENSHEN_VFS": str(self.vfs),
            "MENSHEN_FLASH": str(self.flash),
            "MENSHEN_FLASH_BLOCKS": str(self.blocks),
            "MENSHEN_CAMERA": "fed" if self.fed else "seen",
            "MENSHEN_WORLD": self.world,
            "MENSHEN_START": start,
        }


class PanelProcess:
    """`start`: the files to run before the REPL. `master` is the pseudo-terminal's other end, non-blocking.

    `repl` is "" until a prompt was seen, then FRIENDLY or RAW; `seen` the end of what it printed."""

    def __init__(self, spec: PanelSpec, start: str) -> None:
        rom = (source_root() / "boards/virtual/rom.py").read_text(encoding="utf-8")
        command = [find_micropython(), "-X", f"heapsize={spec.heap}", "-i", "-c", rom]
        self.master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(self.master, False)
        self.started = time.monotonic()
        self.repl = ""
        self.seen = b""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=spec.environment(start),
                cwd=spec.vfs,
                start_new_session=True,
            )
        finally:
            os.close(slave)
        self.pid = self._process.pid

    def read(self) -> bytes | None:
        """What it printed; None once it has ended."""
        try:
            data = os.read(self.master, 65536)
        except BlockingIOError:
            return b""
        except OSError:
            return None
        self._look(data)
        return data or None

    def _look(self, data: bytes) -> None:
        self.seen += data
        found = {RAW: self.seen.rfind(RAW_BANNER), FRIENDLY: self.seen.rfind(FRIENDLY_BANNER)}
        if max(found.values()) >= 0:
            self.repl = max(found, key=lambda mode: found[mode])
        self.seen = self.seen[-len(FRIENDLY_BANNER) :]

    def write(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self.master, data)
        except (BlockingIOError, OSError):
            return 0

    def interrupt(self) -> bool:
        """Ctrl-C. False when it waits at a prompt, where the byte itself has to be sent instead."""
        if not self._runs_code():
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGINT)
        return True

    def _runs_code(self) -> bool:
        # MicroPython catches SIGINT while it runs code, and at a prompt SIGINT would kill it.
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        except OSError:
            return not self.seen.endswith(_PROMPTS)  # macOS
        caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught, 16) & _SIGINT_BIT)

    def cpu_s(self) -> float | None:
        """Processor time used so far; None where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self.master)

    def wait(self) -> int:
        """The return code of a process that has closed its terminal; one that lingers is killed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(2.0)
        self._process.kill()
        return self._process.wait()
