"""Wiping faces without touching anything else of a resident's: one, one person's everywhere, or all."""

from __future__ import annotations

from host_tools import approval, ledger
from host_tools.errors import RefusedByPanel
from host_tools.fleet import crowd
from host_tools.site import Panel, Resident, Site, deadlines


def wipe_face(site: Site, panel: Panel, resident: Resident) -> bytes:
    """The panel's receipt, verified and kept. Raises RefusedByPanel (`not_found`) where no face is stored.

    A panel that cannot be reached raises, and owes the deletion from now on.
    """
    deadline = deadlines.open_(site, resident.handle, panel.panel_id, "request")
    receipt = ledger.carry_out(site, panel, resident.handle)
    if receipt is None:
        deadlines.cancel(site, deadline)
        raise RefusedByPanel(f"No face of {resident.name} is stored on {panel.name}. Nothing was changed.", "not_found")
    return receipt


def wipe_everywhere(
    site: Site, resident: Resident, cause: str = "request", reference: str = "", days: int | None = None
) -> list[ledger.Outcome]:
    """From every panel where the resident is or was: what one cannot do now it owes, with its deadline.

    Panels that are retired owe it too and stay in the ledger; nobody can ask them.
    """
    rows = site.registry.rows(
        "SELECT panel_id FROM placements WHERE handle = ?1 AND state != 'removed' "
        "UNION SELECT panel_id FROM enrolments WHERE handle = ?1 AND state != 'wiped'",
        resident.handle,
    )
    deadlines.open_on(site, resident.handle, [bytes(row["panel_id"]) for row in rows], cause, reference, days)
    if cause == "order":
        with site.registry.transaction() as db:
            db.execute(
                "UPDATE consents SET state = 'withdrawn', withdrawn = ? WHERE handle = ? "
                "AND state IN ('asked', 'given')",
                (site.now(), resident.handle),
            )
    owing = {row["panel_id"] for row in rows}
    records = [record for record in site.panel_records() if record.panel_id in owing]
    return crowd.each(site, records, lambda site, panel: ledger.attempt(site, panel, resident.handle))


def wipe_all(site: Site, approved: approval.Approval, panel: Panel | None = None) -> list[ledger.Outcome]:
    """Every face of the site, or of one panel; cards and PINs go on working."""
    site.note("wipe_all", panel=panel.panel_id if panel else b"", approved=approved.by)
    rows = site.registry.rows(
        "SELECT DISTINCT handle, panel_id FROM enrolments WHERE state != 'wiped' AND (?1 IS NULL OR panel_id = ?1)",
        panel.panel_id if panel else None,
    )
    for row in rows:
        deadlines.open_(site, row["handle"], row["panel_id"], "request", "all faces")
    owing = {row["panel_id"] for row in rows}
    records = [record for record in site.panel_records() if record.panel_id in owing]
    return [outcome for outcomes in crowd.each(site, records, ledger.settle) for outcome in outcomes]
