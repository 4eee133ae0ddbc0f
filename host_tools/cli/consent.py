"""`menshen consent`: the resident's decision about a stored face."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import consent as consents
from host_tools import notices, renewal
from host_tools.cli.common import (
    DryRun,
    Json,
    PanelName,
    SiteFile,
    Stdout,
    Who,
    Yes,
    confirm,
    listing,
    on_panel,
    result,
    talk,
    waiting,
    when,
)
from host_tools.cli.help import Menu
from host_tools.errors import NoConsent, Queued
from host_tools.site import Consent, Site

app = Menu("Ask for, record and withdraw consent to a stored face.")

NoticeName = Annotated[
    str, typer.Option("--notice", help="A notice that ships with menshen, or a .txt file: face-door.zh, face-door.en.")
]


@app.command()
def ask(
    resident: Who,
    notice: NoticeName = "face-door.en",
    wait: Annotated[float, typer.Option(help="Seconds to wait for the answer.")] = 180,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Show the notice on the panel; the resident answers there.

    On the keypad # accepts, after the last page, and * declines, on any page. Silence is no consent.

    Changes: a question on the panel, and the answer in the panel and the registry.
    JSON: {consent_id, notice, notice_version, notice_hash, state, evidence{}, asked, decided, withdrawn}
    Exit codes: 3, 5, 9
    See also: menshen consent give, menshen enrol

    Examples:
      $ menshen consent ask Ann --wait 0
      $ menshen consent ask Ann --notice face-door.zh --wait 180
    """
    text = notices.load(notice)
    with on_panel(site, panel) as (opened, door):
        who = opened.resident(resident)
        with waiting(f"The notice is on {door.name}'s screen: # is yes, * is no"):
            answer = consents.ask(opened, door, who, text, wait)
    if answer.state != "given":
        what = {"asked": "has not answered yet", "declined": "declined"}.get(answer.state, f"is {answer.state}")
        raise NoConsent(f"{who.name} {what}. Card and PIN open the same doors: menshen credential.")
    result(json, answer.public(), f"{who.name} consented at {door.name}. Next: menshen enrol '{who.name}'.")


