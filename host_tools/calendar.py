"""Deadlines as a calendar file (iCalendar, RFC 5545), with an alarm a day before each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from host_tools.site import Site
from host_tools.site.deadlines import CAUSES, Deadline

_MOST_OCTETS = 75


def ics(site: Site, deadlines: Iterable[Deadline]) -> str:
    """One event a deadline, named by panel and flat; no name of a person leaves the registry."""
    panels = {record.panel_id: record.name for record in site.panel_records(retired=True)}
    flats = {resident.handle: resident.flat for resident in site.residents()}
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//menshen//deadlines//EN"]
    for deadline in deadlines:
        flat = flats.get(deadline.handle)
        who = f"flat {flat}" if flat else f"record {deadline.handle.hex()}"
        lines += [
            "BEGIN:VEVENT",
            f"UID:{site.site_id.hex()}-{deadline.id}@menshen",
            f"DTSTAMP:{_utc(site.now())}",
            f"DTSTART:{_utc(deadline.due)}",
            f"SUMMARY:{_text(f'Face data of {who} must be erased from {panels[deadline.panel_id]}')}",
            f"DESCRIPTION:{_text(f'{CAUSES[deadline.cause]} {deadline.reference}'.strip())}",
            "STATUS:CONFIRMED" if deadline.state == "pending" else "STATUS:CANCELLED",
            "BEGIN:VALARM",
            "ACTION:DISPLAY",
            "DESCRIPTION:Face data must be erased by tomorrow",
            "TRIGGER:-P1D",
            "END:VALARM",
            "END:VEVENT",
        ]
    return "".join(_folded(line) for line in [*lines, "END:VCALENDAR"])


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def _text(text: str) -> str:
    for plain in "\\;,":
        text = text.replace(plain, "\\" + plain)
    return text.replace("\n", "\\n")


def _folded(line: str) -> str:
    """Lines of at most 75 octets, no character cut in two."""
    out, octets = "", 0
    for character in line:
        size = len(character.encode())
        if octets + size > _MOST_OCTETS:
            out, octets = out + "\r\n ", 1
        out, octets = out + character, octets + size
    return out + "\r\n"
