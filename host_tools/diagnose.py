"""What a bug report needs to know of a panel, in one file, and nothing about the people who live behind it.

Not in it: names, flats, handles, card UIDs, scores, the panel's own name and id, when anybody came or went. The audit
log is reduced to counts, attempts at the door to outcome, hint and milliseconds.
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from host_tools import selftest
from host_tools.errors import HostError, Usage
from host_tools.site import Panel, Site

FORMAT = 1

_STATUS = (
    "board", "firmware", "uptime_s", "time_source", "residents", "faces", "face_capacity", "maintenance", "camera",
    "tamper", "pin_ms", "memory", "policy", "clearing", "receipts_waiting", "quarantined", "log_next",
    "log_damage",
)  # fmt: skip
_ATTEMPT = ("kind", "opened", "reason", "hint", "ms", "frames", "times", "why", "what")
_PAGE = 32
_MOST_LOG = 4096


def collect(site: Site, panel: Panel, progress: Callable[[str], None] = lambda what: None) -> dict[str, Any]:
    """What cannot be had is named with the reason; a panel that answers nothing raises what the link raised."""
    progress("status")
    status = panel.request("status")
    report: dict[str, Any] = {
        "format": FORMAT,
        "host": _host(),
        "panel": {name: status[name] for name in _STATUS if name in status},
        "models": {"embedder": status["model_id"].hex()} if "model_id" in status else {},
        "clock_off_s": status["time"] - site.now(),
    }
    for name, part in (
        ("console", _console),
        ("attempts", _attempts),
        ("log", _log_counts),
        ("parity", _parity),
    ):
        progress(name)
        report[name] = _or_why(part, panel)
    report["selftest"] = _or_why(lambda door: _selftest(door, progress), panel)
    return report


def console(panel: Panel, since: int = 0) -> tuple[list[str], int]:
    """(the console's lines from number `since` on, the number to ask from next)."""
    lines: list[str] = []
    while True:
        page = panel.request("console", since=since, limit=_PAGE)
        lines += page["lines"]
        since = page["next"]
        if not page["lines"]:
            return lines, since


def attempts(panel: Panel, since: int = 0) -> tuple[list[dict[str, Any]], int]:
    """(what happened at the door from number `since` on, the number to ask from next); without places in pictures."""
    found: list[dict[str, Any]] = []
    while True:
        page = panel.request("events", since=since, limit=12)
        found += [{name: item[name] for name in _ATTEMPT if name in item} for item in page["events"]]
        since = page["next"]
        if not page["events"]:
            return found, since


def write(report: dict[str, Any], path: Path) -> None:
    try:
        path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise Usage(f"{path} cannot be written: {error.strerror}. Choose another file with --out.") from error


def _or_why(part: Callable[[Panel], Any], panel: Panel) -> Any:
    try:
        return part(panel)
    except HostError as error:
        return {"missing": error.code}


def _host() -> dict[str, str]:
    return {"menshen": metadata.version("menshen"), "python": platform.python_version(), "system": platform.system()}


def _console(panel: Panel) -> list[str]:
    return console(panel)[0]


def _attempts(panel: Panel) -> list[dict[str, Any]]:
    return attempts(panel)[0]


def _log_counts(panel: Panel) -> dict[str, Any]:
    """How often what is in the audit log, oldest and newest number."""
    counts: Counter[str] = Counter()
    since, first = 0, None
    while page := panel.request("log", since=since, limit=_PAGE)["entries"]:
        counts.update(entry["kind"] for entry in page)
        first = page[0]["seq"] if first is None else first
        since = page[-1]["seq"] + 1
        if sum(counts.values()) >= _MOST_LOG:
            break
    return {"first": first, "next": since, "counts": dict(sorted(counts.items()))}


def _parity(panel: Panel) -> list[dict[str, Any]]:
    return list(panel.request("parity", since=0, limit=13)["rows"])


def _selftest(panel: Panel, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """Without what takes minutes and without moving the lock."""
    wanted = selftest.names(panel, thorough=False, lock=False)
    return [check.public() for check in selftest.run(panel, wanted, progress)]
