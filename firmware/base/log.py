"""The panel's console log: one line an event, kept short in RAM for the link, never an identity, score or secret."""

from firmware.base.ticks import ticks_ms

_KEEP = 64

_lines = []


def log(area: str, text: str) -> None:
    """Records `text` under `area` and prints it on the console, where the link's framing skips it."""
    line = "%d %s: %s" % (ticks_ms(), area, text)
    _lines.append(line)
    if len(_lines) > _KEEP:
        _lines.pop(0)
    print(line)


def recent() -> list:
    return list(_lines)
