"""`menshen resident`: who lives here and which doors open for them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import typer

from host_tools import residents
from host_tools.cli.common import Json, PanelName, SiteFile, Who, Yes, confirm, listing, on_panel, result
from host_tools.errors import Queued
from host_tools.site import Resident, Site, deadlines

app = typer.Typer(help="Add, list and remove residents.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Kept in the registry only; panels learn a random handle.")],
    flat: Annotated[str, typer.Option(help="The digits typed on the keypad.")],
    doors: Annotated[int, typer.Option(help="A bit for each door: 1 is door 0, 3 doors 0 and 1.", min=0)] = 1,
    until: Annotated[int, typer.Option(help="When the rights end, Unix seconds; 0: never.", min=0)] = 0,
    under_14: Annotated[bool, typer.Option("--under-14", help="A guardian decides about this person's face.")] = False,
    born: Annotated[str, typer.Option(help="YYYY-MM-DD; only whether it is under 14 years ago is kept.")] = "",
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Add a resident. A card or a PIN opens the door for them; a face is their own choice."""
    child = under_14 or (bool(born) and residents.under_14(born, date.today()))
    with on_panel(site, panel) as (opened, door):
        resident = residents.add(opened, door, name, flat, doors=doors, valid_until=until, under_14=child)
        sentence = f"{name} of flat {flat} is on {door.name}. Next: menshen credential pin '{name}'."
    result(json, resident.public(), sentence)


@app.command("list")
def list_(site: SiteFile = None, json: Json = False) -> None:
    """List residents with their ways in."""
    with Site.open(site) as opened:
        items = [_row(opened, resident) for resident in opened.residents()]
    listing(json, items, ("flat", "name", "ways", "panels"))


@app.command()
def remove(resident: Who, yes: Yes = False, site: SiteFile = None, json: Json = False) -> None:
    """Remove a resident from every panel: rights, PIN, cards, and a face with a receipt."""
    with Site.open(site) as opened:
        found = opened.resident(resident)
        on = ", ".join(residents.placements(opened, found)) or "no panel"
        confirm(
            f"This removes {found.name} of flat {found.flat} with every credential and face, on {on}.",
            found.name,
            yes,
        )
        outcomes = residents.remove(opened, found)
        pending = deadlines.pending(opened, found.handle)
    receipts = [outcome.receipt.hex() for outcome in outcomes if outcome.receipt]
    if pending:
        raise Queued(
            f"{found.name} is removed, but {len(pending)} panels have not confirmed; they are asked again. "
            "See: menshen deadlines."
        )
    data = {"handle": found.handle.hex(), "receipts": receipts}
    told = f"{found.name} is removed. Receipts for erased faces: {len(receipts)}."
    result(json, data, f"{told} Certificate: menshen certificate {found.handle.hex()}.")


def _row(site: Site, resident: Resident) -> dict[str, Any]:
    ways = [credential.kind for credential in site.credentials(resident) if credential.state == "active"]
    ways += ["face" for enrolment in site.enrolments(resident) if enrolment.state == "stored"]
    panels = residents.placements(site, resident)
    return {**resident.public(), "ways": ", ".join(ways), "panels": panels}
