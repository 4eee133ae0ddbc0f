"""Mosquitto as `menshen fleet broker-config` sets it up, run for a test on ports of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from host_tools.fleet import mosquitto
from host_tools.link.mqtt import Broker
from host_tools.network import BrokerLogin
from host_tools.site import Site

START_S = 20.0


def find_mosquitto() -> str:
    """Debian puts it where ordinary users' paths do not lead. Skips where it is not installed."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
    if not found:
        pytest.skip("Mosquitto is not installed: apt-get install mosquitto")
    return found


class Mosquitto:
    """`log`: what it said. Its configuration is made when it starts first, and again by `configure`."""

    def __init__(self, folder: Path, tls: bool = True) -> None:
        self._program = find_mosquitto()
        self._folder = folder
        self._tls = tls
        self.ports = _free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder.with_suffix(".log")

    def configure(self, site: Site) -> mosquitto.Made:
        self.made = mosquitto.write(site, self._folder, "127.0.0.1", *self.ports, tls=self._tls, run_as="root")
        return self.made

    @property
    def login(self) -> BrokerLogin:
        return BrokerLogin.read(self.made.host)

    @property
    def url(self) -> str:
        """The hosts' listener."""
        return self.login.address.broker

    def connect(self, **options: object) -> Broker:
        return Broker(self.login.address, self.login.login, **options)  # type: ignore[arg-type]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self.made.config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + START_S
        while True:
            try:
                for port in self.ports:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                assert self._process.poll() is None and time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)

    def stop(self) -> None:
        """As a crash: what is not on its disk is lost."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports
