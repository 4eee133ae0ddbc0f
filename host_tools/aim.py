"""Aiming a panel's camera: its picture, live and kept nowhere, once somebody at the panel has allowed it; calibration.

The panel shows meanwhile that a technician sees the picture, and ends it by itself.
"""

from __future__ import annotations

import contextlib
import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from host_tools.errors import HostError, MaintenanceRefused, NoFace, RefusedByPanel, Usage
from host_tools.site import Panel, Site

SECONDS, MOST_SECONDS = 120, 600
LEVELS = (-2, -1, 0, 1, 2)
TARGET = 141  # grey: the middle of what ordinary portraits have (firmware/vision/quality.py)

_BANDS = 3
_POLL_S = 0.3
_SETTLE = 3  # pictures until a sensor's own exposure follows
_TRIES = 8
_FACES = 4  # pictures with a face, for one measurement
_MARGIN_PCT = 15

Say = Callable[[str], None]


@dataclass(frozen=True)
class Picture:
    """`grey`: (rows, columns), uint8. `box`: the face's x, y, width, height in pixels of the sensor's 320x240."""

    grey: npt.NDArray[np.uint8]
    mean: int
    spread: int
    faces: int
    hint: str
    box: tuple[int, int, int, int] | None
    light: int | None

    def says(self) -> str:
        face = f"face {self.box[2]} px wide" if self.box else "no face"
        lit = f", light {self.light}" if self.light is not None else ""
        return f"picture {self.mean}±{self.spread}, {face}{lit}" + (f": {self.hint}" if self.hint else "")


@contextmanager
def aiming(panel: Panel, seconds: int = SECONDS, say: Say = lambda text: None) -> Iterator[None]:
    """Asks, waits for the press, and ends it behind the block. MaintenanceRefused when nobody allows it."""
    wish = secrets.randbelow(1 << 32)
    answer = panel.request("aim", id=wish, seconds=seconds)
    try:
        if answer["state"] == "asked":
            say(f"Press # on the panel to allow it (or its exit button, where it has no keys): {answer['seconds']} s.")
        while answer["state"] == "asked":
            time.sleep(_POLL_S)
            answer = panel.request("aim", id=wish, seconds=seconds)
        if answer["state"] != "on":
            raise MaintenanceRefused(
                "Nobody at the panel allowed the picture. Stand before it, run this again and press # when it asks."
            )
        yield
    finally:
        with contextlib.suppress(HostError):
            panel.request("aim_end")


def picture(panel: Panel) -> Picture:
    first = panel.request("aim_frame", band=0)
    data = first["data"] + b"".join(panel.request("aim_frame", band=band)["data"] for band in range(1, _BANDS))
    return _picture(first, data)


def glance(panel: Panel, level: int | None = None) -> Picture:
    """What is in a picture, of which only the upper third crosses. `level`: an exposure to try, until aiming ends."""
    first = panel.request("aim_frame", band=0, **({} if level is None else {"level": level}))
    return _picture(first, first["data"])


def _picture(first: dict[str, Any], data: bytes) -> Picture:
    packed = np.frombuffer(data, np.uint8)
    pixels = np.stack([packed & 0xF0, packed << 4], axis=1).reshape(-1, first["width"])
    box = first.get("box")
    return Picture(
        (pixels | pixels >> 4).astype(np.uint8),
        first["mean"],
        first["spread"],
        first["faces"],
        first["hint"],
        (box[0], box[1], box[2], box[3]) if box else None,
        first.get("light"),
    )


def pictures(panel: Panel, most: int = 0) -> Iterator[Picture]:
    """Until the panel ends it, or `most` of them."""
    count = 0
    while not most or count < most:
        try:
            found = picture(panel)
        except RefusedByPanel as error:
            if count and error.panel_code == "refused":
                return
            raise
        count += 1
        yield found


def blocks(shown: Picture, columns: int, colour: bool) -> str:
    """The picture in a terminal's characters, mirrored as in a mirror: half blocks of grey, or plain ASCII."""
    rows, width = shown.grey.shape
    columns = max(16, min(columns, width))
    lines = max(2, columns * rows // width // 2 * 2)
    step_y, step_x = np.arange(lines) * rows // lines, np.arange(columns) * width // columns
    small = shown.grey[step_y][:, step_x[::-1]]
    if not colour:
        ramp = " .:-=+*#%@"
        return "\n".join("".join(ramp[value * len(ramp) // 256] for value in row) for row in small[::2])
    out = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        cells = (f"\x1b[38;2;{u};{u};{u}m\x1b[48;2;{v};{v};{v}m▀" for u, v in zip(upper, lower, strict=True))
        out.append("".join(cells) + "\x1b[0m")
    return "\n".join(out)


# Calibration.


def calibrate_exposure(site: Site, panel: Panel, say: Say = lambda text: None) -> dict[str, int]:
    """The exposure at which the person before the camera, or without one the picture, is lit best; it is stored."""
    found: dict[int, int] = {}
    for level in LEVELS:
        for _ in range(_SETTLE):
            seen = glance(panel, level)
        found[level] = seen.light if seen.light is not None else seen.mean
        say(f"exposure {level}: {found[level]}")
    best = min(LEVELS, key=lambda level: (abs(found[level] - TARGET), abs(level)))
    _store(site, panel, exposure=best)
    return {"exposure": best, "grey": found[best], "target": TARGET}


def calibrate_distance(site: Site, panel: Panel, where: str) -> dict[str, int]:
    """`where`: "far" or "near"; the person before the camera stands where nobody shall have to stand farther (nearer).
    From then on the panel asks who does to come closer (to step back)."""
    widths = []
    for _ in range(_TRIES):
        box = glance(panel).box
        if box:
            widths.append(box[2])
        if len(widths) == _FACES:
            break
    if len(widths) < _FACES // 2:
        raise NoFace("No face was seen. Stand before the panel, look at the camera, and run this again.")
    width = round(statistics.median(widths))
    policy = panel.request("status")["policy"]
    if where == "far":
        limit = width * (100 - _MARGIN_PCT) // 100
        if policy["face_most"] and limit >= policy["face_most"]:
            raise Usage("That is nearer than what is set as near. Set that again: menshen panel calibrate near.")
        _store(site, panel, face_least=limit)
    else:
        limit = min(320, width * (100 + _MARGIN_PCT) // 100)
        if limit <= policy["face_least"]:
            raise Usage("That is farther than what is set as far. Set that again: menshen panel calibrate far.")
        _store(site, panel, face_most=limit)
    return {"width": width, "limit": limit}


def calibrate_off(site: Site, panel: Panel) -> None:
    """As delivered."""
    _store(site, panel, exposure=0, face_least=0, face_most=0)


def _store(site: Site, panel: Panel, **settings: int) -> None:
    panel.request("set_policy", **settings)
    detail: dict[str, Any] = dict(settings)
    site.note("calibrated", panel=panel.panel_id, **detail)
