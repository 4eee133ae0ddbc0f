"""A device file that leads to a TCP port, for programs that need a file descriptor (mpremote's REPL does)."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_TICK_S = 0.2


@contextmanager
def device(port: str) -> Iterator[str]:
    """`port` itself, or where it is socket://HOST:PORT a device file that lives as long as the block."""
    if not port.startswith("socket://"):
        yield port
        return
    place = urlsplit(port)
    over = threading.Event()
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        with socket.create_connection((place.hostname, place.port), timeout=5) as panel:
            pump = threading.Thread(target=_pump, args=(master, panel, over), daemon=True)
            pump.start()
            try:
                yield os.ttyname(slave)
            finally:
                over.set()
                pump.join()
    finally:
        os.close(master)
        os.close(slave)


def _pump(master: int, panel: socket.socket, over: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while not over.is_set():
            ends: list[int | socket.socket] = [master, panel]
            readable, _, _ = select.select(ends, [], [], _TICK_S)
            if master in readable:
                panel.sendall(os.read(master, 4096))
            if panel in readable:
                data = panel.recv(4096)
                if not data:
                    return
                os.write(master, data)
