"""Consent to a stored face: asked at the panel or given on paper, and withdrawn at any time.

A consent names the notice it was given to by the text's hash; the panel stores a face only under a consent
it knows. A person under 14 cannot consent: a parent or guardian does, on paper, and that is part of the record.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools import ledger, receipts
from host_tools.errors import HostError, NoConsent, Usage
from host_tools.notices import Notice
from host_tools.site import Consent, Panel, Resident, Site, deadlines
from host_tools.site.deadlines import Deadline
from host_tools.site.sending import sending

_POLL_S = 0.25


@dataclass(frozen=True)
class Withdrawal:
    """`receipt`: of the face's wipe; None where no face was stored, or while `waiting` holds what is still owed."""

    consent: Consent
    receipt: bytes | None
    waiting: Deadline | None = None
    problem: str = ""


def ask(
    site: Site,
    panel: Panel,
    resident: Resident,
    notice: Notice,
    wait_s: float = 0,
    waiting: Callable[[], None] | None = None,
) -> Consent:
    """Shows the notice on the panel, where the resident answers on the keypad; waits so long for the answer.

    The consent comes back in whatever state it then is; `refresh` looks again. `waiting` is called while
    waiting.
    """
    if resident.under_14:
        raise NoConsent(
            f"{resident.name} is under 14: a parent or guardian decides, on paper. "
            "Run: menshen consent give --guardian NAME."
        )
    standing = site.consent(panel, resident)
    if standing and standing.state == "given" and standing.notice_hash == notice.hash:
        return standing
    consent_id = _begin(site, panel, resident, notice, {"how": "keypad", "panel": panel.name})
    with sending(site, lambda db: db.execute("DELETE FROM consents WHERE consent_id = ?", (consent_id,))):
        panel.request(
            "consent_ask",
            handle=resident.handle,
            consent_id=consent_id,
            notice_hash=notice.hash,
            title=notice.title,
            lines=notice.lines(),
        )
    deadline = time.monotonic() + wait_s
    consent = refresh(site, panel, resident)
    while consent.state == "asked" and time.monotonic() < deadline:
        if waiting:
            waiting()
        time.sleep(_POLL_S)
        consent = refresh(site, panel, resident)
    return consent


def give(
    site: Site,
    panel: Panel,
    resident: Resident,
    notice: Notice,
    paper: Path,
    *,
    witness: str = "",
    guardian: str = "",
) -> Consent:
    """Records a consent given on paper, of which the file is a scan; the file itself is not kept.

    `guardian`: who signed for a person under 14, and as what; NoConsent without.
    """
    if resident.under_14 and not guardian.strip():
        raise NoConsent(f"{resident.name} is under 14: name the parent or guardian who signed, with --guardian.")
    try:
        digest = hashlib.sha256(paper.read_bytes()).hexdigest()
    except OSError as error:
        raise Usage(f"The signed paper {paper} cannot be read: {error.strerror}.") from error
    evidence = {"how": "paper", "file": paper.name, "sha256": digest}
    evidence |= {"witness": witness} if witness else {}
    evidence |= {"guardian": guardian} if guardian else {}
    consent_id = _begin(site, panel, resident, notice, evidence)
    with sending(site, lambda db: db.execute("DELETE FROM consents WHERE consent_id = ?", (consent_id,))):
        panel.request("consent_grant", handle=resident.handle, consent_id=consent_id, notice_hash=notice.hash)
    return _decided(site, panel, resident, "given", site.now())


def refresh(site: Site, panel: Panel, resident: Resident) -> Consent:
    """Takes over what was answered, or withdrawn, at the panel. Raises NoConsent when none was asked."""
    consent = _latest(site, panel, resident)
    answer = panel.request("consent_state", handle=resident.handle)
    if answer.get("consent_id") != consent.consent_id or answer["state"] in (consent.state, "none"):
        return consent
    if answer["state"] in ("withdrawn", "declined"):  # a no to a changed notice ends what was agreed to before
        receipts.collect(site, panel)
    return _decided(site, panel, resident, answer["state"], answer.get("time") or site.now())


