"""The process's standard streams, which the simulator's relay serves as the serial port."""

import struct

from firmware.base.compat import const
from firmware.hal.stdio import StdioPort
from firmware.hal.virtual import wire

_GRACE_S = const(2)  # the app, where it still runs, ends it in order


class VirtualConsole(StdioPort):
    def __init__(self, bus):
        super().__init__()
        self._bus = bus
        self.repl_open = True

    def open_repl(self, on: bool, seconds: int = 0) -> None:
        self.repl_open = on
        self._bus.call(wire.REPL, struct.pack("<BI", on, seconds + _GRACE_S if seconds else 0))
