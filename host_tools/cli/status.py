"""`menshen status`: the whole site at a glance."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from host_tools import overview
from host_tools.cli.common import Json, SiteFile, Stdout, listing, talk, waiting, when
from host_tools.errors import NoPanel, Overdue
from host_tools.overview import Overview, PanelNow
from host_tools.site import Site


def status(
    offline: Annotated[bool, typer.Option("--offline", help="Ask no panel; tell what is on record.")] = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Show the whole site at a glance.

    Each panel with its version, when it was last heard, what waits for it and what is overdue. Panels are asked, and
    what waited for them is done on the way. The exit code says what needs somebody: 18 when a deletion is overdue,
    else 3 when a panel does not answer.

    Changes: nothing but what waited for the panels.
    JSON: {residents:site, faces:site, consents_to_renew, pending:site, overdue:count, warning, panels[name, panel_id,
          port, board:panel, firmware, last_seen, answers:flag, residents, faces, face_capacity, maintenance, pending,
          overdue:count, receipts_waiting, lost_cards_pending, problems[]]}
    Exit codes: 3, 18
    See also: menshen deadlines, menshen panel status

    Examples:
      $ menshen status
      $ menshen status --offline
      $ menshen status --json
    """
    with Site.open(site) as opened, waiting("Reading" if offline else "Asking panels"):
        found = overview.look(opened, ask=not offline)
    if json:
        Stdout.document(found.public())
    else:
        _tell(found)
    if found.overdue:
        raise Overdue(f"Overdue deletions: {found.overdue}. Reach these panels now and run menshen deadlines --retry.")
    if found.silent:
        raise NoPanel(f"Panels that do not answer: {', '.join(panel.name for panel in found.silent)}.")


def _tell(found: Overview) -> None:
    rows = [_row(panel) for panel in found.panels]
    listing(False, rows, ("panel", "firmware", "last seen", "residents", "faces", "pending", "overdue", "how it is"))
    sys.stdout.flush()
    talk(f"{found.residents} residents, {found.faces} with a face stored. Deletions: {_owed(found)}.")
    for panel in found.panels:
        for problem in panel.problems:
            talk(f"{panel.name}: {problem}")
    if found.consents_to_renew:
        talk(f"Consents to renew: {found.consents_to_renew}. See: menshen consent outstanding.")
    if found.warning:
        talk(found.warning)


def _owed(found: Overview) -> str:
    return f"{found.pending} pending, {found.overdue} overdue" if found.pending else "none pending"


def _row(panel: PanelNow) -> dict[str, Any]:
    room = None if panel.faces is None else f"{panel.faces} of {panel.face_capacity}"
    how = {None: "not asked", True: "works", False: "does not answer"}[panel.answers]
    if panel.answers and panel.problems:
        how = "needs attention"
    return {
        "panel": panel.name,
        "firmware": panel.firmware,
        "last seen": when(panel.last_seen)[:16],
        "residents": panel.residents,
        "faces": room,
        "pending": panel.pending + panel.lost_cards_pending,
        "overdue": panel.overdue,
        "how it is": how,
    }
