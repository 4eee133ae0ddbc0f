"""The simulator's end of the hardware bus (firmware/hal/virtual/wire.py): a World for one panel at a time."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

from firmware.hal.virtual import wire
from host_tools.sim.world import Fault, World

_DISPLAY_BYTES = 240 * 320 // 2


class BusServer:
    """Listens on a free loopback port; `address` goes into the panel's MENSHEN_WORLD."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._panel: socket.socket | None = None
        self._queries = _queries(world)
        self._actions = _actions(world)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name="bus", daemon=True).start()

    def disconnect(self) -> None:
        """Cuts the panel off; nothing that it had sent is carried out after this returns."""
        with self._lock:
            self._drop()

    def close(self) -> None:
        # Closing alone would not wake the thread in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.disconnect()

    def _drop(self) -> None:
        if self._panel:
            with contextlib.suppress(OSError):
                self._panel.shutdown(socket.SHUT_RDWR)
            self._panel = None

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._drop()
                self._panel = sock
            threading.Thread(target=self._serve, args=(sock,), name="bus panel", daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with sock, contextlib.suppress(OSError):
            while True:
                op, size = struct.unpack(wire.HEADER, _receive(sock, wire.HEADER_BYTES))
                if size > wire.MAX_BODY:
                    return
                body = _receive(sock, size)
                with self._lock:
                    if self._panel is not sock:
                        return
                    status, reply = self._answer(op, body)
                sock.sendall(struct.pack(wire.HEADER, status, len(reply)) + reply)
                if op == wire.RESET:
                    self._world.on_reset()

    def _answer(self, op: int, body: bytes) -> tuple[int, bytes]:
        try:
            if op in self._queries:
                return op, self._queries[op](body)
            if op in self._actions:
                self._actions[op](body)
                return op, b""
            return wire.FAILED, f"no such operation: {op:#x}".encode()
        except (Fault, ValueError, struct.error, IndexError) as error:
            return wire.FAILED, str(error).encode()


def _receive(sock: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = sock.recv(size - len(parts))
        if not part:
            raise ConnectionError("the panel hung up")
        parts += part
    return bytes(parts)


def _queries(world: World) -> dict[int, Callable[[bytes], bytes]]:
    return {
        wire.CAMERA: lambda body: world.expose().tobytes(),
        wire.KEYS: lambda body: world.take_keys().encode("ascii"),
        wire.NFC_POLL: lambda body: world.card_uid(),
        wire.NFC_APDU: world.card_transceive,
        wire.INPUTS: lambda body: bytes([world.inputs()]),
        wire.TIME_GET: lambda body: struct.pack("<QB", *world.now()),
        wire.RESET: lambda body: b"",
    }


def _actions(world: World) -> dict[int, Callable[[bytes], None]]:
    def show(body: bytes) -> None:
        if len(body) != _DISPLAY_BYTES:
            raise ValueError(f"the display has {_DISPLAY_BYTES} bytes, not {len(body)}")
        world.set_display(body)

    def set_repl(on: int, seconds: int) -> None:
        world.set_repl(bool(on), float(seconds))

    return {
        wire.POWER: lambda body: world.set_camera_power(bool(body[0])),
        wire.EXPOSE: lambda body: world.set_exposure(struct.unpack("<b", body)[0]),
        wire.DISPLAY: show,
        wire.LOCK: lambda body: world.set_lock(bool(body[0])),
        wire.BUZZER: lambda body: world.buzz(body.decode("ascii")),
        wire.LIGHT: lambda body: world.shine(body.decode("ascii")),
        wire.TIME_SET: lambda body: world.set_time(struct.unpack("<Q", body)[0]),
        wire.REPL: lambda body: set_repl(*struct.unpack("<BI", body)),
        wire.WATCHDOG: lambda body: world.feed_watchdog(struct.unpack("<I", body)[0]),
    }
