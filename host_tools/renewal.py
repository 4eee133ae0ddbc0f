"""Changed notices: whoever consented to an older version is asked again, and erased who does not renew in time."""

from __future__ import annotations

from dataclasses import dataclass

from host_tools import ledger
from host_tools.errors import Usage
from host_tools.notices import Notice
from host_tools.site import Consent, Resident, Site, deadlines

RENEW_DAYS = 30


@dataclass(frozen=True)
class Renewal:
    """A consent to an older notice, of which `renew_by` is the last day."""

    resident: Resident
    panel: str
    consent: Consent
    renew_by: int


def adopt(site: Site, notice: Notice, days: int = RENEW_DAYS) -> list[Renewal]:
    """Puts a notice into force, in all its languages; those who now have `days` to renew."""
    latest = site.registry.row("SELECT max(version) AS version FROM notices WHERE name = ?", notice.name)
    if latest and latest["version"] and latest["version"] > notice.version:
        raise Usage(f"Version {latest['version']} of {notice.name} is in force already; this one is older.")
    with site.registry.transaction() as db:
        db.execute(
            "INSERT INTO notices VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (notice.name, notice.version, site.now(), site.now() + days * deadlines.DAY_S),
        )
    site.note("notice_adopted", notice=notice.label, version=notice.version, hash=notice.hash.hex())
    return outstanding(site)


def outdated(site: Site, consent: Consent) -> bool:
    return _renew_by(site, consent) is not None


def outstanding(site: Site) -> list[Renewal]:
    """Who has not renewed yet, the soonest due first."""
    residents = {resident.handle: resident for resident in site.residents()}
    found = []
    for record in site.panel_records():
        panel = site.link(record)
        for resident in residents.values():
            consent = site.consent(panel, resident)
            standing = _standing(site, panel.panel_id, resident) if consent else None
            renew_by = _renew_by(site, standing) if standing else None
            if standing and renew_by is not None:
                found.append(Renewal(resident, panel.name, standing, renew_by))
    return sorted(found, key=lambda renewal: renewal.renew_by)


def lapse(site: Site) -> list[ledger.Outcome]:
    """Ends the consents that were not renewed in time and erases their faces."""
    outcomes = []
    for renewal in outstanding(site):
        if renewal.renew_by >= site.now():
            continue
        panel = site.panel(renewal.panel)
        with site.registry.transaction() as db:
            db.execute(
                "UPDATE consents SET state = 'expired' WHERE handle = ? AND panel_id = ? "
                "AND state IN ('asked', 'given')",
                (renewal.resident.handle, panel.panel_id),
            )
        deadlines.open_(site, renewal.resident.handle, panel.panel_id, "notice")
        outcomes.append(ledger.attempt(site, panel, renewal.resident.handle))
    return outcomes


def _standing(site: Site, panel_id: bytes, resident: Resident) -> Consent | None:
    """The consent that is in force: a newer question that waits for its answer does not end it."""
    given = [c for c in site.consents(resident) if c.panel_id == panel_id and c.state == "given"]
    return given[-1] if given else None


def _renew_by(site: Site, consent: Consent) -> int | None:
    name = consent.notice.rpartition(".")[0]
    row = site.registry.row(
        "SELECT renew_by FROM notices WHERE name = ? AND version > ? ORDER BY version LIMIT 1",
        name,
        consent.notice_version,
    )
    return int(row["renew_by"]) if row else None
