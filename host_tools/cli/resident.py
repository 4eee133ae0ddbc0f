"""`menshen resident`: who lives here and which doors open for them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import typer

from host_tools import residents
from host_tools.cli.common import (
    DryRun,
    Json,
    PanelName,
    SiteFile,
    Who,
    Yes,
    confirm,
    listing,
    on_panel,
    result,
    waiting,
)
from host_tools.cli.help import Menu
from host_tools.errors import Queued
from host_tools.site import Resident, Site, deadlines

app = Menu("Add, import, list and move out residents.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Kept in the registry only; panels learn a random handle.")],
    flat: Annotated[str, typer.Option(help="The digits typed on the keypad.")],
    doors: Annotated[int, typer.Option(help="A bit for each door: 1 is door 0, 3 doors 0 and 1.", min=0)] = 1,
    until: Annotated[str, typer.Option(help="The last day of the rights, YYYY-MM-DD.", show_default="no end")] = "",
    under_14: Annotated[bool, typer.Option("--under-14", help="A guardian decides about this person's face.")] = False,
    born: Annotated[str, typer.Option(help="YYYY-MM-DD; only whether it is under 14 years ago is kept.")] = "",
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Add a resident. A card or a PIN opens the door for them; a face is their own choice.

    Changes: the resident in the registry, and on the panel under a random handle without the name.
    JSON: {handle, name, flat, doors, schedule, valid_from, valid_until, state, under_14}
    Exit codes: 2, 3, 11
    See also: menshen credential pin, menshen consent ask

    Examples:
      $ menshen resident add Bob --flat 302
      $ menshen resident add Carla --flat 303 --doors 3 --until 2027-06-30
    """
    child = under_14 or (bool(born) and residents.under_14(born, date.today()))
    with on_panel(site, panel) as (opened, door):
        resident = residents.add(
            opened, door, name, flat, doors=doors, valid_until=residents.end_of(until), under_14=child
        )
        sentence = f"{name} of flat {flat} is on {door.name}. Next: menshen credential pin '{name}'."
    result(json, resident.public(), sentence)


@app.command("list")
def list_(site: SiteFile = None, json: Json = False) -> None:
    """List residents with their ways in.

    Changes: nothing.
    JSON: [handle, name, flat, doors, schedule, valid_from, valid_until, state, under_14, ways, panels:states{}]
    See also: menshen status

    Examples:
      $ menshen resident list
    """
    with Site.open(site) as opened:
        items = [_row(opened, resident) for resident in opened.residents()]
    listing(json, items, ("flat", "name", "ways", "panels"))


@app.command("move-out")
def move_out(
    resident: Who, yes: Yes = False, dry_run: DryRun = False, site: SiteFile = None, json: Json = False
) -> None:
    """Move a resident out of every panel: rights, PIN, cards, and a face with a receipt.

    The name is forgotten once every panel has confirmed. A panel that cannot be reached is asked at the next contact.

    Changes: the resident opens no door any more; the face is erased.
    JSON: {handle, receipts[]}
    Exit codes: 2, 17
    See also: menshen certificate, menshen deadlines

    Examples:
      $ menshen resident move-out Bob --dry-run
      $ menshen resident move-out Bob --yes
    """
    with Site.open(site) as opened:
        found = opened.resident(resident)
        on = ", ".join(residents.placements(opened, found)) or "no panel"
        confirm(
            f"This moves {found.name} out of flat {found.flat} and erases every credential and face, on {on}.",
            found.name,
            yes,
            dry_run,
            json,
        )
        with waiting("Asking panels"):
            outcomes = residents.move_out(opened, found)
        pending = deadlines.pending(opened, found.handle)
    receipts = [outcome.receipt.hex() for outcome in outcomes if outcome.receipt]
    if pending:
        raise Queued(
            f"{found.name} is moved out, but {len(pending)} panels have not confirmed; they are asked again. "
            "See: menshen deadlines."
        )
    data = {"handle": found.handle.hex(), "receipts": receipts}
    told = f"{found.name} is moved out. Receipts for erased faces: {len(receipts)}."
    result(json, data, f"{told} Certificate: menshen certificate {found.handle.hex()}.")


def _row(site: Site, resident: Resident) -> dict[str, Any]:
    ways = [credential.kind for credential in site.credentials(resident) if credential.state == "active"]
    ways += ["face" for enrolment in site.enrolments(resident) if enrolment.state == "stored"]
    panels = residents.placements(site, resident)
    return {**resident.public(), "ways": ", ".join(ways), "panels": panels}
