"""Deadlines in a calendar program: the file's form (RFC 5545), and no person's name in it."""

from __future__ import annotations

import os

from host_tools import calendar
from host_tools.site import Site, deadlines


def test_events_are_folded_in_octets_and_name_panels_and_flats_only(place: str) -> None:
    with Site.open(place) as site:
        panel_id, handle = os.urandom(8), os.urandom(8)
        name = "小区东门一号楼二单元, 地下车库入口;" * 3
        with site.registry.transaction() as db:
            db.execute(
                "INSERT INTO panels (panel_id, name, device_pub, link_key, port, state, added) "
                "VALUES (?, ?, ?, ?, '', 'active', 0)",
                (panel_id, name, bytes(32), bytes(32)),
            )
            db.execute(
                "INSERT INTO residents (handle, name, flat, doors, schedule, valid_from, valid_until, state, added) "
                "VALUES (?, '王芳', '301', 1, '[]', 0, 0, 'active', 0)",
                (handle,),
            )
        deadlines.open_(site, handle, panel_id, "order", "(2026) 0102; 12")
        text = calendar.ics(site, deadlines.pending(site))
    lines = text.encode().split(b"\r\n")
    assert lines[0] == b"BEGIN:VCALENDAR" and lines[-2] == b"END:VCALENDAR" and lines[-1] == b""
    assert max(map(len, lines)) <= 75 and all(line.decode() for line in lines[:-1])
    whole = text.replace("\r\n ", "")
    escaped = name.replace(",", "\\,").replace(";", "\\;")
    assert f"SUMMARY:Face data of flat 301 must be erased from {escaped}\r\n" in whole
    assert "court or authority (2026) 0102\\; 12" in whole and "王芳" not in whole
