"""`menshen panel camera` and `menshen panel calibrate`: what the camera sees where it hangs."""

from __future__ import annotations

import os
import shutil
import sys
import webbrowser
from collections.abc import Iterator
from typing import Annotated

import typer

from host_tools import aim as library
from host_tools.cli.common import Json, PanelName, SiteFile, on_panel, result, talk
from host_tools.errors import Usage

Seconds = Annotated[
    int, typer.Option("--seconds", help="It ends by itself after so long.", min=10, max=library.MOST_SECONDS)
]


def camera(
    browser: Annotated[
        bool, typer.Option("--browser", help="In a browser on this computer, larger, instead of the terminal.")
    ] = False,
    pictures: Annotated[
        int, typer.Option("--pictures", help="End after so many; 0: when the time is over.", min=0)
    ] = 0,
    seconds: Seconds = library.SECONDS,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Show what the panel's camera sees, live, while it is aimed.

    Somebody has to stand before the panel and press # when it asks, unless it is in maintenance. Its screen says all
    the while that the picture is seen; * on its keypad ends it. Nothing is stored: the picture is small, grey, sealed
    on its way, and only shown. PIN and card open the door meanwhile. Where no terminal shows it, a line a picture says
    what is in it.

    Changes: nothing; the panel's log notes that it was looked at.
    JSON: {panel, pictures:count, mean, spread, faces:count, hint, light:grey}
    Exit codes: 3, 4, 9, 30
    See also: menshen panel calibrate, menshen panel log

    Examples:
      $ menshen panel camera --pictures 3
    """
    with on_panel(site, panel) as (_, door), library.aiming(door, seconds, talk):
        shown = library.pictures(door, pictures)
        last, count = _in_browser(shown) if browser else _in_terminal(shown, json)
        name = door.name
    found = {
        "panel": name,
        "pictures": count,
        "mean": last.mean if last else None,
        "spread": last.spread if last else None,
        "faces": last.faces if last else None,
        "hint": last.hint if last else None,
        "light": last.light if last else None,
    }
    result(json, found, f"{name} is no longer looked at; {count} pictures were shown, none was kept.")


def calibrate(
    what: Annotated[
        str, typer.Argument(help="exposure, far, near, or off: as delivered.", metavar="WHAT")
    ] = "exposure",
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Fit a panel to the light and the distances of the place where it hangs.

    exposure: a person stands where people will stand, in the light of most days; the sensor's exposure is set so that
    the face is lit best. far, near: the person stands where nobody shall have to stand farther, or nearer; from then on
    the panel asks who does to come closer, or to step back. As with the picture, somebody presses # on the panel.

    Changes: the panel's rules exposure, face_least, face_most.
    JSON: {panel, what, exposure?, grey?, target?, width?, limit?}
    Exit codes: 2, 3, 4, 6, 9, 30
    See also: menshen panel camera

    Examples:
      $ menshen panel calibrate exposure
      $ menshen panel calibrate off
    """
    if what not in ("exposure", "far", "near", "off"):
        raise Usage(f"{what!r} cannot be calibrated. Say exposure, far, near or off.")
    with on_panel(site, panel) as (opened, door):
        if what == "off":
            library.calibrate_off(opened, door)
            found: dict[str, int] = {}
        else:
            with library.aiming(door, library.SECONDS, talk):
                if what == "exposure":
                    found = library.calibrate_exposure(opened, door, talk)
                else:
                    found = library.calibrate_distance(opened, door, what)
        name = door.name
    sentence = {
        "exposure": "{panel} is set to exposure {exposure}: {grey} of the {target} that are best.",
        "far": "{panel} asks whose face is narrower than {limit} px to come closer.",
        "near": "{panel} asks whose face is wider than {limit} px to step back.",
        "off": "{panel} is as delivered.",
    }[what]
    result(json, {"panel": name, "what": what, **found}, sentence.format(panel=name, **found))


def _in_terminal(shown: Iterator[library.Picture], quiet: bool) -> tuple[library.Picture | None, int]:
    """On the terminal's other screen, so that nothing stays in what can be scrolled back to."""
    count, last = 0, None
    terminal = sys.stdout.isatty() and not quiet
    if terminal:
        print("\x1b[?1049h", end="")
    try:
        for last in shown:
            count += 1
            if terminal:
                columns = shutil.get_terminal_size().columns
                picture = library.blocks(last, columns, "NO_COLOR" not in os.environ)
                print(f"\x1b[H\x1b[2J{picture}\n{last.says()}  (Ctrl-C ends it)", flush=True)
            elif not quiet:
                print(last.says(), flush=True)
    finally:
        if terminal:
            print("\x1b[2J\x1b[?1049l", end="", flush=True)
    return last, count


def _in_browser(shown: Iterator[library.Picture]) -> tuple[None, int]:
    from host_tools.aim_page import Page

    page = Page(shown)
    talk(f"Open {page.address} on this computer, if it does not open by itself. Ctrl-C ends it.")
    webbrowser.open(page.address)
    page.wait()
    return None, page.count
