"""Watchdog, reset, entropy and the heap's figures."""

import os
import struct
import time

from firmware.base.errors import HalError
from firmware.hal.virtual import wire


class VirtualWatchdog:
    # Of the panel's own processor time: a busy PC may starve it for much longer.
    timeout_ms = 700

    def __init__(self, bus):
        self._bus = bus

    def feed(self) -> None:
        self._bus.call(wire.WATCHDOG, struct.pack("<I", self.timeout_ms))

    def relax(self) -> None:
        """Nothing takes a PC's processor that long."""


def entropy(n: int) -> bytes:
    """The operating system's generator, which is itself fed from several sources."""
    return os.urandom(n)


def reset(bus) -> None:
    try:
        bus.call(wire.RESET)
    except HalError:
        pass  # the simulator kills this process, and with it the reply
    while True:
        time.sleep_ms(100)
