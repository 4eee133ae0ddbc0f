"""`menshen credential`: PINs and cards, the other ways in."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from host_tools import credentials, lost_cards, readers, visitors
from host_tools.cli.common import (
    DryRun,
    Json,
    PanelName,
    SiteFile,
    Who,
    Yes,
    confirm,
    on_panel,
    progress,
    result,
    when,
)
from host_tools.cli.help import Menu
from host_tools.errors import Usage
from host_tools.site import Panel, Site

app = Menu("Give out and revoke PINs and cards.")


@app.command()
def pin(
    resident: Who,
    choose: Annotated[
        bool, typer.Option("--choose", help="Read the PIN from the terminal or from stdin instead of making one up.")
    ] = False,
    duress: Annotated[
        bool, typer.Option("--duress", help="A second PIN: it opens as usual and raises a silent alarm.")
    ] = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Set a PIN. One that is made up here is printed once and kept nowhere.

    Changes: the resident's PIN on the panel; an older one stops working.
    JSON: {handle, pin}
    Exit codes: 2, 3
    See also: menshen credential revoke

    Examples:
      $ menshen credential pin Ann
      $ menshen credential pin Ann --duress
    """
    with on_panel(site, panel) as (opened, door):
        who = opened.resident(resident)
        made = credentials.set_pin(opened, door, who, _chosen() if choose else None, duress=duress)
    shown = None if choose else made
    kind = "duress PIN" if duress else "PIN"
    told = f"The {kind} is set." if choose else f"The {kind} of {who.name} is {made}. It is not kept: note it now."
    result(json, {"handle": who.handle.hex(), "pin": shown}, f"{told} At the keypad: {who.flat} # PIN #.")


