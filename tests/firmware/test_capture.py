"""One buffer, one retry, and nothing left of the picture afterwards."""

import micropython

from firmware.base.errors import CameraError, HalError
from firmware.capture.frame import HEIGHT, WIDTH, Capture


class Sensor:
    """Fails as often as told, then fills the frame with a rising value."""

    def __init__(self, failures=0):
        self.failures = failures
        self.exposures = 0
        self.switched = []

    def power(self, on):
        self.switched.append(on)

    def capture_into(self, buf):
        if self.failures:
            self.failures -= 1
            buf[0] = 0xEE
            raise CameraError("no frame")
        self.exposures += 1
        buf[:] = FRAMES[self.exposures & 1]


class DeadPower(Sensor):
    def power(self, on):
        raise HalError("no power rail")


FRAMES = (bytes(WIDTH * HEIGHT), bytes([7]) * (WIDTH * HEIGHT))


def expect_camera_error(capture):
    try:
        with capture:
            capture.take()
    except CameraError:
        return
    raise AssertionError("took a frame")


def test_a_frame_and_then_nothing_of_it():
    with Capture(Sensor()) as capture:
        frame = capture.take()
        assert len(frame) == WIDTH * HEIGHT and frame[0] == 7 and frame[-1] == 7
    assert bytes(frame) == bytes(WIDTH * HEIGHT)


def test_one_failure_restarts_the_sensor():
    sensor = Sensor(failures=1)
    with Capture(sensor) as capture:
        assert capture.take()[0] == 7
    assert sensor.switched == [False, True]


def test_two_failures_are_an_error_and_the_buffer_is_zeroed():
    capture = Capture(Sensor(failures=2))
    expect_camera_error(capture)
    assert bytes(capture._view) == bytes(WIDTH * HEIGHT)
    with capture:
        assert capture.take()[0] == 7


def test_a_sensor_that_cannot_be_switched_is_a_camera_error():
    expect_camera_error(Capture(DeadPower(failures=1)))


def test_zeroed_when_the_attempt_is_cut_short():
    capture = Capture(Sensor())
    try:
        with capture:
            frame = capture.take()
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert bytes(frame) == bytes(WIDTH * HEIGHT)


def test_an_attempt_allocates_nothing():
    capture = Capture(Sensor())
    micropython.heap_lock()
    try:
        with capture:
            capture.take()
    finally:
        micropython.heap_unlock()
