"""The process's or board's standard streams as the serial port that the link shares with the REPL."""

import select
import sys

from firmware.base.compat import const

# The port has no read-what-is-there call: bytes come one by one, and this bounds one call's share of the time.
_READ_MAX = const(2048)


class StdioPort:
    """`read` and `write` of api.Console; a board adds how Ctrl-C is let through."""

    def __init__(self):
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
        # The buffer sends bytes as they are; the text stream above it would turn \n into \r\n on a board.
        sys.stdout.buffer.write(data)
