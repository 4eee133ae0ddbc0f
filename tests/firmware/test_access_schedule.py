"""Weekly hours in the site's own time."""

from firmware.access.schedule import HOLIDAY, MAX_WINDOWS, Schedule, local_minute
from firmware.base.errors import BadRequest

MONDAY = 1704067200  # 1 January 2024, 00:00 UTC
HOUR = 3600
DAY = 24 * HOUR
MON, TUE, SUN = 1, 2, 64


def refuses(windows) -> bool:
    try:
        Schedule(windows)
    except BadRequest:
        return True
    return False


def test_weekdays_and_minutes_follow_the_time_zone():
    day = MONDAY // DAY
    assert local_minute(MONDAY, 0) == (day, 0)
    assert local_minute(MONDAY, 480) == (day, 480)
    assert local_minute(MONDAY, -1) == (day - 1, 1439)
    assert local_minute(MONDAY + 16 * HOUR, 480) == (day + 1, 0)
    for n in range(7):
        assert Schedule([(1 << n, 0, 1440)]).is_open(MONDAY + n * DAY, 0)
        assert not Schedule([(127 & ~(1 << n), 0, 1440)]).is_open(MONDAY + n * DAY, 0)


def test_a_holiday_is_no_weekday():
    new_year = MONDAY // DAY
    office, guard = Schedule([(127, 480, 1080)]), Schedule([(MON, 480, 1080), (HOLIDAY, 600, 720)])
    assert office.is_open(MONDAY + 10 * HOUR, 0) and not office.is_open(MONDAY + 10 * HOUR, 0, (new_year,))
    assert guard.is_open(MONDAY + 9 * HOUR, 0) and not guard.is_open(MONDAY + 9 * HOUR, 0, (new_year,))
    assert guard.is_open(MONDAY + 11 * HOUR, 0, (new_year,))
    assert not guard.is_open(MONDAY + 35 * HOUR, 0, (new_year,)), "Tuesday is none"
    night = Schedule([(HOLIDAY, 1320, 360)])
    assert night.is_open(MONDAY + 29 * HOUR, 0, (new_year,)) and not night.is_open(MONDAY + 5 * HOUR, 0, (new_year,))
    assert Schedule.always().is_open(MONDAY, 0, (new_year,)), "those who live here come home on holidays too"
    assert Schedule.unpack(guard.pack()).windows == guard.windows


def test_a_window_holds_its_start_and_not_its_end():
    hours = Schedule([(MON, 480, 1080)])
    for offset, is_open in (
        (480 * 60 - 1, False),
        (480 * 60, True),
        (1080 * 60 - 1, True),
        (1080 * 60, False),
    ):
        assert hours.is_open(MONDAY + offset, 0) is is_open, offset
    assert not hours.is_open(MONDAY + DAY + 9 * HOUR, 0)


def test_a_window_past_midnight_belongs_to_the_day_it_starts():
    night = Schedule([(SUN, 22 * 60, 6 * 60)])
    sunday = MONDAY + 6 * DAY
    assert night.is_open(sunday + 23 * HOUR, 0)
    assert night.is_open(sunday + DAY + 5 * HOUR, 0)
    assert not night.is_open(sunday + 5 * HOUR, 0)
    assert not night.is_open(sunday + DAY + 6 * HOUR, 0)


def test_without_windows_it_never_opens_and_always_is_always():
    for hour in range(24 * 7):
        assert not Schedule().is_open(MONDAY + hour * HOUR, 480)
        assert Schedule.always().is_open(MONDAY + hour * HOUR, 480)
    assert Schedule.always().is_always and not Schedule([(127, 0, 1439)]).is_always


def test_packing_keeps_every_window():
    windows = ((MON | TUE, 480, 1080), (SUN, 1320, 360), (127, 0, 1440))
    packed = Schedule(windows).pack()
    assert len(packed) == 15
    assert Schedule.unpack(packed).windows == windows
    assert Schedule.unpack(b"").windows == ()


def test_what_cannot_be_a_schedule_is_refused():
    for windows in (
        [(0, 0, 60)],
        [(256, 0, 60)],
        [(1, -1, 60)],
        [(1, 1440, 60)],
        [(1, 0, 1441)],
        [(1, 0, 0)],
        [(1, 0)],
        [(1, 0, "60")],
        [(True, 0, 60)],
        [7],
        5,
        [(1, 0, 60)] * (MAX_WINDOWS + 1),
    ):
        assert refuses(windows), windows
    for data in (b"\x01", b"\x00" * 5, b"\xff" * 5):
        try:
            Schedule.unpack(data)
            raise AssertionError(data)
        except BadRequest:
            pass
