"""A 240x320 screen of 16 colours, kept whole in RAM and sent when shown."""

import framebuf

from firmware.hal.virtual import wire


class VirtualDisplay:
    width = 240
    height = 320

    def __init__(self, bus):
        self._bus = bus
        self._buf = bytearray(self.width * self.height // 2)
        self.fb = framebuf.FrameBuffer(self._buf, self.width, self.height, framebuf.GS4_HMSB)

    def show(self) -> None:
        self._bus.call(wire.DISPLAY, self._buf)
