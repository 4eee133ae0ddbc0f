"""Tombstones brought to panels, so that an old copy of a panel's flash cannot bring a face back either."""

from __future__ import annotations

from host_tools import lost_cards, receipts
from host_tools.site import Panel, Site
from host_tools.site.tombstones import ANYWHERE

_PAGE = 24


def push(site: Site, panel: Panel) -> int:
    """Tells the panel of every deletion and lost card that concerns it; how many records it had to wipe for that.

    It refuses what is not newer than its tombstone, and signs a receipt for each face.
    """
    rows = site.registry.rows(
        "SELECT what, handle, sequence, wiped FROM tombstones WHERE what != 'consent' AND "
        "(panel_id = ?1 OR panel_id = ?2 AND handle IN (SELECT handle FROM placements WHERE panel_id = ?1)) "
        "ORDER BY wiped",
        panel.panel_id,
        ANYWHERE,
    )
    items = [
        {"what": row["what"], "handle": row["handle"], "sequence": row["sequence"], "time": row["wiped"]}
        for row in rows
    ]
    wiped = 0
    for at in range(0, len(items), _PAGE):
        wiped += panel.request("tombstones", timeout_s=30.0, items=items[at : at + _PAGE])["wiped"]
    lost_cards.resend(site, panel)
    if wiped:
        receipts.collect(site, panel)
        site.note("tombstones_raised", panel=panel.panel_id, wiped=wiped)
    return wiped


def push_if_restored(site: Site, panel: Panel) -> int:
    """Pushes when the panel's log is shorter than it was: its flash was put back to an older state."""
    row = site.registry.row("SELECT max(seq) AS seq FROM panel_log WHERE panel_id = ?", panel.panel_id)
    known = row["seq"] if row and row["seq"] is not None else -1
    newest = site.registry.row("SELECT max(sequence) AS seq FROM tombstones WHERE panel_id = ?", panel.panel_id)
    known = max(known, newest["seq"] if newest and newest["seq"] is not None else -1)
    following = panel.request("status").get("log_next", known + 1)
    return push(site, panel) if following <= known else 0
