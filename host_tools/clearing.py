"""Taking a panel out of service: everything on it is erased, its secret first, and it signs that it was."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable

from firmware.base.errors import MenshenError
from firmware.vault import clearance as format_
from host_tools import approval, chains, panels, receipts
from host_tools.errors import IdentityChanged, Provisioning, ReceiptInvalid
from host_tools.site import Panel, Site, deadlines

_WORK_S = 30.0


def decommission(
    site: Site, panel: Panel, approved: approval.Approval, progress: Callable[[int], None] | None = None
) -> format_.Clearance:
    """The panel's verified clearance, kept in the registry. Cut short anywhere, the same command goes on.

    `progress` hears how many blocks are left.
    """
    site.note("decommission", panel=panel.panel_id, approved=approved.by)
    for row in _stored(site, panel):
        deadlines.open_(site, row, panel.panel_id, "decommission")
    data = _kept(site, panel)
    if data is None:
        if not panel.request("status").get("clearing"):
            receipts.collect(site, panel)
            chains.fetch(site, panel)
        while data is None:
            answer = panel.request("decommission", timeout_s=_WORK_S, panel_id=panel.panel_id)
            data = answer.get("clearance")
            if progress:
                progress(answer["left"])
    clearance = _verified(panel, data)
    with site.registry.transaction() as db:
        db.execute("UPDATE panels SET clearance = ? WHERE panel_id = ?", (data, panel.panel_id))
    _confirm(site, panel, clearance)
    with contextlib.suppress(Provisioning, IdentityChanged):  # it had this before and is a fresh panel already
        panel.request("decommission_done", clearance_hash=hashlib.sha256(data).digest())
    panels.retire(site, panel.name)
    return clearance


def _verified(panel: Panel, data: bytes) -> format_.Clearance:
    try:
        clearance = format_.verify(data, panel.record.device_pub, receipts.signed)
    except MenshenError as error:
        raise ReceiptInvalid(f"The clearance is not valid: {error} Do not rely on it.") from error
    if clearance.panel_id != panel.panel_id:
        raise ReceiptInvalid("The clearance is genuine but of another panel. Do not rely on it.")
    return clearance


def _confirm(site: Site, panel: Panel, clearance: format_.Clearance) -> None:
    """Whatever the panel owed is done with: nothing that was on it can be opened any more."""
    for handle in {deadline.handle for deadline in deadlines.pending(site, None, panel.panel_id)}:
        deadlines.confirm(site, handle, panel.panel_id, "clearance", None, clearance.facts.counter)


def _stored(site: Site, panel: Panel) -> list[bytes]:
    rows = site.registry.rows(
        "SELECT DISTINCT handle FROM enrolments WHERE panel_id = ? AND state != 'wiped'", panel.panel_id
    )
    return [row["handle"] for row in rows]


def _kept(site: Site, panel: Panel) -> bytes | None:
    row = site.registry.row("SELECT clearance FROM panels WHERE panel_id = ?", panel.panel_id)
    return row["clearance"] if row else None
