"""Visitor codes: twelve digits that say until when and how often they open, and prove that the host wrote them. The
panel needs no connection to check one. Read by firmware and host tools alike.

The first six digits are one number that counts, in mixed radix, the hour in which the code ends (modulo 60 days), its
length, the uses and a serial number. The last six are an HMAC over that number, the flat and the whole hour, so that a
code whose 60 days come round again stays dead. A guess is right once in a million, as with a PIN of six digits.

The key follows from the link key, which one panel and its host share: codes open one panel's door, and a stolen panel
can make none for another.
"""

from collections import namedtuple

from firmware.base.compat import const
from firmware.crypto.hmac import constant_time_eq, hmac_sha256

CODE_DIGITS = const(12)
HOURS = (1, 2, 4, 12, 24, 72, 168, 720)
USES = (1, 2, 5, 10, 0)  # 0: as often as wanted until it ends
SERIALS = const(17)
MOST_AHEAD_HOURS = const(719)

_PERIOD_HOURS = const(1440)
_MILLION = const(1_000_000)
_HOUR_S = const(3600)

# `number`: the code's first half; `uses`: of USES; times in Unix seconds.
Visit = namedtuple("Visit", ("number", "valid_from", "valid_until", "uses"))


def key_of(link_key) -> bytes:
    return hmac_sha256(link_key, b"menshen visitor 1")


def make(key, flat: str, until_hour: int, length: int, uses: int, serial: int) -> str:
    """The code that ends with `until_hour` (hours since 1970); `length` and `uses` index HOURS and USES."""
    number = ((until_hour % _PERIOD_HOURS * len(HOURS) + length) * len(USES) + uses) * SERIALS + serial
    return "%06d%06d" % (number, _proof(key, flat, until_hour, number))


def read(key, flat: str, digits, now: int):
    """The Visit that the ASCII `digits` stand for, whether its time is now or not; None when nobody wrote them."""
    if len(digits) != CODE_DIGITS:
        return None
    number = int(bytes(digits[:6]))
    rest, _serial = divmod(number, SERIALS)
    rest, uses = divmod(rest, len(USES))
    hour, length = divmod(rest, len(HOURS))
    if hour >= _PERIOD_HOURS:
        return None
    until_hour = _nearest(hour, now // _HOUR_S)
    proof = b"%06d" % _proof(key, flat, until_hour, number)
    if not constant_time_eq(proof, bytes(digits[6:])):
        return None
    # Whole hours: the one in which the code was written is given on top.
    begin = (until_hour - HOURS[length] - 1) * _HOUR_S
    return Visit(number, begin, until_hour * _HOUR_S, USES[uses])


def _nearest(hour: int, now_hour: int) -> int:
    """The hour that is `hour` modulo the period and lies within half a period of now."""
    half = _PERIOD_HOURS // 2
    return now_hour - half + (hour - now_hour + half) % _PERIOD_HOURS


def _proof(key, flat: str, until_hour: int, number: int) -> int:
    digest = hmac_sha256(key, b"%s|%d|%d" % (flat.encode(), until_hour, number))
    return int.from_bytes(digest[:8], "big") % _MILLION
