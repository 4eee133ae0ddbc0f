"""The simulator's battery-backed clock, which tests can step."""

import struct

from firmware.hal.virtual import wire


class VirtualClock:
    def __init__(self, bus):
        self._bus = bus

    def now(self) -> tuple:
        return struct.unpack("<QB", self._bus.call(wire.TIME_GET))

    def set(self, unix: int) -> None:
        self._bus.call(wire.TIME_SET, struct.pack("<Q", unix))

    def battery_low(self) -> bool:
        return bool(self._bus.call(wire.INPUTS)[0] & wire.BATTERY_LOW)
