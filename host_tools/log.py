"""The panel's audit log: who did what when, by handle; names are put to handles here only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from host_tools.site import Panel, Site

_PAGE = 32


@dataclass(frozen=True)
class Entry:
    seq: int
    time: int
    kind: str
    handle: bytes | None
    detail: str
    name: str = ""

    def public(self) -> dict[str, Any]:
        handle = self.handle.hex() if self.handle else None
        return {
            "seq": self.seq,
            "time": self.time,
            "kind": self.kind,
            "handle": handle,
            "detail": self.detail,
            "name": self.name,
        }


def fetch(site: Site, panel: Panel, since: int = 0, limit: int = 1000) -> list[Entry]:
    """Entries numbered from `since` on, oldest first, at most `limit`."""
    names = {resident.handle: resident.name for resident in site.residents()}
    entries: list[Entry] = []
    while len(entries) < limit:
        page = panel.request("log", since=since, limit=min(_PAGE, limit - len(entries)))
        for item in page["entries"]:
            handle = item.get("handle")
            name = names.get(handle, "") if handle else ""
            entries.append(Entry(item["seq"], item["time"], item["kind"], handle, item["detail"], name))
        if not page["entries"]:
            break
        since = max(page["next"], since + 1)
    return entries
