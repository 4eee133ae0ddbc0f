"""`menshen report parity`: whether card and PIN are as good as the face."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from host_tools import parity as parities
from host_tools.cli.common import Json, PanelName, SiteFile, listing, talk
from host_tools.errors import Unequal, Usage
from host_tools.site import Site


def parity(
    plot: Annotated[Path | None, typer.Option(help="Also draw it, as an SVG file.")] = None,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Compare face, PIN and card at each door and month.

    Changes: nothing; with --plot a drawing.
    JSON: [door, month, kind, opened:count, failed, mean_s, p90_s, failing]
    Exit codes: 3, 22
    See also: menshen policy check

    Examples:
      $ menshen report parity
      $ menshen report parity --plot parity.svg
    """
    with Site.open(site) as opened:
        doors = [opened.panel(panel)] if panel else [opened.link(record) for record in opened.panel_records()]
        ways = parities.collect(doors)
    listing(json, [way.public() for way in ways], ("door", "month", "kind", "opened", "failed", "mean_s", "p90_s"))
    if plot:
        try:
            plot.write_text(parities.plot(ways), encoding="utf-8")
        except OSError as error:
            raise Usage(f"The drawing cannot be saved as {plot}: {error}.") from error
        talk(f"Drawn in {plot}.")
    worse = parities.unequal(ways)
    for sentence in worse:
        talk(sentence)
    if worse:
        raise Unequal(f"{len(worse)} ways in are worse than the face. See: menshen policy check.")
