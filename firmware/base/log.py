"""The panel's console log: one line an event, kept short in RAM for the link, never an identity, score or secret."""

from firmware.base.compat import const
from firmware.base.ticks import ticks_ms

_KEEP = const(64)
_MOST_TEXT = const(120)

_lines = []
_first = [0]  # the number of the oldest line that is kept


def log(area: str, text: str) -> None:
    """Records `text` under `area` and prints it on the console, where the link's framing skips it."""
    line = "%d %s: %s" % (ticks_ms(), area, text)
    _lines.append(line[:_MOST_TEXT])
    if len(_lines) > _KEEP:
        _lines.pop(0)
        _first[0] += 1
    print(line)


def since(number: int, limit: int) -> tuple:
    """(at most `limit` lines numbered from `number` on, the number to ask from next)."""
    start = max(number - _first[0], 0)
    found = _lines[start : start + limit]
    return found, _first[0] + start + len(found) if found else _first[0] + len(_lines)
