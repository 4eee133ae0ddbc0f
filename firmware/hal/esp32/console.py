"""The serial port that the link shares with the REPL: USB-Serial-JTAG and UART0 alike, as MicroPython merges them."""

from micropython import kbd_intr

from firmware.base.compat import const
from firmware.hal.stdio import StdioPort

_CTRL_C = const(3)
_NEVER = const(-1)


class SerialConsole(StdioPort):
    """`on_repl(open, seconds)` is told whenever the way into the REPL opens or closes."""

    def __init__(self, on_repl=None):
        super().__init__()
        self._on_repl = on_repl
        self.repl_open = True

    def open_repl(self, on: bool, seconds: int = 0) -> None:
        kbd_intr(_CTRL_C if on else _NEVER)
        self.repl_open = on
        if self._on_repl:
            self._on_repl(on, seconds)
