"""The whole site at a glance: each panel as it is now, or as it was when it was last heard, and what is owed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from host_tools import ledger, renewal
from host_tools.errors import HostError, IdentityChanged
from host_tools.fleet import crowd
from host_tools.impact import filing_warning, persons
from host_tools.site import Panel, PanelRecord, Site, contacts, deadlines

_CLOCK_OFF_S = 120


@dataclass(frozen=True)
class PanelNow:
    """`answers` is None where it was not asked; the numbers are None where it did not answer. `problems`: sentences."""

    name: str
    panel_id: str
    port: str
    board: str
    firmware: str
    last_seen: int
    answers: bool | None
    residents: int | None
    faces: int | None
    face_capacity: int | None
    maintenance: bool | None
    pending: int
    overdue: int
    receipts_waiting: int | None
    lost_cards_pending: int
    problems: tuple[str, ...] = ()

    def public(self) -> dict[str, Any]:
        return {**asdict(self), "problems": list(self.problems)}


@dataclass(frozen=True)
class Overview:
    residents: int
    faces: int
    consents_to_renew: int
    pending: int
    overdue: int
    warning: str
    panels: list[PanelNow] = field(default_factory=list)

    @property
    def silent(self) -> list[PanelNow]:
        return [panel for panel in self.panels if panel.answers is False]

    def public(self) -> dict[str, Any]:
        return {**asdict(self), "panels": [panel.public() for panel in self.panels]}


def look(site: Site, ask: bool = True) -> Overview:
    """With `ask` every panel is asked, which also does what waits for it."""
    records = site.panel_records()
    ready = [record for record in records if ask and record.state == "active"]
    answers = dict(zip((record.panel_id for record in ready), crowd.each(site, ready, _ask), strict=True))
    panels = [_panel(site, record, ask, *answers.get(record.panel_id, ({}, []))) for record in records]
    return Overview(
        residents=len(site.residents()),
        faces=persons(site),
        consents_to_renew=len(renewal.outstanding(site)),
        pending=len(deadlines.pending(site)),
        overdue=len(ledger.overdue(site)),
        warning=filing_warning(site),
        panels=panels,
    )


def _ask(site: Site, panel: Panel) -> tuple[dict[str, Any], list[str]]:
    """What it says, and what is wrong with it."""
    try:
        said = panel.request("status")
    except IdentityChanged as error:
        return {}, [str(error)]
    except HostError:
        return {}, ["It does not answer. Check its power and its connection."]
    return said, _problems(site, said)


def _panel(site: Site, record: PanelRecord, ask: bool, said: dict[str, Any], problems: list[str]) -> PanelNow:
    if record.state == "pending":
        problems = ["It was never provisioned to the end. Run: menshen panel provision."]
    owed = deadlines.pending(site, None, record.panel_id)
    contact = contacts.of(site, record.panel_id)
    row = site.registry.row(
        "SELECT count(*) AS n FROM lost_cards WHERE panel_id = ? AND state = 'pending'", record.panel_id
    )
    return PanelNow(
        name=record.name,
        panel_id=record.panel_id.hex(),
        port=record.port,
        board=contact.board,
        firmware=contact.firmware,
        last_seen=contact.seen,
        answers=bool(said) if ask else None,
        residents=said.get("residents"),
        faces=said.get("faces"),
        face_capacity=said.get("face_capacity"),
        maintenance=said.get("maintenance"),
        pending=len(owed),
        overdue=len([deadline for deadline in owed if deadline.overdue(site.now())]),
        receipts_waiting=said.get("receipts_waiting"),
        lost_cards_pending=int(row["n"]) if row else 0,
        problems=tuple(problems),
    )


def _problems(site: Site, said: dict[str, Any]) -> list[str]:
    off = abs(said["time"] - site.now())
    found = {
        "Maintenance is on: the door opens for nobody. Run: menshen panel maintenance off.": said["maintenance"],
        "Its case is open.": said.get("tamper"),
        "Its camera does not work; PIN and card do. Run: menshen panel selftest.": said.get("camera") is False,
        "It has been given up and erases itself. Run: menshen panel decommission.": said.get("clearing"),
        f"{said.get('quarantined')} flash blocks refuse to be erased. Have it replaced.": said.get("quarantined"),
        "Its log was altered or cut off. Run: menshen log verify.": said.get("log_damage"),
        f"Its clock is {off} seconds off. Run: menshen panel set-time.": off > _CLOCK_OFF_S,
    }
    return [sentence for sentence, holds in found.items() if holds]
