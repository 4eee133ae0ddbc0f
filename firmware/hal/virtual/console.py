"""The process's standard streams, which the simulator's relay serves as the serial port."""

from firmware.hal.stdio import StdioPort
from firmware.hal.virtual import wire


class VirtualConsole(StdioPort):
    def __init__(self, bus):
        super().__init__()
        self._bus = bus

    def open_repl(self, on: bool) -> None:
        self._bus.call(wire.REPL, b"\x01" if on else b"\x00")
