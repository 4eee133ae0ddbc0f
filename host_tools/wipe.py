"""Wiping a face without touching anything else of a resident's."""

from __future__ import annotations

from host_tools import receipts
from host_tools.site import Panel, Resident, Site


def wipe_face(site: Site, panel: Panel, resident: Resident, reason: str = "request") -> bytes:
    """The panel's receipt, verified and kept. Raises RefusedByPanel (`not_found`) where no face is stored."""
    receipt: bytes = panel.request("wipe_face", handle=resident.handle, reason=reason)["receipt"]
    receipts.store(site, panel, receipt, resident.handle)
    return receipt
