"""Wall-clock time: the chip's own clock, a battery-backed DS3231 where one answers, and NTP."""

import time

from machine import RTC

from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.hal.api import TIME_RTC, TIME_SET, TIME_UNKNOWN

_BUILT = const(1_735_689_600)  # 2025-01-01: a clock that says less was never set
_LATEST = const(4_102_444_800)  # 2100-01-01: nor one that says more
_DS3231 = const(0x68)
_STATUS = const(0x0F)
_STOPPED = const(0x80)  # the oscillator was without power since the time was last set
_NTP_STEP_S = const(300)  # how far NTP may move a time that somebody has set


class Esp32Clock:
    """The chip's clock runs through a soft reset and stops without power; `rtc` is a Ds3231 or None."""

    def __init__(self, rtc=None):
        self._rtc = rtc
        self._battery_low = False
        # MicroPython's epoch is 2000 on this port, 1970 elsewhere.
        self._epoch = 0 if time.gmtime(0)[0] == 1970 else 946_684_800
        self._source = TIME_RTC if self._believable(self._now()) else TIME_UNKNOWN
        if rtc:
            self._take(rtc)

    def now(self) -> tuple:
        return self._now(), self._source

    def set(self, unix: int) -> None:
        self._run_from(unix)
        self._source = TIME_SET
        if self._rtc:
            try:
                self._rtc.write(time.gmtime(unix - self._epoch))
            except OSError as error:
                raise HalError("the battery-backed clock does not answer: %s" % error)

    def battery_low(self) -> bool:
        """Known at the start only: the battery-backed clock had stopped, so its battery is empty, or it is new."""
        return self._battery_low

    def correct(self, unix: int) -> bool:
        """Time from NTP, which anybody on the network can forge: it sets an unknown time, and moves a known one by
        a few minutes at most. Whether it was taken."""
        if not self._believable(unix):
            return False
        if self._source != TIME_UNKNOWN and abs(unix - self._now()) > _NTP_STEP_S:
            return False
        self.set(unix)
        return True

    def _take(self, rtc) -> None:
        try:
            fields = rtc.read()
        except (OSError, ValueError):
            return
        self._battery_low = fields is None
        if fields:
            unix = time.mktime(fields) + self._epoch
            if self._believable(unix):
                self._run_from(unix)
                self._source = TIME_RTC

    def _now(self) -> int:
        return int(time.time()) + self._epoch

    def _run_from(self, unix: int) -> None:
        t = time.gmtime(unix - self._epoch)
        RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))

    def _believable(self, unix: int) -> bool:
        return _BUILT <= unix < _LATEST


class Ds3231:
    """Registers of the DS3231 datasheet, figure 1; 24-hour format; UTC."""

    def __init__(self, i2c):
        self._i2c = i2c
        self._buf = bytearray(7)
        try:
            i2c.readfrom_mem(_DS3231, _STATUS, 1)
        except OSError:
            raise HalError("no DS3231 answers")

    def read(self):
        """(year, month, day, hour, minute, second, weekday, yearday) as time.mktime takes it, or None: not set."""
        if self._i2c.readfrom_mem(_DS3231, _STATUS, 1)[0] & _STOPPED:
            return None
        self._i2c.readfrom_mem_into(_DS3231, 0, self._buf)
        b = self._buf
        hour = _decimal(b[2] & 0x3F)
        return 2000 + _decimal(b[6]), _decimal(b[5] & 0x1F), _decimal(b[4]), hour, _decimal(b[1]), _decimal(b[0]), 0, 0

    def write(self, t) -> None:
        fields = (t[5], t[4], t[3], t[6] + 1, t[2], t[1], t[0] - 2000)
        self._i2c.writeto_mem(_DS3231, 0, bytes([value // 10 << 4 | value % 10 for value in fields]))
        status = self._i2c.readfrom_mem(_DS3231, _STATUS, 1)[0]
        self._i2c.writeto_mem(_DS3231, _STATUS, bytes([status & ~_STOPPED & 0xFF]))


def _decimal(bcd: int) -> int:
    if bcd & 0x0F > 9 or bcd >> 4 > 9:
        raise ValueError("not BCD")
    return (bcd >> 4) * 10 + (bcd & 0x0F)
