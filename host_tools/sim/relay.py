"""The panel's serial port: its terminal, served on a loopback TCP port to one client at a time.

It does what a board's USB port and boot code do around MicroPython: a soft reset (the process ends) says so
and starts anew, Ctrl-C interrupts a running program only while the panel lets it, a panel that dies is
started again. Later clients wait in the listen queue until the present one has gone. What is printed while
nobody listens is lost, but for the console log.
"""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import threading
import time
from pathlib import Path

from host_tools.sim.bus import BusServer
from host_tools.sim.device import Device
from host_tools.sim.panel import FRIENDLY_BANNER, RAW, RAW_BANNER, PanelProcess, PanelSpec
from host_tools.sim.world import World

_START = "boot.py main.py"
_SOFT_REBOOT = b"MPY: soft reboot\r\n"
_BUFFER_MAX = 256 * 1024
_LOG_MAX = 4 * 1024 * 1024
_TICK_S = 0.2
_QUICK_DEATH_S = 1.0
_CTRL_C_GAP_S = 0.1


class Relay(threading.Thread):
    """`tty_link`: a symlink to make to a device file, for programs that cannot open a TCP port."""

    def __init__(
        self, spec: PanelSpec, world: World, bus: BusServer, console: Path, tty_link: Path | None = None
    ) -> None:
        super().__init__(name="relay", daemon=True)
        self._spec, self._world, self._bus = spec, world, bus
        self._console = console.open("wb", buffering=0)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4)
        self.port: int = self._listener.getsockname()[1]
        self._client: socket.socket | None = None
        self._device = Device(tty_link) if tty_link else None
        self._panel: PanelProcess | None = None
        self.booted = threading.Event()
        self._powered = True
        self._boot_at: float | None = 0.0
        self._ready = self._raw_wanted = False
        self._running = True
        self._interrupted_at = 0.0
        self._to_panel, self._to_client = bytearray(), bytearray()
        self._orders: queue.Queue[tuple[str, threading.Event]] = queue.Queue()
        self._wake_read, self._wake_write = socket.socketpair()
        self._repl_open = True
        world.on_repl = self._set_repl_open
        world.cpu_s = self._cpu_s
        world.on_reset = lambda: self._order("reset")

    # From other threads.

    @property
    def panel_pid(self) -> int | None:
        panel = self._panel
        return panel.pid if panel else None

    def cut_power(self) -> None:
        """SIGKILL in the middle of whatever the panel does; it stays off."""
        self._order("off").wait(10)

    def restore_power(self) -> None:
        self._order("on").wait(10)

    def reset(self) -> None:
        self._order("reset").wait(10)

    def close(self) -> None:
        self._order("close").wait(10)

    def _order(self, what: str) -> threading.Event:
        done = threading.Event()
        self._orders.put((what, done))
        with contextlib.suppress(OSError):
            self._wake_write.send(b"\0")
        return done

    def _cpu_s(self) -> float | None:
        panel = self._panel
        return panel.cpu_s() if panel else None

    def _set_repl_open(self, on: bool) -> None:
        self._repl_open = on

    # The thread's loop.

    def run(self) -> None:
        while self._running:
            if self._boot_at is not None and time.monotonic() >= self._boot_at:
                self._boot(_START)
            self._step()
        self._stop_panel()
        for end in (self._client, self._listener, self._wake_read, self._wake_write, self._device):
            if end:
                end.close()
        self._console.close()

    def _step(self) -> None:
        readable, writable, _ = select.select(self._readers(), self._writers(), [], self._patience())
        if self._wake_read in readable:
            self._wake_read.recv(4096)
            self._obey()
            return  # what was readable may be gone
        panel = self._panel
        if panel and panel.master in readable:
            self._from_panel(panel)
        if panel and panel.master in writable:
            del self._to_panel[: panel.write(self._to_panel)]
        if self._client and self._client in readable:
            self._from_client(self._client)
        if self._client and self._client in writable:
            self._send(self._client)
        if self._listener in readable:
            self._accept()
        if self._device and self._device.master in readable:
            self._typed(self._device.read())
        if self._world.watchdog_bites():
            self._say(b"\r\nWatchdog: restarting.\r\n")
            self._restart()

    def _readers(self) -> list[socket.socket | int]:
        readers: list[socket.socket | int] = [self._wake_read]
        if self._panel and len(self._to_client) < _BUFFER_MAX:
            readers.append(self._panel.master)
        if self._client is None:
            readers.append(self._listener)
        if self._ready and len(self._to_panel) < _BUFFER_MAX:
            if self._client:
                readers.append(self._client)
            elif self._device:
                readers.append(self._device.master)
        return readers

    def _writers(self) -> list[socket.socket | int]:
        writers: list[socket.socket | int] = []
        if self._panel and self._to_panel:
            writers.append(self._panel.master)
        if self._client and self._to_client:
            writers.append(self._client)
        return writers

    def _patience(self) -> float:
        if self._boot_at is None:
            return _TICK_S
        return max(0.0, min(_TICK_S, self._boot_at - time.monotonic()))

    def _obey(self) -> None:
        while not self._orders.empty():
            what, done = self._orders.get()
            if what == "close":
                self._running = False
            elif what == "off":
                self._powered, self._boot_at = False, None
                self._stop_panel()
            elif what == "on":
                self._powered = True
                if self._panel is None:
                    self._boot(_START)
            elif self._powered:
                self._restart()
            done.set()

    # The panel's life.

    def _boot(self, start: str) -> None:
        self._boot_at = None
        self._ready = False
        self._repl_open = True
        self._to_panel.clear()
        self._panel = PanelProcess(self._spec, start)
        self.booted.set()

    def _stop_panel(self) -> None:
        if self._panel:
            self._panel.end()
            self._panel = None
        self._ready = False
        self._bus.disconnect()
        self._world.power_cycle()

    def _restart(self) -> None:
        self._stop_panel()
        self._boot(_START)

    def _ended(self, panel: PanelProcess) -> None:
        """The process closed its terminal: a soft reset when it left from a prompt, else a crash."""
        lived = time.monotonic() - panel.started
        code = panel.wait()
        self._stop_panel()
        if code == 0 and panel.repl:
            self._say(_SOFT_REBOOT)
            self._raw_wanted = panel.repl == RAW
            self._boot("boot.py" if self._raw_wanted else _START)
            return
        self._say(b"\r\nThe panel's process ended (%d), restarting.\r\n" % code)
        self._boot_at = time.monotonic() + (_QUICK_DEATH_S if lived < _QUICK_DEATH_S else 0.0)

    # Bytes.

    def _from_panel(self, panel: PanelProcess) -> None:
        data = panel.read()
        if data is None:
            self._ended(panel)
            return
        if self._raw_wanted:
            self._to_raw_repl(panel)
            return
        self._ready = True
        self._say(data)

    def _to_raw_repl(self, panel: PanelProcess) -> None:
        # A board stays in the raw REPL over a soft reset; the new process has to be led there unseen.
        if panel.seen.endswith(FRIENDLY_BANNER):
            panel.write(b"\x01")
        elif panel.repl == RAW:
            self._raw_wanted, self._ready = False, True
            self._say(RAW_BANNER)

    def _say(self, data: bytes) -> None:
        if self._console.tell() > _LOG_MAX:
            self._console.seek(0)
            self._console.truncate()
        self._console.write(data)
        if self._client:
            self._to_client += data
        elif self._device:
            self._device.write(data)

    def _accept(self) -> None:
        self._client, _ = self._listener.accept()
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.setblocking(False)

    def _from_client(self, client: socket.socket) -> None:
        try:
            data = client.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._typed(data)
        else:
            self._hang_up(client)

    def _send(self, client: socket.socket) -> None:
        try:
            del self._to_client[: client.send(self._to_client)]
        except BlockingIOError:
            return
        except OSError:
            self._hang_up(client)

    def _hang_up(self, client: socket.socket) -> None:
        client.close()
        self._client = None
        self._to_client.clear()

    def _typed(self, data: bytes) -> None:
        first, *rest = data.split(b"\x03")
        self._to_panel += first
        for part in rest:
            self._ctrl_c()
            self._to_panel += part

    def _ctrl_c(self) -> None:
        now = time.monotonic()
        # A second SIGINT before the first is handled would end the process.
        if not self._repl_open or self._panel is None or now - self._interrupted_at < _CTRL_C_GAP_S:
            return
        del self._to_panel[: self._panel.write(self._to_panel)]
        if self._panel.interrupt():
            self._interrupted_at = now
        else:
            self._to_panel += b"\x03"
