"""Who works with which panel: one row a panel, so that several services on one registry share the work out.

A lease that is not given back ends by itself. Should work ever last longer, two may meet at a panel: each request to it
is idempotent and has a counter of its own, so that this costs time and nothing else.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable

from host_tools.site import Site

_LEASE_S = 120


def own_name() -> str:
    """Of one service or command, unlike any other's."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def take(site: Site, panel_ids: Iterable[bytes], holder: str) -> set[bytes]:
    """Those of the panels that are `holder`'s now; the others are somebody else's."""
    now = site.now()
    taken = set()
    with site.registry.transaction() as db:
        for panel_id in panel_ids:
            row = db.execute(
                "INSERT INTO leases (panel_id, holder, until) VALUES (?, ?, ?) ON CONFLICT (panel_id) DO UPDATE "
                "SET holder = excluded.holder, until = excluded.until "
                "WHERE leases.until < ? OR leases.holder = excluded.holder RETURNING holder",
                (panel_id, holder, now + _LEASE_S, now),
            ).fetchone()
            if row is not None:
                taken.add(panel_id)
    return taken


def give_back(site: Site, panel_ids: Iterable[bytes], holder: str) -> None:
    with site.registry.transaction() as db:
        for panel_id in panel_ids:
            db.execute("DELETE FROM leases WHERE panel_id = ? AND holder = ?", (panel_id, holder))
