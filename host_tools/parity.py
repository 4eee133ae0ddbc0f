"""Whether card and PIN are as good as the face at each door, from the panels' own counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from itertools import groupby
from typing import Any

from host_tools.site import Panel

SLOWER_S = 2.0  # how much slower than the face another way may be
ENOUGH = 10  # attempts, below which a month says nothing
ALTERNATIVES = ("pin", "card")
_MONTHS = 13

_COLOURS = {"face": "#b2503c", "pin": "#3c6eb2", "card": "#4c9a5b"}
_ROW, _LEFT, _WIDTH = 18, 190, 620


@dataclass(frozen=True)
class Way:
    """One way in at one door in one month; times in seconds from the first action to the unlocking."""

    door: str
    month: int
    kind: str
    opened: int
    failed: int
    mean_s: float
    p90_s: float

    @property
    def attempts(self) -> int:
        return self.opened + self.failed

    @property
    def failing(self) -> float:
        return self.failed / self.attempts if self.attempts else 0.0

    def public(self) -> dict[str, Any]:
        return {**asdict(self), "failing": round(self.failing, 4)}


def collect(panels: Iterable[Panel]) -> list[Way]:
    """Asks each panel; by door, month and kind."""
    return [way for panel in panels for way in _of(panel)]


def _of(panel: Panel) -> list[Way]:
    reply = panel.request("parity", since=0, limit=_MONTHS)
    return [way(panel.name, row, reply["bins_ms"]) for row in reply["rows"]]


def way(door: str, row: dict[str, Any], bins_ms: Sequence[int]) -> Way:
    """From one row of the panel's reply."""
    opened = int(row["opened"])
    mean_s = row["total_ms"] / opened / 1000 if opened else 0.0
    counts = {"opened": opened, "failed": int(row["failed"])}
    p90 = _quantile(row["bins"], bins_ms, 0.9)
    return Way(door, int(row["month"]), str(row["kind"]), **counts, mean_s=round(mean_s, 3), p90_s=p90)


def _quantile(bins: Sequence[int], bins_ms: Sequence[int], part: float) -> float:
    """The upper end of the bin in which it lies, seconds; the last bin counts as twice the one before."""
    wanted = part * sum(bins)
    seen = 0
    for count, end in zip(bins, [*bins_ms, 2 * bins_ms[-1]], strict=True):
        seen += count
        if count and seen >= wanted:
            return end / 1000
    return 0.0


def unequal(ways: Sequence[Way]) -> list[str]:
    """A sentence for each door, month and other way in that is slower than the face by SLOWER_S, or fails more often.

    A difference in failures counts when it is beyond what chance makes of so many attempts.
    """
    found = []
    for (door, month), group in groupby(sorted(ways, key=_place), key=_place):
        by_kind = {one.kind: one for one in group if one.attempts >= ENOUGH}
        face = by_kind.get("face")
        for kind in ALTERNATIVES:
            other = by_kind.get(kind)
            if face is None or other is None:
                continue
            where = f"{door}, {_month(month)}: the {kind if kind == 'card' else 'PIN'}"
            if face.opened and other.opened and other.mean_s - face.mean_s > SLOWER_S:
                found.append(f"{where} takes {other.mean_s:.1f} s, the face {face.mean_s:.1f} s.")
            if other.failing - face.failing > _noise(face, other):
                found.append(f"{where} fails in {other.failing:.0%} of attempts, the face in {face.failing:.0%}.")
    return found


def _noise(a: Way, b: Way) -> float:
    """Two standard errors of the difference of two proportions, pooled."""
    pooled = (a.failed + b.failed) / (a.attempts + b.attempts)
    return float(2 * (pooled * (1 - pooled) * (1 / a.attempts + 1 / b.attempts)) ** 0.5)


def plot(ways: Sequence[Way]) -> str:
    """An SVG: a bar for each way in, its length the mean time, its mark the time that 9 in 10 stay under."""
    rows = sorted(ways, key=lambda one: (_place(one), one.kind))
    longest = max([one.p90_s for one in rows if one.opened] + [1.0])
    scale = (_WIDTH - _LEFT - 130) / longest
    parts = []
    y = 34
    for place, group in groupby(rows, key=_place):
        parts.append(f'<text x="8" y="{y + 13}" font-weight="600">{escape(place[0])} {_month(place[1])}</text>')
        for one in group:
            parts += _bar(one, y, scale)
            y += _ROW
        y += 8
    told = "Seconds from the first action to the open door (bar: mean, line: 9 in 10)"
    title = f'<text x="8" y="18" font-size="13">{told}</text>'
    style = 'font-family="sans-serif" font-size="11" fill="#222"'
    body = "\n".join([title, *parts])
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y + 8}" {style}>'
    return f'{head}\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'


def _bar(one: Way, y: int, scale: float) -> list[str]:
    colour = _COLOURS.get(one.kind, "#777")
    end = _LEFT + one.mean_s * scale
    p90 = _LEFT + one.p90_s * scale
    told = f"{one.mean_s:.1f} s, {one.failing:.0%} of {one.attempts} failed"
    return [
        f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{one.kind}</text>',
        f'<rect x="{_LEFT}" y="{y + 3}" width="{end - _LEFT:.1f}" height="12" fill="{colour}"/>',
        f'<line x1="{p90:.1f}" x2="{p90:.1f}" y1="{y + 1}" y2="{y + 17}" stroke="{colour}" stroke-width="2"/>',
        f'<text x="{max(end, p90) + 6:.1f}" y="{y + 13}">{told}</text>',
    ]


def _place(one: Way) -> tuple[str, int]:
    return one.door, one.month


def _month(month: int) -> str:
    return f"{month // 100}-{month % 100:02}" if month else "time unknown"
