"""`menshen enrol`: a face, with its owner's consent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from host_tools import enrol as enrolment
from host_tools import impact
from host_tools.cli.common import Json, PanelName, SiteFile, Who, on_panel, result, talk, waiting, when
from host_tools.errors import Usage


def enrol(
    resident: Who,
    photo: Annotated[list[Path] | None, typer.Option(help="A picture of this person alone; may be repeated.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Let the panel's camera take the face.")] = False,
    wait: Annotated[int, typer.Option(help="With --live: seconds for all four views.", min=5, max=60)] = 45,
    days: Annotated[int, typer.Option(help="After so many days the face erases itself.", min=1, max=3650)] = 365,
    child: Annotated[bool, typer.Option("--child", help="Also a person under 14, by a guardian's consent.")] = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Store a face in the panel, from pictures or live.

    The resident must have consented to the notice in force. Pictures go through the panel's own networks here; neither
    picture nor template is kept on this computer. Live, the person stands before the panel, which says on its screen
    what to do, and so does this terminal.

    Changes: the face opens the panel's door until it expires; an older one of this resident is erased.
    JSON: {consent_id, model_id, templates, expiry, state}
    Exit codes: 5, 6, 7, 8, 14
    See also: menshen consent ask, menshen wipe

    Examples:
      $ menshen enrol Ann --photo ann.jpg
      $ menshen enrol Ann --live --days 180
    """
    if bool(photo) == live:
        raise Usage("Enrol from pictures (--photo FILE) or at the panel (--live), one of the two.")
    with on_panel(site, panel) as (opened, door):
        who = opened.resident(resident)
        if live:
            with _watching(door.name) as told:
                stored = enrolment.live(opened, door, who, wait_s=wait, retention_days=days, child=child, told=told)
        else:
            with waiting("Reading the face"):
                stored = enrolment.from_photo(opened, door, who, *(photo or ()), retention_days=days, child=child)
        warning = impact.filing_warning(opened)
    if warning:
        talk(warning)
    sentence = f"{who.name}'s face opens {door.name} until {when(stored.expiry)} ({stored.templates} templates)."
    result(json, stored.public(), sentence)


@contextmanager
def _watching(door: str) -> Iterator[Callable[[enrolment.Progress], None]]:
    """What the panel's screen says, in this terminal: one line that changes, or a line for each change elsewhere."""

    def words(progress: enrolment.Progress) -> str:
        hint = progress.hint[:1].upper() + progress.hint[1:] or "Good, keep looking"
        return f"{progress.done} of {progress.count} views taken. {hint}."

    if sys.stderr.isatty():
        with Console(stderr=True).status(f"Look at {door}") as status:
            yield lambda progress: status.update(words(progress))
    else:
        talk(f"Look at {door}.")
        yield lambda progress: talk(words(progress))
