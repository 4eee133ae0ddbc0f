"""The process's standard streams, which the simulator's relay serves as the serial port."""

import select
import sys

from firmware.base.compat import const
from firmware.hal.virtual import wire

# The port has no read-what-is-there call: bytes come one by one, and this bounds one call's share of the
# time.
_READ_MAX = const(2048)


class VirtualConsole:
    def __init__(self, bus):
        self._bus = bus
        self._byte = bytearray(1)
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    def read(self) -> bytes:
        got = None
        while self._poll.poll(0):
            if not sys.stdin.buffer.readinto(self._byte):
                break
            if got is None:
                got = bytearray()
            got.extend(self._byte)
            if len(got) == _READ_MAX:
                break
        return bytes(got) if got else b""

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)

    def open_repl(self, on: bool) -> None:
        self._bus.call(wire.REPL, b"\x01" if on else b"\x00")
