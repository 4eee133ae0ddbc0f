"""`menshen resident`: who lives here and which doors open for them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import residents, roster
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
    progress,
    result,
    talk,
    waiting,
    when,
)
from host_tools.cli.help import Menu
from host_tools.errors import Queued, Usage
from host_tools.site import Resident, Site, deadlines

_MOST_TOLD = 40

app = Menu("Add, import, change, list and move out residents.")


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
    See also: menshen resident import, menshen credential pin, menshen consent ask

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


@app.command()
def change(
    resident: Who,
    doors: Annotated[
        int | None, typer.Option(help="A bit for each door: 1 is door 0, 3 doors 0 and 1.", min=0, max=0xFFFFFFFF)
    ] = None,
    since: Annotated[str | None, typer.Option(help='The first day of the rights, YYYY-MM-DD; "": at once.')] = None,
    until: Annotated[str | None, typer.Option(help='The last day of the rights, YYYY-MM-DD; "": no end.')] = None,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Change a resident's rights; PIN, cards, consent and face stay as they are.

    Changes: the rights in the registry, and on every panel that knows the resident.
    JSON: {handle, name, flat, doors, schedule[], valid_from, valid_until, state, under_14}
    Exit codes: 2, 3, 9
    See also: menshen resident import, menshen policy check

    Examples:
      $ menshen resident change Ann --doors 3 --until 2027-12-31
      $ menshen resident change Ann --until ''
    """
    if (doors, since, until) == (None, None, None):
        raise Usage("Name what to change. See: menshen resident change --help.")
    with Site.open(site) as opened, waiting("Sending"):
        changed = residents.change(
            opened,
            opened.resident(resident),
            doors=doors,
            valid_from=None if since is None else residents.start_of(since),
            valid_until=None if until is None else residents.end_of(until),
        )
    result(json, changed.public(), f"The rights of {changed.name} are changed. Next: menshen policy check.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A .csv or .xlsx file; its first row names the columns.")],
    everywhere: Annotated[bool, typer.Option("--everywhere", help="Onto every panel of the site.")] = False,
    move_out_missing: Annotated[
        bool, typer.Option("--move-out-missing", help="Who is on the panel and not in the file moves out.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Take over a list of residents from CSV or Excel, after a preview.

    Columns: name (姓名) and flat (房号); where wanted also doors (门), from (生效日期), until (到期日期) and born
    (出生日期). A column that is not there leaves what is on record as it is. Residents are known by flat and name.
    CSV is UTF-8 or GB18030, with commas, semicolons or tabs; formulas are refused. One bad row and nothing is changed;
    every bad row is told with its line.

    Changes: new residents and changed rights, in the registry and on the panel; with --move-out-missing, residents who
    are not in the file move out with everything of theirs.
    JSON: {added[name, flat, line], changed[name, flat, line, changes{}], unchanged, missing[name, flat, handle],
          problems[line, column, what], receipts[]}
    Exit codes: 2, 3, 11, 17
    See also: menshen resident template, menshen resident list, menshen resident move-out

    Examples:
      $ menshen resident import residents.csv --dry-run
      $ menshen resident import residents.csv --yes
      $ menshen resident import residents.csv --move-out-missing --dry-run
    """
    try:
        entries = roster.read(file)
    except roster.BadRoster as error:
        for problem in error.problems[:_MOST_TOLD]:
            talk(str(problem))
        if len(error.problems) > _MOST_TOLD:
            talk(f"... and {len(error.problems) - _MOST_TOLD} more.")
        if json:
            Stdout.document({**_preview(roster.Plan([], [], 0, [])), "problems": [vars(p) for p in error.problems]})
        raise
    with Site.open(site) as opened:
        doors = [opened.link(record) for record in opened.panel_records()] if everywhere else [opened.panel(panel)]
        plan = roster.compare(opened, doors, entries)
        leaving = plan.missing if move_out_missing else []
        told = _told(plan, leaving, ", ".join(door.name for door in doors))
        if not plan and not leaving:
            result(json, _preview(plan), told)
            return
        confirm(told, "import", yes, dry_run, json, **_preview(plan))
        roster.check_room(doors, plan)
        for change in progress([*plan.added, *plan.changed], "Sending"):
            roster.apply(opened, doors, change)
        outcomes = [outcome for gone in progress(leaving, "Moving out") for outcome in residents.move_out(opened, gone)]
        pending = [owed for gone in leaving for owed in deadlines.pending(opened, gone.handle)]
    receipts = [outcome.receipt.hex() for outcome in outcomes if outcome.receipt]
    sentence = f"Taken over: {len(plan.added)} new, {len(plan.changed)} changed, {len(leaving)} moved out."
    result(json, {**_preview(plan), "receipts": receipts}, sentence)
    if pending:
        raise Queued(f"Moved out, but not confirmed by a panel yet: {len(pending)}. See: menshen deadlines.")


@app.command()
def template(
    file: Annotated[Path, typer.Argument(help="A new .xlsx file.")],
    json: Json = False,
) -> None:
    """Write an empty list of residents for Excel, with its columns explained.

    Changes: the file FILE.
    JSON: {file}
    Exit codes: 2
    See also: menshen resident import

    Examples:
      $ menshen resident template list.xlsx
    """
    if file.suffix.lower() != ".xlsx":
        raise Usage("A template is an Excel file: call it .xlsx.")
    if file.exists():
        raise Usage(f"{file} is there already. Choose another name.")
    roster.write_template(file)
    result(json, {"file": str(file)}, f"Saved as {file}. Fill it in, then: menshen resident import {file}.")


@app.command("move-out")
def move_out(
    resident: Who, yes: Yes = False, dry_run: DryRun = False, site: SiteFile = None, json: Json = False
) -> None:
    """Move a resident out of every panel: rights, PIN, cards, and a face with a receipt.

    The name is forgotten once every panel has confirmed. A panel that cannot be reached is asked at the next contact.

    Changes: the resident opens no door any more; the face is erased.
    JSON: {handle, receipts[]}
    Exit codes: 2, 17
    See also: menshen certificate, menshen deadlines, menshen resident import

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
    data = {"handle": found.handle.hex(), "receipts": receipts}
    if pending:
        if json:
            Stdout.document(data)
        raise Queued(
            f"{found.name} is moved out, but {len(pending)} panels have not confirmed; they are asked again. "
            "See: menshen deadlines."
        )
    told = f"{found.name} is moved out. Receipts for erased faces: {len(receipts)}."
    result(json, data, f"{told} Certificate: menshen certificate {found.handle.hex()}.")


def _preview(plan: roster.Plan) -> dict[str, Any]:
    def told(change: roster.Change) -> dict[str, Any]:
        return {"name": change.entry.name, "flat": change.entry.flat, "line": change.entry.line}

    return {
        "added": [told(change) for change in plan.added],
        "changed": [
            {**told(change), "changes": {name: list(both) for name, both in change.becomes.items()}}
            for change in plan.changed
        ],
        "unchanged": plan.unchanged,
        "missing": [{"name": r.name, "flat": r.flat, "handle": r.handle.hex()} for r in plan.missing],
        "problems": [],
        "receipts": [],
    }


def _told(plan: roster.Plan, leaving: list[Resident], where: str) -> str:
    """What a file would change, a line each, the counts last."""
    lines = [f"+ {change.entry.flat}/{change.entry.name}" for change in plan.added]
    for change in plan.changed:
        pairs = [(name, _value(name, old), _value(name, new)) for name, (old, new) in change.becomes.items()]
        what = ", ".join(f"{name} {old} -> {new}" for name, old, new in pairs)
        lines.append(f"~ {change.entry.flat}/{change.entry.name}: {what or 'was not sent to the end'}")
    lines += [f"- {resident.flat}/{resident.name} moves out: every credential and face" for resident in leaving]
    if len(lines) > _MOST_TOLD:
        lines = [*lines[:_MOST_TOLD], f"... and {len(lines) - _MOST_TOLD} more."]
    counts = (
        f"{len(plan.added)} new, {len(plan.changed)} changed, {plan.unchanged} unchanged, {len(leaving)} moving out"
    )
    lines.append(f"On {where}: {counts}.")
    if plan.missing and not leaving:
        lines.append(f"Not in the file, and staying: {len(plan.missing)} (--move-out-missing moves them out).")
    return "\n".join(lines)


def _value(name: str, value: Any) -> str:
    if name in ("valid_from", "valid_until"):
        return when(value)
    if name == "doors":
        return "doors " + " ".join(str(door) for door in range(32) if value >> door & 1)
    return str(value)


def _row(site: Site, resident: Resident) -> dict[str, Any]:
    ways = [credential.kind for credential in site.credentials(resident) if credential.state == "active"]
    ways += ["face" for enrolment in site.enrolments(resident) if enrolment.state == "stored"]
    panels = residents.placements(site, resident)
    return {**resident.public(), "ways": ", ".join(ways), "panels": panels}
