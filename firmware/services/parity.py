"""How long each way in takes and how often it fails, per month, and nothing about whom: the proof that card and PIN are
as good as the face, or that they are not.

An attempt counts when a credential was judged: opened, or not recognised. One that was refused for its holder's hours
or doors says nothing about the way in. Times run from the first action (a key, a card in the field, a face in view) to
the unlocking. Kept in RAM, written at most once an hour: a power cut loses an hour's counts, flash gains years.
"""

import json
import os

from firmware.access.policy import KINDS
from firmware.base.compat import const
from firmware.base.log import log

# Upper ends of the bins of the time to unlock, ms; one more bin for what took longer.
BINS_MS = (250, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000, 20000)
FAILURES = ("not_recognised", "locked_out")

_FILE = "parity.json"
_MONTHS = const(13)
_WRITE_S = const(3600)
_MAX_BYTES = const(16384)
_MOST = const(0xFFFFFFFF)
_FIELDS = const(3)  # before the bins: opened, failed, sum of the times in ms


def month_of(unix: int) -> int:
    """202412 for December 2024, in UTC (Howard Hinnant's days-from-civil, turned round)."""
    days = unix // 86400 + 719468
    era_day = days % 146097
    era_year = (era_day - era_day // 1460 + era_day // 36524 - era_day // 146096) // 365
    year_day = era_day - (365 * era_year + era_year // 4 - era_year // 100)
    shifted = (5 * year_day + 2) // 153  # 0 is March
    month = shifted + 3 if shifted < 10 else shifted - 9
    return (days // 146097 * 400 + era_year + (month <= 2)) * 100 + month


class Parity:
    """`root` is where the file goes, `clock` the HAL's. Month 0 holds what happened while the time was unknown."""

    def __init__(self, root: str, clock):
        self._path = root + "/" + _FILE
        self._clock = clock
        self._months = _stored(self._path)
        self._dirty_since = None

    def note(self, kind: str, opened: bool, reason: str, ms: int, now_s: int) -> None:
        """One attempt; `ms` is the time to unlock, `now_s` the uptime."""
        if not opened and reason not in FAILURES:
            return
        counts = self._counts(kind)
        if opened:
            counts[0] += 1
            counts[2] = min(counts[2] + ms, _MOST)
            counts[_FIELDS + _bin(ms)] += 1
        else:
            counts[1] += 1
        if self._dirty_since is None:
            self._dirty_since = now_s

    def tend(self, now_s: int) -> None:
        """Writes what has waited for long enough."""
        if self._dirty_since is not None and now_s - self._dirty_since >= _WRITE_S:
            self.write()

    def write(self) -> None:
        self._dirty_since = None
        temporary = self._path + ".new"
        try:
            with open(temporary, "w") as file:
                json.dump(self._months, file)
            os.rename(temporary, self._path)
        except OSError as error:
            log("parity", "not written: %s" % error)

    def rows(self, since: int, limit: int) -> list:
        """A dict for each kind and month from month `since` on, the oldest `limit` months."""
        found = []
        for month in sorted([int(name) for name in self._months if int(name) >= since])[:limit]:
            kinds = self._months[str(month)]
            for kind in KINDS:
                if kind in kinds:
                    opened, failed, total = kinds[kind][:_FIELDS]
                    row = {"month": month, "kind": kind, "opened": opened, "failed": failed, "total_ms": total}
                    row["bins"] = kinds[kind][_FIELDS:]
                    found.append(row)
        return found

    def _counts(self, kind: str) -> list:
        now, source = self._clock.now()
        month = str(month_of(now) if source else 0)
        if month not in self._months and len(self._months) >= _MONTHS:
            del self._months[min(self._months, key=int)]
        kinds = self._months.setdefault(month, {})
        if kind not in kinds:
            kinds[kind] = [0] * (_FIELDS + len(BINS_MS) + 1)
        return kinds[kind]


def _bin(ms: int) -> int:
    for i in range(len(BINS_MS)):
        if ms <= BINS_MS[i]:
            return i
    return len(BINS_MS)


def _stored(path: str) -> dict:
    """What the file holds, or nothing when any of it cannot be."""
    try:
        with open(path) as file:
            months = json.loads(file.read(_MAX_BYTES))
        for month, kinds in months.items():
            for kind, counts in kinds.items():
                good = kind in KINDS and len(counts) == _FIELDS + len(BINS_MS) + 1
                if not good or not all(isinstance(n, int) and 0 <= n <= _MOST for n in counts) or int(month) < 0:
                    return {}
        return months if len(months) <= _MONTHS else {}
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError):
        return {}
