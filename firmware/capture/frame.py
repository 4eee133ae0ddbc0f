"""The one frame buffer: allocated at start, filled for an attempt, zeroed after it."""

import framebuf

from firmware.base.compat import const
from firmware.base.errors import CameraError, HalError

WIDTH = const(320)
HEIGHT = const(240)


class Capture:
    """Use as a context manager around one attempt: leaving it zeroes the frame, whatever happened inside.

    with capture:
        frame = capture.take()
    """

    def __init__(self, camera):
        self._camera = camera
        self._buf = bytearray(WIDTH * HEIGHT)
        self._fb = framebuf.FrameBuffer(self._buf, WIDTH, HEIGHT, framebuf.GS8)
        self._view = memoryview(self._buf)

    def take(self) -> memoryview:
        """A fresh 320x240 grey frame, rows from the top. The view is always the same one, overwritten by the
        next call. One failure restarts the sensor and tries again; CameraError when that fails too."""
        try:
            self._camera.capture_into(self._buf)
        except CameraError:
            self._restart()
            self._camera.capture_into(self._buf)
        return self._view

    def zero(self) -> None:
        self._fb.fill(0)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.zero()

    def _restart(self) -> None:
        try:
            self._camera.power(False)
            self._camera.power(True)
        except HalError as error:
            raise CameraError(str(error))  # noqa: B904  MicroPython does not chain exceptions