@app.command()
def card(
    resident: Who,
    file: Annotated[
        Path | None, typer.Argument(help="A virtual card's file; a factory's new card is made where there is none.")
    ] = None,
    desfire: Annotated[bool, typer.Option("--desfire", help="The new virtual card is a DESFire EV3.")] = False,
    reader: Annotated[str | None, typer.Option(metavar="PORT", help="A PN532 on this computer's serial port.")] = None,
    at_panel: Annotated[bool, typer.Option("--at-panel", help="Hold the card to the panel's own reader.")] = False,
    uid: Annotated[str | None, typer.Option(help="A card personalised before, for one more panel.")] = None,
    uid_only: Annotated[
        str | None, typer.Option(metavar="UID", help="A card of any kind by its UID, which can be copied.")
    ] = None,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Give a resident a card, with keys of its own.

    The card is personalised at a reader on this computer, at the panel's own, or in a virtual card's file; the panel
    gets the key for the door, never the master key.

    Changes: the card's keys; the card opens the panel's door from now on.
    JSON: {handle, uid, file}
    Exit codes: 2, 3, 4
    See also: menshen credential lost, menshen credential revoke

    Examples:
      $ menshen credential card Ann ann.card.json
      $ menshen credential card Tim tim.card.json --desfire
    """
    given = [place for place in (file, reader, at_panel or None, uid, uid_only) if place is not None]
    if len(given) != 1:
        raise Usage("Say where the card is: a FILE, --reader PORT, --at-panel, --uid UID or --uid-only UID.")
    with on_panel(site, panel) as (opened, door):
        who = opened.resident(resident)
        if uid is not None:
            done = _required(_uid(uid))
            credentials.admit_card(opened, door, who, done)
        elif uid_only is not None:
            done = _required(_uid(uid_only))
            credentials.admit_uid(opened, door, who, done)
        else:
            with _reader(door, file, desfire, reader) as held:
                done = credentials.personalise_card(opened, door, who, held)
    data = {"handle": who.handle.hex(), "uid": done.hex(), "file": str(file) if file else None}
    where = f" in {file}" if file else ""
    result(json, data, f"The card {done.hex()}{where} opens for {who.name}.")


@app.command()
def lost(
    uid: Annotated[str | None, typer.Argument(help="Its UID in hex; none: tell the panels again of all.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Report a card lost: no panel of the site accepts it ever again.

    A panel that cannot be reached now is told at the next contact. Without a UID every panel is told again of all.

    Changes: the card is barred for ever, whoever issues it again.
    JSON: {uid, panels:states{}}
    Exit codes: 2
    See also: menshen credential revoke

    Examples:
      $ menshen credential lost 04a1b2c3d4e5f6 --dry-run
      $ menshen credential lost 04a1b2c3d4e5f6 --yes
      $ menshen credential lost
    """
    with Site.open(site) as opened:
        if uid is None:
            records = progress(opened.panel_records(), "Telling panels")
            told = {record.name: lost_cards.resend(opened, opened.link(record)) for record in records}
            lines = [f"{name}: {count} lost cards" for name, count in told.items()]
            result(json, {"uid": None, "panels": told}, "\n".join(lines))
            return
        card_uid = _required(_uid(uid))
        confirm(f"This bars the card {card_uid.hex()} for ever, on every panel.", card_uid.hex(), yes, dry_run, json)
        states = lost_cards.report(opened, card_uid)
    waiting = [name for name, state in states.items() if state == "pending"]
    rest = f" Not reached yet: {', '.join(waiting)}; run this again." if waiting else ""
    result(json, {"uid": card_uid.hex(), "panels": states}, f"The card {card_uid.hex()} is barred.{rest}")


@app.command()
def visitor(
    flat: Annotated[str, typer.Argument(help="The flat that expects somebody.")],
    hours: Annotated[int, typer.Option(help="1, 2, 4, 12, 24, 72, 168 or 720.")] = 4,
    uses: Annotated[int, typer.Option(help="1, 2, 5 or 10; 0: as often as wanted until it ends.")] = 1,
    starts: Annotated[int | None, typer.Option(help="Unix seconds.", show_default="now")] = None,
    revoke: Annotated[str | None, typer.Option(metavar="CODE", help="Take a code back instead.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Write a code for a visitor, which ends by itself. The panel need not be connected.

    Changes: nothing on the panel, which recognises the code by itself; the registry notes that there is one, not which.
    JSON: {flat?, code?, valid_from?, valid_until?, uses?, revoked?}
    Exit codes: 2
    See also: menshen credential pin

    Examples:
      $ menshen credential visitor 301 --hours 4
      $ menshen credential visitor 301 --hours 72 --uses 0
    """
    with on_panel(site, panel) as (opened, door):
        if revoke is not None:
            confirm(f"This takes back a visitor's code for flat {flat} on {door.name}.", flat, yes, dry_run, json)
            visitors.revoke(opened, door, flat, revoke)
            result(json, {"revoked": True}, "The code opens no more.")
            return
        made = visitors.write(opened, door, flat, hours=hours, uses=uses, starts=starts)
    often = "as often as wanted" if not made.uses else "once" if made.uses == 1 else f"{made.uses} times"
    told = f"The code {made.code} opens {door.name} {often} until {when(made.valid_until)}."
    result(json, made.public(), f"{told} At the keypad: {flat} # CODE #.")


@app.command("uid-only")
def uid_only_(
    on: Annotated[bool, typer.Argument(metavar="on|off", parser=lambda word: _on_or_off(word))],
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Set whether cards without a key may open by their UID. Off unless set.

    Such a number can be copied by anybody who has stood near the card. Every change and every opening is logged.

    Changes: one rule of the panel.
    JSON: {uid_only}
    Exit codes: 2, 3
    See also: menshen credential card

    Examples:
      $ menshen credential uid-only on --dry-run
      $ menshen credential uid-only off
    """
    with on_panel(site, panel) as (opened, door):
        if on:
            confirm(
                f"From now on {door.name} opens for a number. Anybody who has stood near such a card for a second can "
                "read the number and show it with a copy or a phone; the panel cannot tell. Cards with keys stay safe.",
                door.name,
                yes,
                dry_run,
                json,
            )
        elif dry_run:
            confirm(f"From now on {door.name} opens for no card by its UID alone.", door.name, yes, dry_run, json)
        credentials.set_uid_only(opened, door, on)
    result(json, {"uid_only": on}, f"Cards by UID alone: {'allowed on ' + door.name if on else 'refused'}.")


@app.command()
def revoke(
    resident: Who,
    kind: Annotated[str, typer.Argument(metavar="pin|duress|card")],
    uid: Annotated[str | None, typer.Option(help="One card only, by its UID in hex.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Revoke the PIN, one card, or all cards of a resident.

    Changes: what is revoked opens no more; the other ways in go on working.
    JSON: {dropped}
    Exit codes: 2, 3
    See also: menshen credential lost, menshen resident move-out

    Examples:
      $ menshen credential revoke Ann duress --dry-run
      $ menshen credential revoke Ann duress --yes
    """
    with on_panel(site, panel) as (opened, door):
        who = opened.resident(resident)
        what = f"card {uid}" if uid else {"pin": "PIN", "duress": "duress PIN", "card": "every card"}.get(kind, kind)
        confirm(f"This revokes the {what} of {who.name} on {door.name}.", who.name, yes, dry_run, json)
        dropped = credentials.revoke(opened, door, who, kind, _uid(uid))
    result(json, {"dropped": dropped}, f"Revoked: {dropped}.")


def _chosen() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("PIN", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().strip()


def _reader(door: Panel, file: Path | None, desfire: bool, port: str | None) -> AbstractContextManager[readers.Reader]:
    if file is not None:
        return readers.card_file(file, desfire=desfire)
    print("Hold the card to the reader.", file=sys.stderr)
    return readers.serial_reader(port) if port is not None else readers.panel_reader(door)


def _required(uid: bytes | None) -> bytes:
    if not uid:
        raise Usage("A card's UID is hex, such as 04a1b2c3d4e5f6.")
    return uid


def _on_or_off(word: str) -> bool:
    if word not in ("on", "off"):
        raise typer.BadParameter("say on or off")
    return word == "on"


def _uid(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError as error:
        raise Usage("A card's UID is hex, such as 04a1b2c3d4e5f6.") from error
