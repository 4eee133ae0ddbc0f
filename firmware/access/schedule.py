"""Weekly opening hours: pure arithmetic on Unix seconds, no calendar library, the same on the panel and the
host.

A window is (days, start, end): a bitmap of weekdays (bit 0 is Monday) and minutes of the local day, start
included, end excluded. An end at or before the start runs past midnight and belongs to the day on which it
starts. A holiday is no weekday: only windows with HOLIDAY among their days are open on it, and the one that
is always open.
"""

from firmware.base.compat import const
from firmware.base.errors import BadRequest

_DAY_MINUTES = const(1440)
_ALL_DAYS = const(0x7F)
HOLIDAY = 0x80
_WINDOW_BYTES = const(5)  # days u8, start u16 LE, end u16 LE
_EPOCH_WEEKDAY = const(3)  # 1 January 1970 was a Thursday

MAX_WINDOWS = const(16)


def local_minute(now: int, utc_offset_min: int) -> tuple:
    """(day since 1 January 1970, minute of the day) at `now`, Unix seconds, in the site's time zone."""
    minutes = now // 60 + utc_offset_min
    return minutes // _DAY_MINUTES, minutes % _DAY_MINUTES


def _bit(day: int, holidays) -> int:
    return HOLIDAY if day in holidays else 1 << (day + _EPOCH_WEEKDAY) % 7


def _checked(window) -> tuple:
    days, start, end = window
    for value in (days, start, end):
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadRequest("A schedule window needs whole numbers")
    if not (0 < days <= _ALL_DAYS | HOLIDAY and 0 <= start < _DAY_MINUTES and 0 < end <= _DAY_MINUTES):
        raise BadRequest("A schedule window is out of range")
    return days, start, end


class Schedule:
    """The hours of one resident. Without any window it never opens: hours must be given, `always()`
    included.
    """

    def __init__(self, windows=()):
        """`windows`: (days, start, end) triples; BadRequest when one cannot be."""
        try:
            self.windows = tuple(_checked(window) for window in windows)
        except (TypeError, ValueError):
            raise BadRequest("A schedule is a list of (days, start, end)") from None
        if len(self.windows) > MAX_WINDOWS:
            raise BadRequest("A schedule has at most %d windows" % MAX_WINDOWS)

    @staticmethod
    def always() -> "Schedule":
        return Schedule(((_ALL_DAYS, 0, _DAY_MINUTES),))

    @staticmethod
    def unpack(data) -> "Schedule":
        if len(data) % _WINDOW_BYTES:
            raise BadRequest("A packed schedule has a broken length")
        windows = []
        for at in range(0, len(data), _WINDOW_BYTES):
            start = data[at + 1] | data[at + 2] << 8
            end = data[at + 3] | data[at + 4] << 8
            windows.append((data[at], start, end))
        return Schedule(windows)

    def pack(self) -> bytes:
        out = bytearray()
        for days, start, end in self.windows:
            out.extend(bytes((days, start & 255, start >> 8, end & 255, end >> 8)))
        return bytes(out)

    @property
    def is_always(self) -> bool:
        """True when no clock is needed to know that it is open."""
        return (_ALL_DAYS, 0, _DAY_MINUTES) in self.windows

    def is_open(self, now: int, utc_offset_min: int, holidays=()) -> bool:
        """`holidays`: local days since 1 January 1970."""
        if self.is_always:
            return True
        day, minute = local_minute(now, utc_offset_min)
        today, yesterday = _bit(day, holidays), _bit(day - 1, holidays)
        for days, start, end in self.windows:
            if start < end:
                if days & today and start <= minute < end:
                    return True
            elif (days & today and minute >= start) or (days & yesterday and minute < end):
                return True
        return False
