"""One buffer, filled in place, and one retry."""

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


def refused(capture):
    try:
        capture.take()
    except CameraError:
        return True
    return False


def test_a_frame_fills_the_one_buffer():
    capture = Capture(Sensor())
    frame = capture.frame
    assert len(frame) == WIDTH * HEIGHT and not any(frame)
    capture.take()
    assert frame[0] == 7 and frame[-1] == 7
    capture.take()
    assert frame[0] == 0


def test_one_failure_restarts_the_sensor():
    sensor = Sensor(failures=1)
    capture = Capture(sensor)
    capture.take()
    assert capture.frame[0] == 7 and sensor.switched == [False, True]


def test_two_failures_are_an_error_and_the_next_frame_may_come():
    capture = Capture(Sensor(failures=2))
    assert refused(capture)
    capture.take()
    assert capture.frame[0] == 7


def test_a_sensor_that_cannot_be_switched_is_a_camera_error():
    assert refused(Capture(DeadPower(failures=1)))


def test_taking_a_frame_allocates_nothing():
    capture = Capture(Sensor())
    micropython.heap_lock()
    try:
        capture.take()
    finally:
        micropython.heap_unlock()
