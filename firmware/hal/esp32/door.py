"""Lock relay, door contact, exit button, tamper switch and buzzer on GPIO pins."""

from machine import PWM, Pin, Timer

from firmware.base.compat import const
from firmware.base.ticks import ticks_diff, ticks_ms

_SETTLE_MS = const(20)  # contacts of switches bounce for up to 10 ms
_LOUD = const(32768)  # half of a PWM period

# (Hz, ms) in a row; 0 Hz is silence
_TONES = {
    "key": ((2400, 30),),
    "granted": ((1600, 120), (2400, 180)),
    "denied": ((700, 180), (0, 80), (500, 260)),
    "alarm": ((2800, 250), (2000, 250)) * 20,
    "off": (),
}


def input_pin(number: int):
    return Pin(number, Pin.IN, Pin.PULL_UP)


class RelayLock:
    """High releases. In reset the pin floats and the relay's input is pulled low: the door stays locked."""

    def __init__(self, pin: int):
        self._pin = Pin(pin, Pin.OUT, value=0)

    def release(self, on: bool) -> None:
        self._pin.value(1 if on else 0)


class Contact:
    """A switch to ground, on a pin with pull-up (machine.Pin, or an expander's). A change counts when it has lasted
    _SETTLE_MS, seen at two calls of `made` at least."""

    def __init__(self, pin):
        self._pin = pin
        self._stable = self._seen = self._pin.value()
        self._since = ticks_ms()

    def made(self) -> bool:
        level, now = self._pin.value(), ticks_ms()
        if level != self._seen:
            self._seen, self._since = level, now
        elif level != self._stable and ticks_diff(now, self._since) >= _SETTLE_MS:
            self._stable = level
        return self._stable == 0


class DoorContact(Contact):
    """Made while the door is closed: a cut wire reads as an open door."""

    def closed(self) -> bool:
        return self.made()


class ExitButton(Contact):
    def pressed(self) -> bool:
        return self.made()


class TamperSwitch(Contact):
    """Made while the case is closed: a cut wire reads as an open case."""

    def open(self) -> bool:
        return not self.made()


class FireContact(Contact):
    """Made while there is no alarm, as fire alarm systems give it: a cut wire reads as an alarm."""

    def alarm(self) -> bool:
        return not self.made()


class NoTamperSwitch:
    """For boards whose pins do not suffice for one."""

    def open(self) -> bool:
        return False


class Buzzer:
    """A passive buzzer; tones play on a hardware timer while the app goes on."""

    def __init__(self, pin: int, timer: int = 0):
        self._pwm = PWM(Pin(pin), freq=2000, duty_u16=0)
        self._timer = Timer(timer)
        self._tones = ()
        self._at = 0

    def tone(self, name: str) -> None:
        self._timer.deinit()
        self._tones, self._at = _TONES[name], 0
        self._next(None)

    def _next(self, _) -> None:
        if self._at >= len(self._tones):
            self._pwm.duty_u16(0)
            return
        hertz, ms = self._tones[self._at]
        self._at += 1
        if hertz:
            self._pwm.freq(hertz)
        self._pwm.duty_u16(_LOUD if hertz else 0)
        self._timer.init(mode=Timer.ONE_SHOT, period=ms, callback=self._next)


class NoBuzzer:
    def tone(self, name: str) -> None:
        pass
