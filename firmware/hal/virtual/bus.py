"""The panel's end of the virtual hardware's bus: one request at a time over a loopback socket."""

import socket
import struct

from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.hal.virtual import wire

_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)


class Bus:
    """`address` is "HOST:PORT". Connects at the first call, and anew after any failure, so that a reply that
    came too late can never be taken for the next one's."""

    def __init__(self, address: str, timeout_ms: int = 3000):
        host, port = address.rsplit(":", 1)
        self._address = (host, int(port))
        self._timeout_ms = timeout_ms
        self._sock = None
        self._header = bytearray(wire.HEADER_BYTES)

    def call(self, op: int, body: bytes = b"") -> bytes:
        try:
            size = self._exchange(op, body)
            reply = self._sock.read(size) if size else b""
            if len(reply) != size:
                raise OSError("short reply")
        except OSError as error:
            self._fail(error)
        except BaseException:
            self.close()  # Ctrl-C in the middle of an exchange
            raise
        return self._checked(reply)

    def call_into(self, op: int, buf: bytearray) -> None:
        """As `call`, but the reply must fill `buf` exactly and nothing is allocated for it."""
        try:
            size = self._exchange(op, b"")
            reply = b""
            if self._header[0] == wire.FAILED:
                reply = self._sock.read(size)
            elif size != len(buf) or self._sock.readinto(buf) != size:
                raise OSError("%d bytes do not fill %d" % (size, len(buf)))
        except OSError as error:
            self._fail(error)
        except BaseException:
            self.close()
            raise
        self._checked(reply)

    def close(self) -> None:
        if self._sock:
            self._sock.close()
            self._sock = None

    def _connect(self):
        sock = socket.socket()
        try:
            sock.connect(socket.getaddrinfo(*self._address)[0][-1])
            sock.settimeout(self._timeout_ms / 1000)
            sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        except OSError:
            sock.close()
            raise
        return sock

    def _exchange(self, op: int, body: bytes) -> int:
        if self._sock is None:
            self._sock = self._connect()
        struct.pack_into(wire.HEADER, self._header, 0, op, len(body))
        self._sock.write(self._header)
        if body:
            self._sock.write(body)
        if self._sock.readinto(self._header) != wire.HEADER_BYTES:
            raise OSError("no reply")
        status, size = struct.unpack(wire.HEADER, self._header)
        if status not in (op, wire.FAILED) or size > wire.MAX_BODY:
            raise OSError("not a reply")
        return size

    def _checked(self, reply: bytes) -> bytes:
        if self._header[0] == wire.FAILED:
            raise HalError(str(reply, "utf-8"))
        return reply

    def _fail(self, error):
        self.close()
        raise HalError("hardware bus: %s" % error)
