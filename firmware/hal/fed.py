"""A camera for boards without a sensor: frames come over the link (the operation `feed`), for benches, emulators and
the self-test. Never beside a sensor: whoever feeds frames decides what the panel sees.
"""

from firmware.base.buffers import zero
from firmware.base.errors import BadRequest, CameraError
from firmware.hal.api import FRAME_BYTES


class FedCamera:
    """One frame, taken in parts; once whole it is captured `uses` times and then zeroed."""

    def __init__(self):
        self._frame = bytearray(FRAME_BYTES)
        self._filled = 0
        self._left = 0

    def feed(self, at: int, part, uses: int) -> bool:
        """The next part of a frame, from byte `at`; 0 begins a new one. True when it is whole."""
        if at == 0:
            self._forget()
        if at != self._filled or at + len(part) > FRAME_BYTES or not part:
            raise BadRequest("a frame's parts come in order, %d bytes in all" % FRAME_BYTES)
        self._frame[at : at + len(part)] = part
        self._filled += len(part)
        if self._filled < FRAME_BYTES:
            return False
        self._left = uses
        return True

    def power(self, on: bool) -> None:
        if not on:
            self._forget()

    def expose(self, level: int) -> None:
        """What is fed is exposed already."""

    def capture_into(self, buf: bytearray) -> None:
        if not self._left:
            raise CameraError("no frame was fed")
        buf[:] = self._frame
        self._left -= 1
        if not self._left:
            self._forget()

    def _forget(self) -> None:
        self._left = self._filled = 0
        zero(self._frame)
