"""`menshen consent`: the resident's decision about a stored face."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import consent as consents
from host_tools import notices, renewal
from host_tools.cli.common import Json, PanelName, SiteFile, Who, listing, on_panel, result, talk, waiting, when
from host_tools.errors import NoConsent, Queued
from host_tools.site import Consent, Site

app = typer.Typer(help="Ask for, record and withdraw consent to a stored face.", no_args_is_help=True)

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
    """Show the notice on the panel; the resident answers there with # or *."""
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
    """Record a consent given on paper."""
    text = notices.load(notice)
    with on_panel(site, panel) as (opened, door):
        who = opened.resident(resident)
        given = consents.give(opened, door, who, text, paper, witness=witness, guardian=guardian)
    result(json, given.public(), f"The consent of {who.name} is recorded (scan {given.evidence['sha256'][:16]}...).")


@app.command()
def withdraw(
    resident: Who,
    save: Annotated[Path | None, typer.Option(help="Where to save the receipt.")] = None,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Withdraw, everywhere unless --panel is given: the face is erased at once. Card and PIN go on working."""
    with Site.open(site) as opened:
        who = opened.resident(resident)
        if panel:
            done = [(panel, consents.withdraw(opened, opened.panel(panel), who))]
        else:
            done = consents.withdraw_everywhere(opened, who)
    got = [withdrawal.receipt for _, withdrawal in done if withdrawal.receipt]
    if save and got:
        save.write_bytes(got[0])
    waiting_for = [name for name, withdrawal in done if withdrawal.waiting]
    if waiting_for:
        raise Queued(
            f"{who.name} withdrew; it counts from now on. {', '.join(waiting_for)} could not do it yet and will be "
            "asked at the next contact. See: menshen deadlines."
        )
    data = {
        **done[0][1].consent.public(),
        "receipt": got[0].hex() if got else None,
        "panels": [{"panel": name, "receipt": w.receipt.hex() if w.receipt else None} for name, w in done],
    }
    erased = "The face is erased; the receipt is kept." if got else "No face was stored."
    result(json, data, f"{who.name} withdrew. {erased}")


@app.command()
def show(resident: Who, site: SiteFile = None, panel: PanelName = None, json: Json = False) -> None:
    """Show the consent on record, and the notice it was given to."""
    with Site.open(site) as opened:
        consent = opened.consent(opened.panel(panel), opened.resident(resident))
    if consent is None:
        raise NoConsent(f"{resident} was never asked for consent. Run: menshen consent ask.")
    result(json, consent.public(), _told(consent))


@app.command()
def adopt(
    notice: Annotated[str, typer.Argument(help="The new version: a notice that ships with menshen, or a .txt file.")],
    days: Annotated[int, typer.Option(help="Days to renew; who does not is erased.", min=0, max=365)] = 30,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Put a changed notice into force: everybody who agreed to an older version is to be asked again."""
    with Site.open(site) as opened:
        due = renewal.adopt(opened, notices.load(notice), days)
    result(json, [_due(item) for item in due], f"In force. To be asked again: {len(due)}.")


@app.command()
def outstanding(site: SiteFile = None, json: Json = False) -> None:
    """List who has not renewed after a changed notice, and until when they can."""
    with Site.open(site) as opened:
        items = [_due(item) for item in renewal.outstanding(opened)]
    listing(json, items, ("name", "panel", "notice", "version", "renew_by"))


@app.command()
def notice(
    name: Annotated[str, typer.Argument(help="Such as face-door.zh.")] = "face-door.en", json: Json = False
) -> None:
    """Print a notice in full, to hand over or to sign."""
    text = notices.load(name)
    data = {"notice": text.label, "version": text.version, "hash": text.hash.hex(), "text": text.text}
    if not json:
        talk(f"{text.label}, version {text.version}, SHA-256 {text.hash.hex()}")
    result(json, data, f"{text.title}\n\n{text.text}")


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
