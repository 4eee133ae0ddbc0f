"""What the registry knows of one person's face data, panel by panel; receipts are verified again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from firmware.vault import clearance as clearances
from firmware.vault.receipt import Receipt
from host_tools import receipts
from host_tools.errors import ReceiptInvalid
from host_tools.site import Consent, PanelRecord, Resident, Site, deadlines
from host_tools.site.deadlines import Deadline


@dataclass(frozen=True)
class Stored:
    """A face record that was written: `templates` of 128 bytes each."""

    enrolled: int
    expiry: int
    templates: int
    model_id: bytes
    state: str


@dataclass(frozen=True)
class Erasure:
    """A receipt and whether its signature is this panel's."""

    data: bytes
    receipt: Receipt
    valid: bool


@dataclass(frozen=True)
class OnPanel:
    """`state`: erased, owed (a deletion is not confirmed), stored (none was asked for), nothing (never stored)."""

    record: PanelRecord
    consents: tuple[Consent, ...]
    stored: tuple[Stored, ...]
    erasures: tuple[Erasure, ...]
    deadlines: tuple[Deadline, ...]
    clearance: clearances.Clearance | None
    state: str

    def public(self) -> dict[str, Any]:
        return {
            "panel": self.record.name,
            "panel_id": self.record.panel_id.hex(),
            "device_pub": self.record.device_pub.hex(),
            "state": self.state,
            "receipts": [erasure.data.hex() for erasure in self.erasures],
            "deadlines": [deadline.public() for deadline in self.deadlines],
        }


@dataclass(frozen=True)
class Certificate:
    """`name` and `flat` are empty once the resident has been forgotten, unless given anew."""

    made: int
    site_id: bytes
    name: str
    flat: str
    handle: bytes
    panels: tuple[OnPanel, ...]

    @property
    def unconfirmed(self) -> list[OnPanel]:
        return [panel for panel in self.panels if panel.state == "owed"]

    @property
    def still_stored(self) -> list[OnPanel]:
        return [panel for panel in self.panels if panel.state == "stored"]

    @property
    def complete(self) -> bool:
        return not self.unconfirmed and not self.still_stored

    def public(self) -> dict[str, Any]:
        return {
            "made": self.made,
            "name": self.name,
            "flat": self.flat,
            "handle": self.handle.hex(),
            "complete": self.complete,
            "panels": [panel.public() for panel in self.panels],
        }


def gather(site: Site, resident: Resident, name: str = "") -> Certificate:
    """`name`: of whom the registry has forgotten already; it is printed and not kept."""
    panels = [_on_panel(site, resident, record) for record in site.panel_records(retired=True)]
    concerned = tuple(panel for panel in panels if panel.consents or panel.stored or panel.erasures or panel.deadlines)
    return Certificate(site.now(), site.site_id, name or resident.name, resident.flat, resident.handle, concerned)


def _on_panel(site: Site, resident: Resident, record: PanelRecord) -> OnPanel:
    rows = site.registry.rows(
        "SELECT enrolled, expiry, templates, model_id, state FROM enrolments "
        "WHERE handle = ? AND panel_id = ? ORDER BY enrolled, id",
        resident.handle,
        record.panel_id,
    )
    stored = tuple(Stored(*row) for row in rows if row["templates"])
    consents = tuple(consent for consent in site.consents(resident) if consent.panel_id == record.panel_id)
    erasures = tuple(
        _erasure(kept.data, record.device_pub)
        for kept in site.receipts()
        if (kept.handle, kept.panel_id) == (resident.handle, record.panel_id)
    )
    owed = tuple(deadlines.of(site, resident.handle, record.panel_id))
    if any(deadline.state == "pending" for deadline in owed):
        state = "owed"
    elif any(row["state"] != "wiped" for row in rows):
        state = "stored"
    else:
        state = "erased" if stored else "nothing"
    return OnPanel(record, consents, stored, erasures, owed, _clearance(site, record), state)


def _erasure(data: bytes, device_pub: bytes) -> Erasure:
    try:
        receipts.verify(data, device_pub)
        valid = True
    except ReceiptInvalid:
        valid = False
    return Erasure(data, receipts.full(data), valid)


def _clearance(site: Site, record: PanelRecord) -> clearances.Clearance | None:
    row = site.registry.row("SELECT clearance FROM panels WHERE panel_id = ?", record.panel_id)
    return clearances.parse(row["clearance"]) if row and row["clearance"] else None