def withdraw(site: Site, panel: Panel, resident: Resident) -> Withdrawal:
    """Ends the consent and wipes the face; repeating it changes nothing.

    It counts from now on, also when the panel cannot be reached: then it waits in the ledger for the next contact.
    """
    latest = _latest(site, panel, resident)
    if latest.state == "withdrawn" and not deadlines.pending(site, resident.handle, panel.panel_id):
        return Withdrawal(latest, _receipt_of(site, panel, resident, latest.withdrawn))
    deadline = deadlines.open_(site, resident.handle, panel.panel_id, "withdrawal")
    if latest.state != "withdrawn":
        latest = _decided(site, panel, resident, "withdrawn", site.now())
    try:
        return Withdrawal(latest, ledger.carry_out(site, panel, resident.handle))
    except HostError as error:
        return Withdrawal(latest, None, deadline, str(error))


def doors_of(site: Site, resident: Resident) -> list[Panel]:
    """Every panel that ever asked for consent. Raises NoConsent where none did."""
    asked = {consent.panel_id for consent in site.consents(resident)}
    found = [site.link(record) for record in site.panel_records() if record.panel_id in asked]
    if not found:
        raise NoConsent(f"{resident.name} was never asked for consent. Run: menshen consent ask.")
    return found


def withdraw_everywhere(site: Site, resident: Resident) -> list[tuple[str, Withdrawal]]:
    """From every panel that ever asked for consent, by the panel's name. Raises NoConsent where none did."""
    return [(panel.name, withdraw(site, panel, resident)) for panel in doors_of(site, resident)]


def _receipt_of(site: Site, panel: Panel, resident: Resident, since: int) -> bytes | None:
    owed = [
        deadline.receipt
        for deadline in deadlines.of(site, resident.handle, panel.panel_id)
        if deadline.cause == "withdrawal" and deadline.opened >= since - 1
    ]
    return owed[-1] if owed else None


def _latest(site: Site, panel: Panel, resident: Resident) -> Consent:
    consent = site.consent(panel, resident)
    if consent is None:
        raise NoConsent(f"{resident.name} was never asked for consent. Run: menshen consent ask.")
    return consent


def _begin(site: Site, panel: Panel, resident: Resident, notice: Notice, evidence: dict[str, Any]) -> bytes:
    """The id of a new consent, or of the one under way when the same was asked before and cut short."""
    standing = site.consent(panel, resident)
    if standing and standing.state == "asked" and standing.notice_hash == notice.hash:
        consent_id = standing.consent_id
    else:
        consent_id = os.urandom(16)
    with site.registry.transaction() as db:
        db.execute(
            "INSERT INTO consents (consent_id, handle, panel_id, notice, notice_version, "
            "notice_hash, "
            "state, evidence, asked) VALUES (?, ?, ?, ?, ?, ?, 'asked', ?, ?) "
            "ON CONFLICT (consent_id) DO UPDATE SET evidence = excluded.evidence, asked = excluded.asked",
            (
                consent_id,
                resident.handle,
                panel.panel_id,
                notice.label,
                notice.version,
                notice.hash,
                json.dumps(evidence, ensure_ascii=False),
                site.now(),
            ),
        )
    return consent_id


def _decided(site: Site, panel: Panel, resident: Resident, state: str, when: int) -> Consent:
    consent = _latest(site, panel, resident)
    with site.registry.transaction() as db:
        if state == "withdrawn":  # of everything agreed to before as well
            db.execute(
                "UPDATE consents SET state = 'withdrawn', withdrawn = ? WHERE panel_id = ? AND handle = ? "
                "AND state IN ('asked', 'given')",
                (when, panel.panel_id, resident.handle),
            )
        else:
            db.execute(
                "UPDATE consents SET state = 'expired' WHERE panel_id = ? AND handle = ? AND state = 'given'",
                (panel.panel_id, resident.handle),
            )
            db.execute(
                "UPDATE consents SET state = ?, decided = ? WHERE consent_id = ?",
                (state, when, consent.consent_id),
            )
    site.note(f"consent_{state}", resident.handle, panel.panel_id, consent=consent.consent_id.hex())
    return _latest(site, panel, resident)
