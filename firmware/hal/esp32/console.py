"""The serial port that the link shares with the REPL: USB-Serial-JTAG and UART0 alike, as MicroPython merges them."""

import select
import sys

from micropython import kbd_intr

from firmware.base.compat import const

# The port has no read-what-is-there call: bytes come one by one, and this bounds one call's share of the time.
_READ_MAX = const(2048)
_CTRL_C = const(3)
_NEVER = const(-1)


class SerialConsole:
    """`on_repl(open)` is told whenever the way into the REPL opens or closes."""

    def __init__(self, on_repl=None):
        self._byte = bytearray(1)
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._on_repl = on_repl
        self.repl_open = True

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
        # The buffer sends bytes as they are; the text stream above it would turn \n into \r\n.
        sys.stdout.buffer.write(data)

    def open_repl(self, on: bool) -> None:
        kbd_intr(_CTRL_C if on else _NEVER)
        self.repl_open = on
        if self._on_repl:
            self._on_repl(on)
