"""A network between a panel or host and its broker that a test can cut, delay, or have lie, packet by packet."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from firmware.link.mqtt import Packets, packet

# (kind, flags, body) of an MQTT packet to the whole packets that pass instead
Spoil = Callable[[int, int, bytes], list[bytes]]


def honest(kind: int, flags: int, body: bytes) -> list[bytes]:
    return [packet(kind << 4 | flags, body)]


class Line:
    """`to_client` and `to_broker` change what passes. While `up` is clear nothing new is connected."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.to_client: Spoil = honest
        self.to_broker: Spoil = honest
        self.up = threading.Event()
        self.up.set()
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.up.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def say(self, data: bytes) -> None:
        """To every client, as if the broker had."""
        with self._lock:
            for client, _ in self._pairs:
                with contextlib.suppress(OSError):
                    client.sendall(data)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self.up.wait()
        try:
            broker = socket.create_connection(("127.0.0.1", self._broker_port))
        except OSError:
            client.close()
            return
        for end in (client, broker):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._pairs.append((client, broker))
        threading.Thread(target=self._pump, args=(client, broker, True), daemon=True).start()
        self._pump(broker, client, False)

    def _pump(self, source: socket.socket, sink: socket.socket, to_broker: bool) -> None:
        packets = Packets()
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                for kind, flags, body, _ in packets.feed(data):
                    spoil = self.to_broker if to_broker else self.to_client
                    for passing in spoil(kind, flags, body):
                        sink.sendall(passing)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
