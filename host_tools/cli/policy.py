"""`menshen policy`: what the panel's rules are, why a door opens or not, and whether they treat everybody alike."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

import typer

from firmware.access.schedule import local_minute
from host_tools import policy
from host_tools.cli.common import Json, MaybeWho, PanelName, SiteFile, on_panel, result, talk
from host_tools.cli.help import Menu
from host_tools.errors import LinkFailed, NoPanel, Unequal, Usage

app = Menu("Show, set and explain who may enter when.")

_SECOND = {"none": 0, "face": 1, "card": 4, "face+card": 5, "all": 7}
_LOCKS = ("strike", "magnet", "motor")


@app.command()
def check(
    resident: MaybeWho = None,
    at: Annotated[
        str | None, typer.Option(help='Local time at the door: "2026-05-01 07:30".', show_default="now")
    ] = None,
    door: Annotated[int | None, typer.Option(help="Another door's number.", min=0, max=31)] = None,
    clock: Annotated[str, typer.Option(help="What the panel knows of the time: set, kept or unknown.")] = "set",
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Explain who may enter when, and warn about unequal rules.

    A rule under which somebody without a face on file is worse off is a warning, and the exit code says so.

    Changes: nothing.
    JSON: {answers[who, panel, door:number, at, kind, allow, reason, because], warnings[]}
    Exit codes: 2, 22
    See also: menshen policy set, menshen report parity

    Examples:
      $ menshen policy check Ann
      $ menshen policy check Ann --at '2026-05-01 07:30'
    """
    if clock not in policy.CLOCKS:
        raise Usage(f"The clock is one of {', '.join(policy.CLOCKS)}.")
    with on_panel(site, panel) as (opened, there):
        rules = _rules(there)
        second = _unix(at, rules["utc_offset_min"])
        found = []
        if resident is not None:
            found = policy.answers(opened, there, opened.resident(resident), second, rules, door, clock)
        worse = policy.unequal(opened, there, rules)
    told = [_sentence(answer, rules["utc_offset_min"]) for answer in found]
    told += [] if worse else ["Both ways open the same doors in the same hours."]
    result(json, {"answers": [answer.public() for answer in found], "warnings": worse}, "\n".join(told))
    if worse and not json:
        for sentence in worse:
            talk(sentence)
    if worse:
        raise Unequal(f"{len(worse)} points treat somebody without a face worse, or let nobody in.")


@app.command()
def show(site: SiteFile = None, panel: PanelName = None, json: Json = False) -> None:
    """Show the panel's rules.

    Changes: nothing.
    JSON: {face:rule, claim, open_s, door:number, utc_offset_min, lockdown, second, passback_min, lock, uid_only:rule,
          holidays[], exposure, face_least, face_most}
    Exit codes: 3, 9
    See also: menshen policy set

    Examples:
      $ menshen policy show
    """
    with on_panel(site, panel) as (_, there):
        rules = policy.settings(there)
    result(json, rules, "\n".join(f"{name}: {value}" for name, value in sorted(rules.items())))


@app.command("set")
def set_(
    lockdown: Annotated[
        bool | None, typer.Option("--lockdown/--no-lockdown", help="Nobody enters; leaving stays free.")
    ] = None,
    face: Annotated[bool | None, typer.Option("--face/--no-face", help="Whether the camera is used at all.")] = None,
    flat_first: Annotated[
        bool | None, typer.Option("--flat-first/--one-to-many", help="Whether the flat comes before the face.")
    ] = None,
    second: Annotated[str | None, typer.Option(help=f"What needs a second proof: {', '.join(_SECOND)}.")] = None,
    passback: Annotated[
        int | None, typer.Option(help="Minutes before one credential opens again.", min=0, max=1440)
    ] = None,
    open_s: Annotated[int | None, typer.Option(help="Seconds for which the lock is released.", min=1, max=30)] = None,
    lock: Annotated[
        str | None, typer.Option(help=f"The lock's kind: {', '.join(_LOCKS)}; from the next start on.")
    ] = None,
    holiday: Annotated[list[str] | None, typer.Option(help='A day such as "2027-02-06"; replaces all; "none".')] = None,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Change the panel's rules; what is not named stays.

    Changes: the panel's rules from now on, and an entry in the panel's log and the site's history.
    JSON: {face:flag?, claim:flag?, open_s?, lockdown:flag?, second?, passback_min?, lock?, holidays?[]}
    Exit codes: 2, 3, 9
    See also: menshen policy show, menshen policy check

    Examples:
      $ menshen policy set --open-s 7
      $ menshen policy set --holiday 2027-02-06 --holiday 2027-02-07
    """
    if second is not None and second not in _SECOND:
        raise Usage(f"The second proof is asked of one of {', '.join(_SECOND)}.")
    if lock is not None and lock not in _LOCKS:
        raise Usage(f"A lock is one of {', '.join(_LOCKS)}.")
    given: dict[str, Any] = {
        "lockdown": lockdown,
        "face": face,
        "claim": flat_first,
        "second": None if second is None else _SECOND[second],
        "passback_min": passback,
        "open_s": open_s,
        "lock": None if lock is None else _LOCKS.index(lock),
        "holidays": None if holiday is None else sorted({_day(day) for day in holiday if day != "none"}),
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    if not wanted:
        raise Usage("Name what to change. See: menshen policy set --help.")
    with on_panel(site, panel) as (opened, there):
        policy.change(opened, there, **wanted)
    result(json, wanted, f"Set on {there.name}: {', '.join(wanted)}. Next: menshen policy check.")


def _rules(panel: Any) -> dict[str, Any]:
    try:
        return policy.settings(panel)
    except (NoPanel, LinkFailed):
        talk(f"{panel.name} does not answer: its settings are taken to be the defaults.")
        return dict(policy.DEFAULTS)


def _unix(text: str | None, offset_min: int) -> int:
    if text is None:
        return int(time.time())
    try:
        local = datetime.fromisoformat(text)
    except ValueError as error:
        raise Usage('A time is written such as "2026-05-01 07:30".') from error
    return int(local.replace(tzinfo=timezone(timedelta(minutes=offset_min))).timestamp())


def _day(text: str) -> int:
    try:
        return local_minute(int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()), 0)[0]
    except ValueError as error:
        raise Usage('A holiday is written such as "2027-02-06".') from error


def _sentence(answer: policy.Answer, offset_min: int) -> str:
    at = datetime.fromtimestamp(answer.at, timezone(timedelta(minutes=offset_min))).strftime("%A %Y-%m-%d %H:%M")
    verb = "allowed" if answer.allow else "refused"
    who = f"{answer.who}, door {answer.door} of {answer.panel}, {at}"
    return f"{who}: {policy.WORDS[answer.kind]} {verb}, because: {answer.because}"
