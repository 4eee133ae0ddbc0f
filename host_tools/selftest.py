"""A panel's examination of itself, check by check: what a technician runs after wiring, and what a bug report holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from firmware.link.ops import MINUTES, OPENING, SEEING
from firmware.nn.golden import noise
from host_tools import panels
from host_tools.errors import LinkFailed, NoPanel, SelftestFailed
from host_tools.link.carrier import open_port
from host_tools.link.client import connect
from host_tools.site import Panel, Site
from host_tools.site.panel import OpenCarrier
from host_tools.vision.frames import HEIGHT, WIDTH

FAILED = "failed"
_CHECK_S = 90.0  # a board without vector unit needs most of it for the networks
_LENGTHY_S = 900.0


@dataclass(frozen=True)
class Check:
    """`verdict`: ok, failed, absent (the board has no such part) or skipped; figures by name, times in `..._ms`."""

    name: str
    verdict: str
    says: str
    figures: dict[str, Any]

    def public(self) -> dict[str, Any]:
        return asdict(self)

    def row(self) -> dict[str, str]:
        """For a table."""
        figures = ", ".join(f"{name} {value}" for name, value in sorted(self.figures.items()))
        return {"check": self.name, "verdict": self.verdict, "says": self.says, "figures": figures}


def names(panel: Panel, thorough: bool = False, lock: bool = False) -> list[str]:
    """What the panel can be asked; `thorough`: what takes minutes too; `lock`: what opens the door too."""
    known = panel.request("selftest")["checks"]
    left_out = ({*MINUTES} if not thorough else set()) | ({*OPENING} if not lock else set())
    return [name for name in known if name not in left_out]


def run(panel: Panel, wanted: Iterable[str], before: Callable[[str], None] = lambda name: None) -> Iterator[Check]:
    """One check after another; `before` hears the name of each. A link that breaks is a failed check.

    A board without camera is given a picture to see.
    """
    fed = bool(panels.status(panel).get("fed"))
    for name in wanted:
        before(name)
        timeout_s = _LENGTHY_S if name in MINUTES else _CHECK_S
        try:
            if fed and name in SEEING:
                panels.feed(panel, np.frombuffer(noise(HEIGHT * WIDTH), np.uint8).reshape(HEIGHT, WIDTH))
            reply = panel.request("selftest", timeout_s=timeout_s, check=name, release=name in OPENING)
        except LinkFailed as error:
            yield Check(name, FAILED, f"The panel did not answer: {error}", {})
            continue
        yield Check(name, reply["verdict"], reply["says"], reply["figures"])


def at_port(site: Site, port: str, open_carrier: OpenCarrier = open_port) -> Panel:
    """The site's panel that answers on `port`, wherever it was before."""
    client, hello = connect(open_carrier(port))
    client.close()
    for record in site.panel_records():
        if record.panel_id == hello.get("panel_id"):
            return site.link(replace(record, port=port))
    if "panel_id" in hello:
        raise NoPanel("The panel on this port belongs to another site.")
    raise NoPanel(f"The panel on this port has no owner yet. Run: menshen panel provision --port {port}.")


def verdict(checks: Iterable[Check]) -> None:
    """Raises SelftestFailed when a check failed."""
    failed = [check.name for check in checks if check.verdict == FAILED]
    if failed:
        raise SelftestFailed(f"{len(failed)} checks failed: {', '.join(failed)}.")
