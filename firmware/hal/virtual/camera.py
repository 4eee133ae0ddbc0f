"""The sensor: each capture fetches a frame that the simulator renders afresh."""

import struct

from firmware.base.errors import CameraError, HalError
from firmware.hal.virtual import wire


class VirtualCamera:
    def __init__(self, bus):
        self._bus = bus

    def power(self, on: bool) -> None:
        self._bus.call(wire.POWER, b"\x01" if on else b"\x00")

    def expose(self, level: int) -> None:
        self._bus.call(wire.EXPOSE, struct.pack("<b", level))

    def capture_into(self, buf: bytearray) -> None:
        try:
            self._bus.call_into(wire.CAMERA, buf)
        except HalError as error:
            raise CameraError(str(error))
