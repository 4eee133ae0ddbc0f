"""The one frame buffer: allocated at start, filled for an attempt, zeroed after it."""

from firmware.base.compat import const
from firmware.base.errors import CameraError, HalError
from firmware.base.integers import isqrt

WIDTH = const(320)
HEIGHT = const(240)
_SAMPLE = const(7)  # every so many pixels; shares no factor with a row's length


class Capture:
    """`frame` is a view of the buffer: 320x240 grey, rows from the top, overwritten by each `take`."""

    def __init__(self, camera):
        self._camera = camera
        self._buf = bytearray(WIDTH * HEIGHT)
        self.frame = memoryview(self._buf)

    def take(self) -> None:
        """Fills `frame`. One failure restarts the sensor and tries again; CameraError when that fails too."""
        try:
            self._camera.capture_into(self._buf)
        except CameraError:
            self._restart()
            self._camera.capture_into(self._buf)

    def _restart(self) -> None:
        try:
            self._camera.power(False)
            self._camera.power(True)
        except HalError as error:
            raise CameraError(str(error))


def light(frame) -> tuple:
    """Mean and standard deviation of a sample of the pixels."""
    count = total = squares = 0
    for i in range(0, len(frame), _SAMPLE):
        pixel = frame[i]
        count += 1
        total += pixel
        squares += pixel * pixel
    return total // count, isqrt((count * squares - total * total) // (count * count))
