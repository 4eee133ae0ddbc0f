"""`menshen deadlines`: the deletions that are owed, on which panel, and how long is left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import calendar, ledger, renewal, upkeep
from host_tools.cli.common import Json, SiteFile, listing, talk, waiting, when
from host_tools.errors import Overdue, Usage
from host_tools.site import Site, deadlines
from host_tools.site.deadlines import CAUSES, Deadline


def show(
    retry: Annotated[bool, typer.Option("--retry", help="First ask every panel again; run this once a day.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Confirmed ones too.")] = False,
    ics: Annotated[Path | None, typer.Option(help="Also write what is pending as a calendar file.")] = None,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Show which deletions are owed by which panel, and how long is left.

    With --retry, which belongs into a daily timer, consents that were not renewed end first, every panel is asked
    again, and its log is fetched.

    Changes: nothing; with --retry what panels confirm.
    JSON: [id, handle, panel_id, cause, reference, opened, due, state, confirmed, proof, tries, tried, problem, panel,
          who, due_unix, left, left_s, overdue]
    Exit codes: 18
    See also: menshen status, menshen deadline-days

    Examples:
      $ menshen deadlines
      $ menshen deadlines --retry
      $ menshen deadlines --all --ics deadlines.ics
    """
    with Site.open(site) as opened:
        if retry:
            with waiting("Asking panels again"):
                outcomes = upkeep.run(opened)
            for outcome in outcomes:
                if outcome.problem:
                    talk(f"{outcome.panel}: {outcome.problem}")
        rows = deadlines.of(opened) if everything else deadlines.pending(opened)
        items = [_row(opened, deadline) for deadline in rows]
        late = ledger.overdue(opened)
        due = renewal.outstanding(opened)
        if ics:
            _save(ics, calendar.ics(opened, rows))
    listing(json, items, ("panel", "who", "cause", "due", "left", "state", "problem"))
    if due:
        talk(f"Consents to renew after a changed notice: {len(due)}. See: menshen consent outstanding.")
    if late:
        raise Overdue(f"Overdue: {len(late)}. Reach these panels now and run menshen deadlines --retry.")


def set_days(
    cause: Annotated[str, typer.Argument(help=", ".join(CAUSES))],
    days: Annotated[int, typer.Argument(min=0, max=365)],
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Set how many days a deletion may take from now on: 5 unless set.

    Changes: the deadline of deletions that are owed from now on.
    JSON: [cause, days]
    Exit codes: 2
    See also: menshen deadlines

    Examples:
      $ menshen deadline-days move_out 3
    """
    if cause not in CAUSES:
        raise Usage(f"A cause is one of {', '.join(CAUSES)}.")
    with Site.open(site) as opened:
        opened.set_setting(f"days.{cause}", days)
    listing(json, [{"cause": cause, "days": days}], ("cause", "days"))


def left(seconds: int) -> str:
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    days, hours = divmod(seconds // 3600, 24)
    return f"{sign}{days} d {hours} h"


def _row(site: Site, deadline: Deadline) -> dict[str, Any]:
    names = {resident.handle: f"{resident.flat}/{resident.name}" for resident in site.residents()}
    seconds = deadline.due - site.now()
    return {
        **deadline.public(),
        "panel": site.panel_record(deadline.panel_id).name,
        "who": names.get(deadline.handle, deadline.handle.hex()),
        "due": when(deadline.due),
        "due_unix": deadline.due,
        "left": left(seconds) if deadline.state == "pending" else "",
        "left_s": seconds,
        "overdue": deadline.overdue(site.now()),
    }


def _save(path: Path, text: str) -> None:
    try:
        path.write_bytes(text.encode())
    except OSError as error:
        raise Usage(f"The calendar cannot be written to {path}: {error.strerror}.") from error