@app.command()
def give(
    resident: Who,
    paper: Annotated[Path, typer.Option(help="A scan of the signed notice; its hash is kept, the file is not.")],
    notice: NoticeName = "face-door.en",
    witness: Annotated[str, typer.Option(help="Who saw it signed.")] = "",
    guardian: Annotated[str, typer.Option(help="Who signed for a person under 14, and as what.")] = "",
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Record a consent given on paper.

    The scan's hash is kept as evidence, the scan is not. For a person under 14 a guardian signs.

    Changes: the consent in the panel and the registry.
    JSON: {consent_id, notice, notice_version, notice_hash, state, evidence{}, asked, decided, withdrawn}
    Exit codes: 2, 3, 5
    See also: menshen consent notice, menshen enrol

    Examples:
      $ menshen consent give Ann --paper signed.pdf --witness 'Li Wei'
      $ menshen consent give Tim --paper signed.pdf --guardian 'Ann, mother'
    """
    text = notices.load(notice)
    with on_panel(site, panel) as (opened, door):
        who = opened.resident(resident)
        given = consents.give(opened, door, who, text, paper, witness=witness, guardian=guardian)
    result(json, given.public(), f"The consent of {who.name} is recorded (scan {given.evidence['sha256'][:16]}...).")


@app.command()
def withdraw(
    resident: Who,
    save: Annotated[
        Path | None, typer.Option(help="Where to save the receipt; several get the panel's name added.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Withdraw a consent, everywhere unless --panel is given: the face is erased at once.

    Card and PIN go on working. Residents can do this themselves at the panel, by * and their card or PIN. A panel that
    cannot be reached is asked at the next contact; until then the deletion stands in the ledger with its deadline.

    Changes: the consent ends; the face is erased from the panels, each of which signs a receipt.
    JSON: {consent_id, notice, notice_version, notice_hash, state, evidence{}, asked, decided, withdrawn,
          receipt, panels[panel, receipt]}
    Exit codes: 2, 5, 17
    See also: menshen wipe, menshen certificate, menshen deadlines

    Examples:
      $ menshen consent withdraw Ann --dry-run
      $ menshen consent withdraw Ann --yes --save ann.receipt
    """
    with Site.open(site) as opened:
        who = opened.resident(resident)
        doors = [opened.panel(panel)] if panel else consents.doors_of(opened, who)
        where = ", ".join(door.name for door in doors)
        confirm(
            f"This ends the consent of {who.name} (flat {who.flat}) and erases the face from {where} for good.",
            who.name,
            yes,
            dry_run,
            json,
        )
        with waiting("Erasing"):
            done = [(door.name, consents.withdraw(opened, door, who)) for door in doors]
    got = {name: withdrawal.receipt for name, withdrawal in done if withdrawal.receipt}
    if save:
        _save(save, got)
    data = {
        **done[0][1].consent.public(),
        "receipt": next((receipt.hex() for receipt in got.values()), None),
        "panels": [{"panel": name, "receipt": got[name].hex() if name in got else None} for name, _ in done],
    }
    waiting_for = [name for name, withdrawal in done if withdrawal.waiting]
    if waiting_for:
        if json:
            Stdout.document(data)
        raise Queued(
            f"{who.name} withdrew; it counts from now on. {', '.join(waiting_for)} could not do it yet and will be "
            "asked at the next contact. See: menshen deadlines."
        )
    erased = "The face is erased; the receipt is kept." if got else "No face was stored."
    result(json, data, f"{who.name} withdrew. {erased}")


@app.command()
def show(resident: Who, site: SiteFile = None, panel: PanelName = None, json: Json = False) -> None:
    """Show the consent on record, and the notice it was given to.

    Changes: nothing.
    JSON: {consent_id, notice, notice_version, notice_hash, state, evidence{}, asked, decided, withdrawn}
    Exit codes: 2, 5
    See also: menshen consent notice

    Examples:
      $ menshen consent show Ann
    """
    with Site.open(site) as opened:
        consent = opened.consent(opened.panel(panel), opened.resident(resident))
    if consent is None:
        raise NoConsent(f"{resident} was never asked for consent. Run: menshen consent ask.")
    result(json, consent.public(), _told(consent))


@app.command()
def adopt(
    notice: Annotated[str, typer.Argument(help="The new version: a notice that ships with menshen, or a .txt file.")],
    days: Annotated[int, typer.Option(help="Days to renew; who does not is erased.", min=0, max=365)] = 30,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Put a changed notice into force.

    Everybody who agreed to an older version is to be asked again. Who has not renewed when the days are over is erased.

    Changes: which version of the notice counts; deletions fall due after the days given.
    JSON: [name, handle, panel, notice, version, renew_by]
    Exit codes: 2
    See also: menshen consent outstanding, menshen deadlines

    Examples:
      $ menshen consent adopt face-door.en --days 30 --dry-run
      $ menshen consent adopt face-door.en --days 30 --yes
    """
    text = notices.load(notice)
    confirm(
        f"This puts {text.label} version {text.version} into force: who agreed to an older version and does not renew "
        f"within {days} days is erased.",
        text.label,
        yes,
        dry_run,
        json,
    )
    with Site.open(site) as opened:
        due = renewal.adopt(opened, text, days)
    result(json, [_due(item) for item in due], f"In force. To be asked again: {len(due)}.")


@app.command()
def outstanding(site: SiteFile = None, json: Json = False) -> None:
    """List who has not renewed after a changed notice, and until when they can.

    Changes: nothing.
    JSON: [name, handle, panel, notice, version, renew_by]
    See also: menshen consent adopt

    Examples:
      $ menshen consent outstanding
    """
    with Site.open(site) as opened:
        items = [_due(item) for item in renewal.outstanding(opened)]
    listing(json, items, ("name", "panel", "notice", "version", "renew_by"))


@app.command()
def notice(
    name: Annotated[str, typer.Argument(help="Such as face-door.zh.")] = "face-door.en", json: Json = False
) -> None:
    """Print a notice in full, to hand over or to sign.

    Changes: nothing.
    JSON: {notice, version, hash, text}
    Exit codes: 2
    See also: menshen consent give

    Examples:
      $ menshen consent notice face-door.zh
    """
    text = notices.load(name)
    data = {"notice": text.label, "version": text.version, "hash": text.hash.hex(), "text": text.text}
    if not json:
        talk(f"{text.label}, version {text.version}, SHA-256 {text.hash.hex()}")
    result(json, data, f"{text.title}\n\n{text.text}")


def _save(path: Path, receipts: dict[str, bytes]) -> None:
    """A file that cannot be written is no reason to say that the face was not erased."""
    for panel, receipt in receipts.items():
        name = panel.replace("/", "-")
        file = path if len(receipts) == 1 else path.with_name(f"{path.stem}-{name}{path.suffix}")
        try:
            file.write_bytes(receipt)
        except OSError as error:
            talk(f"The receipt cannot be saved as {file}: {error.strerror}. It is kept: menshen receipt save.")


def _due(item: renewal.Renewal) -> dict[str, Any]:
    return {
        "name": item.resident.name,
        "handle": item.resident.handle.hex(),
        "panel": item.panel,
        "notice": item.consent.notice,
        "version": item.consent.notice_version,
        "renew_by": when(item.renew_by),
    }


def _told(consent: Consent) -> str:
    times: dict[str, Any] = {name: getattr(consent, name) for name in ("asked", "decided", "withdrawn")}
    lines = [f"{consent.state}: {consent.notice} version {consent.notice_version}, {consent.notice_hash.hex()}"]
    lines += [f"{name}: {when(seconds)}" for name, seconds in times.items() if seconds]
    return "\n".join([*lines, f"evidence: {json_.dumps(consent.evidence, ensure_ascii=False)}"])
