"""A panel at the end of a line that a test can spoil: bytes pass between a client and a MicroPython process."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

Spoil = Callable[[bytes], bytes]


def _as_it_is(data: bytes) -> bytes:
    return data


class Rig:
    """`to_panel` and `to_host` change what passes; `start` and `stop` switch the panel, which keeps `flash`."""

    def __init__(self, folder: Path) -> None:
        self.flash = folder / "flash.json"
        self.to_panel: Spoil = _as_it_is
        self.to_host: Spoil = _as_it_is
        self._panel_side = socket.create_server(("127.0.0.1", 0))
        self._host_side = socket.create_server(("127.0.0.1", 0))
        self._panel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.start()
        self._thread.start()

    @property
    def port(self) -> str:
        return f"socket://127.0.0.1:{self._host_side.getsockname()[1]}"

    @property
    def state(self) -> dict[str, Any]:
        if not self.flash.exists():
            return {"confirmed": False, "calls": []}
        return dict(json.loads(self.flash.read_text()))

    @property
    def calls(self) -> list[str]:
        return list(self.state["calls"])

    def start(self) -> None:
        micropython = os.environ.get("MENSHEN_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")
        script = Path(__file__).with_name("link_panel.py")
        port = str(self._panel_side.getsockname()[1])
        self._process = subprocess.Popen(
            [micropython, "-X", "heapsize=2M", script, self.flash, port],
            env=dict(os.environ, MICROPYPATH=f"{ROOT}:.frozen"),
        )
        self._panel = self._panel_side.accept()[0]

    def stop(self) -> None:
        assert self._process and self._panel
        self._process.kill()
        self._process.wait()
        self._panel.close()
        self._panel = None

    def close(self) -> None:
        self._closing = True
        self._thread.join(5)
        self._host_side.close()
        if self._panel:
            self.stop()
        self._panel_side.close()

    def device(self) -> str:
        """The same line as a device file instead."""
        master, slave = os.openpty()
        tty.setraw(slave)
        path = os.ttyname(slave)
        threading.Thread(target=self._pump, args=(_Descriptor(master),), daemon=True).start()
        return path

    def _serve(self) -> None:
        while not self._closing:
            if select.select([self._host_side], [], [], 0.05)[0]:
                client = self._host_side.accept()[0]
                self._pump(client)
                client.close()

    def _pump(self, client: Any) -> None:
        while not self._closing:
            panel = self._panel
            try:
                ready = select.select([client, *([panel] if panel else [])], [], [], 0.05)[0]
                if client in ready:
                    data = client.recv(65536)
                    if not data:
                        return
                    if panel:
                        panel.sendall(self.to_panel(data))
                if panel in ready and panel:
                    client.sendall(self.to_host(panel.recv(65536)))
            except (OSError, ValueError):  # ValueError: the panel was switched off meanwhile
                if panel is self._panel:
                    return


class _Descriptor:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def recv(self, size: int) -> bytes:
        return os.read(self._descriptor, size)

    def sendall(self, data: bytes) -> None:
        os.write(self._descriptor, data)
