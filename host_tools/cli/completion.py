"""What the shell offers after TAB for residents and panels: read from the registry, never written, never an error."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from host_tools.site import Site
from host_tools.site.place import Place


def residents(ctx: Any, incomplete: str) -> list[str]:
    return _names(ctx, incomplete, lambda site: [resident.name for resident in site.residents()])


def panels(ctx: Any, incomplete: str) -> list[str]:
    return _names(ctx, incomplete, lambda site: [record.name for record in site.panel_records()])


def _names(ctx: Any, incomplete: str, look: Callable[[Site], list[str]]) -> list[str]:
    try:
        place = Place.of(ctx.params.get("site"))
        if place.file and not place.file.is_file():
            return []
        with Site.open(place) as site:
            found = look(site)
    except Exception:  # a TAB must not print anything else
        return []
    return [_quoted(name) for name in dict.fromkeys(found) if name.startswith(incomplete)]


def _quoted(name: str) -> str:
    """bash takes what it is offered for text that was typed."""
    return name.replace(" ", "\\ ") if os.environ.get("_MENSHEN_COMPLETE") == "complete_bash" else name
