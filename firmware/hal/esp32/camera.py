"""Frames from a sensor on the board's camera port.

The `camera` module is that of the micropython-camera-API project, in the images of boards with a camera.
"""

import uctypes

from firmware.base.buffers import zero
from firmware.base.errors import CameraError
from firmware.hal.api import FRAME_BYTES


class SensorCamera:
    """`pins` as the module's constructor names them: data_pins, vsync_pin, href_pin, pclk_pin, xclk_pin, sda_pin,
    scl_pin, and reset_pin where there is one. xclk_pin -1: the board clocks the sensor itself.

    One frame buffer, filled when empty: the driver takes a frame only after `capture` gave the previous one back, so
    each frame is fresh, and the one it still holds has been zeroed here."""

    def __init__(self, pins: dict, vflip: bool = False, hmirror: bool = False, xclk_hz: int = 20_000_000):
        self._pins = pins
        self._flips = (("vflip", vflip), ("hmirror", hmirror))
        self._xclk_hz = xclk_hz
        self._sensor = None
        self._level = 0
        self.power(True)

    def power(self, on: bool) -> None:
        if on and self._sensor is None:
            self._sensor = self._opened()
        elif not on and self._sensor is not None:
            sensor, self._sensor = self._sensor, None
            try:
                sensor.deinit()
            except OSError as error:
                raise CameraError("the sensor does not stop: %s" % error)

    def expose(self, level: int) -> None:
        self._level = level
        if self._sensor is not None:
            _set(self._sensor, "ae_level", level)

    def capture_into(self, buf: bytearray) -> None:
        if self._sensor is None:
            raise CameraError("the camera is off")
        try:
            frame = self._sensor.capture()
        except OSError as error:
            raise CameraError("the sensor gives no frame: %s" % error)
        if frame is None:
            raise CameraError("the sensor gives no frame")
        if len(frame) != FRAME_BYTES:
            raise CameraError("a frame of %d bytes" % len(frame))
        buf[:] = frame
        _wipe(frame)

    def _opened(self):
        try:
            from camera import Camera, FrameSize, GrabMode, PixelFormat
        except ImportError:
            raise CameraError("this MicroPython image has no camera module")
        try:
            sensor = Camera(
                pixel_format=PixelFormat.GRAYSCALE,
                frame_size=FrameSize.QVGA,
                fb_count=1,
                grab_mode=GrabMode.WHEN_EMPTY,
                xclk_freq=self._xclk_hz,
                **self._pins,
            )
            for name, on in self._flips:
                if on:
                    _set(sensor, name, True)
            if self._level:
                _set(sensor, "ae_level", self._level)
        except OSError as error:
            raise CameraError("no sensor answers: %s" % error)
        return sensor


def _wipe(frame) -> None:
    """The module hands the driver's buffer out read-only; a frame must not outlive its use there either."""
    zero(uctypes.bytearray_at(uctypes.addressof(frame), len(frame)))


def _set(sensor, name: str, value) -> None:
    # Releases of 2025 have properties, earlier ones methods.
    method = getattr(sensor, "set_" + name, None)
    if method:
        method(value)
    else:
        setattr(sensor, name, value)
