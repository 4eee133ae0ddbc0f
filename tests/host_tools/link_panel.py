"""A small panel for the link's tests, run by MicroPython: the firmware's link server with a handler of its own.

Arguments: the file that stands for its flash, and the loopback port that stands for its serial line's other end.
"""

import asyncio
import json
import os
import select
import socket
import sys

from firmware.base.errors import ConsentError, NotFound, VaultFull
from firmware.crypto import ed25519, x25519
from firmware.link import handshake
from firmware.link.server import Server


class Ring:
    """The server's persistent state."""

    def __init__(self, path: str):
        self._path = path
        try:
            with open(path) as file:
                self.state = json.load(file)
        except OSError:
            self.state = {"key": None, "confirmed": False, "counter": 0, "calls": []}

    def save(self) -> None:
        with open(self._path + ".new", "w") as file:
            json.dump(self.state, file)
        os.rename(self._path + ".new", self._path)

    def link_key(self):
        return bytes.fromhex(self.state["key"]) if self.state["key"] else None

    def confirmed(self) -> bool:
        return self.state["confirmed"]

    def confirm(self) -> None:
        self.state["confirmed"] = True
        self.save()

    def counter(self) -> int:
        return self.state["counter"]

    def set_counter(self, value: int) -> None:
        self.state["counter"] = value
        self.save()


class Console:
    def __init__(self, port: int):
        self._socket = socket.socket()
        self._socket.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def read(self) -> bytes:
        if not self._poll.poll(0):
            return b""
        data = self._socket.recv(4096)
        if not data:
            sys.exit()
        return data

    def write(self, data: bytes) -> None:
        self._socket.write(data)


class Handler:
    """Enough of a panel: it provisions, and notes every call that got through."""

    def __init__(self, ring: Ring):
        self._ring = ring

    def __call__(self, op: str, fields: dict):
        if op != "hello":
            self._ring.state["calls"].append(op)
            self._ring.save()
        return getattr(self, op)(**fields)

    def hello(self) -> dict:
        state = self._ring.state
        answer = {"board": "test", "firmware": "0", "provisioned": state["confirmed"]}
        if state["key"]:
            answer["panel_id"], answer["device_pub"] = state["panel_id"], state["device_pub"]
        return answer

    def provision(self, host_pub, site, name, time) -> dict:
        seed, secret, panel_id = os.urandom(32), os.urandom(32), os.urandom(8)
        device_pub, panel_pub = ed25519.public_key(seed), x25519.x25519(secret, x25519.BASE)
        key = handshake.link_key(x25519.x25519(secret, host_pub), host_pub, panel_pub, device_pub)
        self._ring.state.update({"key": key.hex(), "panel_id": panel_id.hex(), "device_pub": device_pub.hex()})
        self._ring.save()
        message = handshake.signed_message(panel_id, device_pub, panel_pub, host_pub)
        return {
            "panel_id": panel_id,
            "device_pub": device_pub,
            "panel_pub": panel_pub,
            "sig": ed25519.sign(seed, message),
        }

    def set_time(self, time: int) -> dict:
        return {"time": time}

    def resident_put(self, flat: str, **fields) -> dict:
        if flat == "666":
            raise VaultFull("there is no room")
        return {}

    async def maintenance_end(self) -> dict:
        await asyncio.sleep(1.5)  # longer than the client's patience in the test
        return {}

    def enrol_put(self, **fields) -> dict:
        raise ConsentError("this panel holds no consent")

    def wipe_face(self, **fields) -> dict:
        raise NotFound("no such face")

    def set_policy(self) -> dict:
        raise ValueError("a secret")

    def events(self, since: int, limit: int) -> dict:
        return {"events": [{"text": "x" * 9000}], "next": 1}

    def consent_state(self, handle: bytes) -> dict:
        return {"state": "surprised"}

    def log(self, since: int, limit: int) -> dict:
        return {"entries": [], "next": 0, "calls": self._ring.state["calls"]}


def main() -> None:
    ring, console = Ring(sys.argv[1]), Console(int(sys.argv[2]))
    console.write(b"panel: started\r\n")
    asyncio.run(Server([console], ring, Handler(ring), os.urandom).run())


main()
