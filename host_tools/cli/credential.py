"""`menshen credential`: PINs and cards, the other ways in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from host_tools import credentials
from host_tools.cli.common import Json, PanelName, SiteFile, Who, Yes, confirm, on_panel, result
from host_tools.errors import Usage

app = typer.Typer(help="Give out and revoke PINs and cards.", no_args_is_help=True)


@app.command()
def pin(
    resident: Who,
    choose: Annotated[
        bool, typer.Option("--choose", help="Read the PIN from the terminal or from stdin instead of making one up.")
    ] = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Set a PIN. A generated one is printed once and kept nowhere."""
    with on_panel(site, panel) as (opened, door):
        who = opened.resident(resident)
        made = credentials.set_pin(opened, door, who, _chosen() if choose else None)
    shown = None if choose else made
    told = "The PIN is set." if choose else f"The PIN of {who.name} is {made}. It is not kept: note it now."
    result(json, {"handle": who.handle.hex(), "pin": shown}, f"{told} At the keypad: {who.flat} # PIN #.")


@app.command()
def card(
    resident: Who,
    file: Annotated[Path, typer.Argument(help="The virtual card's file; a new card is made where there is none.")],
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Personalise a card with a key of its own and let the panel know that key."""
    with on_panel(site, panel) as (opened, door):
        who = opened.resident(resident)
        uid = credentials.issue_card(opened, door, who, file)
    data = {"handle": who.handle.hex(), "uid": uid.hex(), "file": str(file)}
    result(json, data, f"The card {uid.hex()} in {file} opens for {who.name}.")


@app.command()
def revoke(
    resident: Who,
    kind: Annotated[str, typer.Argument(metavar="pin|card")],
    uid: Annotated[str | None, typer.Option(help="One card only, by its UID in hex.")] = None,
    yes: Yes = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Revoke the PIN, one card, or all cards."""
    with on_panel(site, panel) as (opened, door):
        who = opened.resident(resident)
        what = f"card {uid}" if uid else {"pin": "PIN", "card": "every card"}.get(kind, kind)
        confirm(f"This revokes the {what} of {who.name} on {door.name}.", who.name, yes)
        dropped = credentials.revoke(opened, door, who, kind, _uid(uid))
    result(json, {"dropped": dropped}, f"Revoked: {dropped}.")


def _chosen() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("PIN", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().strip()


def _uid(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError as error:
        raise Usage("A card's UID is hex, such as 04a1b2c3d4e5f6.") from error
