"""Panels at the level of the protocol, hundreds in a process: the firmware's own link and MQTT code under CPython.

All but what lies behind the link is real: seals, counters, frames, sessions, receipts and their signatures. A vault
stand-in keeps what the flash would, across restarts. A panel can be made to send and hear everything twice, and to lose
its power in the middle of a command.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.base.errors import MenshenError, NotFound
from firmware.link.messages import Framer
from firmware.link.mqtt import Login, MqttPort
from firmware.link.server import Server
from firmware.vault import receipt as format_
from host_tools.network import BrokerLogin

MODEL_ID = bytes(8)
_TEND_S = 1.0


class PowerCut(BaseException):
    """In the middle of a command. Not an Exception: the link's own boundary must not answer it."""


@dataclass
class Vault:
    """What outlives a restart. `applied`: the counters of the commands that ran, with how often they did."""

    panel_id: bytes = field(default_factory=lambda: os.urandom(8))
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    link_key: bytes = field(default_factory=lambda: os.urandom(32))
    counter: int = 0
    sequence: int = 1
    acknowledged: int = 0
    faces: set[bytes] = field(default_factory=set)
    receipts: dict[int, bytes] = field(default_factory=dict)
    applied: dict[int, int] = field(default_factory=dict)

    @property
    def device_pub(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    def wipe(self, handle: bytes, reason: str) -> bytes | None:
        if handle not in self.faces:
            return None
        self.faces.remove(handle)
        self.sequence += 1
        block = (self.sequence % 1000, hashlib.sha256(handle + self.panel_id).digest(), format_.ERASED_HASH)
        fields = format_.Receipt(
            self.panel_id, self.sequence, int(time.time()), 2, reason, handle, os.urandom(32), [block]
        )
        self.receipts[self.sequence] = format_.build(fields, self.key.sign)
        return self.receipts[self.sequence]

    def waiting(self) -> int:
        return sum(number > self.acknowledged for number in self.receipts)


class Ring:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def link_key(self) -> bytes:
        return self._vault.link_key

    def confirmed(self) -> bool:
        return True

    def confirm(self) -> None: ...

    def counter(self) -> int:
        return self._vault.counter

    def set_counter(self, value: int) -> None:
        self._vault.counter = value


class Commands:
    """The operations that a fleet's service asks for, as firmware/services/commands.py answers them."""

    def __init__(self, vault: Vault, cut: Callable[[str], None]) -> None:
        self._vault, self._cut = vault, cut

    def __call__(self, op: str, fields: dict[str, Any]) -> dict[str, Any]:
        vault = self._vault
        if op != "hello":
            vault.applied[vault.counter] = vault.applied.get(vault.counter, 0) + 1
        self._cut("before")
        answer: dict[str, Any] = getattr(self, op)(**fields)
        self._cut("after")
        return answer

    def hello(self) -> dict[str, Any]:
        vault = self._vault
        known = {"panel_id": vault.panel_id, "device_pub": vault.device_pub}
        return {"board": "protocol", "firmware": "0.1.0", "provisioned": True, **known}

    def status(self) -> dict[str, Any]:
        vault = self._vault
        return {
            "panel_id": vault.panel_id,
            "name": "door",
            "board": "protocol",
            "firmware": "0.1.0",
            "time": int(time.time()),
            "time_source": 2,
            "uptime_s": 1,
            "residents": 1,
            "faces": len(vault.faces),
            "face_capacity": 500,
            "maintenance": False,
            "memory": {},
            "receipts_waiting": vault.waiting(),
            "log_next": vault.sequence + 1,
        }

    def set_time(self, time: int) -> dict[str, Any]:
        return {"time": time}

    def wipe_face(self, handle: bytes, reason: str) -> dict[str, Any]:
        receipt = self._vault.wipe(handle, reason)
        if receipt is None:
            raise NotFound("no face of this resident is stored on this panel")
        return {"receipt": receipt}

    def consent_withdraw(self, handle: bytes) -> dict[str, Any]:
        receipt = self._vault.wipe(handle, "withdrawn")
        return {"state": "withdrawn", "receipt": receipt} if receipt else {"state": "withdrawn"}

    def consent_state(self, handle: bytes) -> dict[str, Any]:
        return {"state": "none"}

    def tombstones(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        return {"wiped": 0, "receipts_waiting": self._vault.waiting()}

    def receipts(self, since: int, limit: int) -> dict[str, Any]:
        vault = self._vault
        found = sorted(number for number in vault.receipts if number >= max(since, vault.acknowledged + 1))[:limit]
        following = found[-1] + 1 if found else since
        return {
            "receipts": [vault.receipts[number] for number in found],
            "next": following,
            "waiting": vault.waiting(),
        }

    def receipts_ack(self, upto: int) -> dict[str, Any]:
        if upto > self._vault.sequence:
            raise MenshenError("no receipt has this counter yet")
        self._vault.acknowledged = max(self._vault.acknowledged, upto)
        return {"waiting": self._vault.waiting()}


class Port(MqttPort):
    """`twice`: the network delivers everything twice, in both directions."""

    def __init__(self, login: Login, twice: bool, first_ms: int) -> None:
        super().__init__(login, os.urandom, delays_ms=(first_ms, 30_000), connect=_connect)
        self._twice = twice
        self.news = asyncio.Event()

    def _published(self, flags: int, body: bytes, size: int) -> None:
        super()._published(flags, body, size)
        if self._twice:
            super()._published(flags, body, size)
        self.news.set()

    def write(self, data: bytes) -> None:
        super().write(data)
        if self._twice:
            super().write(data)


class ProtocolPanel:
    """`cut_at`: "before" or "after" the first wipe's work it loses its power, once."""

    def __init__(
        self, vault: Vault, site_id: bytes, login: BrokerLogin, *, twice: bool = False, cut_at: str = ""
    ) -> None:
        self.vault = vault
        self._twice, self._cut_at = twice, cut_at
        tls = login.login.context() if login.address.scheme == "mqtts" else None
        self._login = Login(
            login.address.host,
            login.address.port,
            tls,
            login.address.host,
            vault.panel_id.hex(),
            login.login.user,
            login.login.password,
            f"menshen/{site_id.hex()}/{vault.panel_id.hex()}/",
        )
        self.port: Port | None = None
        self.restarts = 0

    async def run(self) -> None:
        """Until it is cancelled; a power cut is a restart with nothing but the vault."""
        while True:
            self.port = port = Port(self._login, self._twice, random.randint(200, 1500))
            connection = asyncio.create_task(port.run())
            try:
                await self._serve(port)
            except PowerCut:
                self.restarts += 1
            finally:
                connection.cancel()
                await asyncio.gather(connection, return_exceptions=True)
            await asyncio.sleep(random.uniform(0.5, 2.0))

    async def _serve(self, port: Port) -> None:
        server = Server((), Ring(self.vault), Commands(self.vault, self._cut), os.urandom)
        framer = Framer()
        while True:
            data = port.read()
            if not data:
                port.news.clear()
                await port.news.wait()
                continue
            for line in framer.feed(data):
                reply = await server.answer(line)
                if reply:
                    port.write(reply)
            await asyncio.sleep(0)

    def _cut(self, when: str) -> None:
        if self._cut_at == when and (when == "before" or self.vault.receipts):
            self._cut_at = ""
            raise PowerCut


async def tend(panels: list[ProtocolPanel]) -> None:
    """What the supervisor's round does for a real panel's connection."""
    while True:
        for panel in panels:
            if panel.port:
                panel.port.tend()
        await asyncio.sleep(_TEND_S)


async def _connect(
    host: str, port: int, ssl: ssl.SSLContext | None = None, server_hostname: str | None = None
) -> tuple[asyncio.StreamReader, _Writer]:
    reader, writer = await asyncio.open_connection(host, port, ssl=ssl, server_hostname=server_hostname)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return reader, _Writer(writer)


class _Writer:
    """CPython's says good-bye at the end of a TLS connection and waits for the other's, as MicroPython's does not."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.write, self.drain = writer.write, writer.drain

    def close(self) -> None:
        self._writer.transport.abort()

    async def wait_closed(self) -> None: ...
