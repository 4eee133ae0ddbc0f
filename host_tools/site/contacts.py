"""When each panel was last heard, and what it said it was: noted at every contact, from sealed answers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from host_tools.site.panel import Panel
from host_tools.site.site import Site


@dataclass(frozen=True)
class Contact:
    """`seen`: Unix seconds, 0 for never; `firmware`, `board`: as of the latest status."""

    seen: int = 0
    firmware: str = ""
    board: str = ""


def note(site: Site, panel: Panel, op: str, reply: dict[str, Any]) -> None:
    """A sealed answer has come: only the panel itself can have given it."""
    with site.registry.transaction(alone=False) as db:
        db.execute("UPDATE panels SET seen = ? WHERE panel_id = ?", (site.now(), panel.panel_id))
        if op == "status":
            db.execute(
                "UPDATE panels SET firmware = ?, board = ? WHERE panel_id = ?",
                (reply["firmware"], reply["board"], panel.panel_id),
            )


def of(site: Site, panel_id: bytes) -> Contact:
    row = site.registry.row("SELECT seen, firmware, board FROM panels WHERE panel_id = ?", panel_id)
    return Contact(row["seen"], row["firmware"], row["board"]) if row else Contact()
