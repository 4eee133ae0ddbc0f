"""Everything known about one person, for that person: as data and as a text to read."""

from __future__ import annotations

from typing import Any

from host_tools import certificate, log
from host_tools.certificate.text import moment
from host_tools.errors import HostError
from host_tools.site import Resident, Site, history

_FACE = ("model_id", "templates", "expiry", "state", "enrolled")
_CREDENTIAL = ("kind", "uid", "state", "issued")
_TIMES = (
    "asked",
    "decided",
    "withdrawn",
    "enrolled",
    "expiry",
    "issued",
    "opened",
    "due",
    "confirmed",
    "tried",
    "time",
)


def export(site: Site, resident: Resident, ask_panels: bool = True) -> dict[str, Any]:
    """Names, rights, consents, face records, credentials, deletions and every log entry with the person's handle.

    Templates, PINs and card keys are not in it: this computer does not have them.
    """
    handle = resident.handle
    panels = {record.panel_id: record.name for record in site.panel_records(retired=True)}
    with site.registry.transaction() as db:
        acts = [entry.public() for entry in history.entries(db) if entry.handle == handle.hex()]
    return {
        "made": site.now(),
        "person": resident.public(),
        "panels": [
            {"panel": panels[row["panel_id"]], "state": row["state"]}
            for row in _rows(site, "SELECT panel_id, state FROM placements WHERE handle = ?", handle)
        ],
        "consents": [{"panel": panels[consent.panel_id], **consent.public()} for consent in site.consents(resident)],
        "face_records": [
            {"panel": panels[row["panel_id"]], **{name: _plain(row[name]) for name in _FACE}}
            for row in _rows(site, f"SELECT panel_id, {', '.join(_FACE)} FROM enrolments WHERE handle = ?", handle)
        ],
        "credentials": [
            {"panel": panels[row["panel_id"]], **{name: _plain(row[name]) for name in _CREDENTIAL}}
            for row in _rows(
                site, f"SELECT panel_id, {', '.join(_CREDENTIAL)} FROM credentials WHERE handle = ?", handle
            )
        ],
        "deletions": certificate.gather(site, resident).public()["panels"],
        "history": acts,
        "panel_logs": _logs(site, resident, ask_panels),
    }


def readable(data: dict[str, Any]) -> str:
    """The same as a text: a heading for each part, an indented line for each fact."""
    lines = [f"Everything known about {data['person']['name'] or data['person']['handle']}, {moment(data['made'])}", ""]
    for name, value in data.items():
        if name == "made":
            continue
        lines.append(name.replace("_", " ").upper())
        items = value if isinstance(value, list) else [value]
        for item in items:
            lines += [f"  {key}: {_shown(key, fact)}" for key, fact in item.items()]
            lines.append("")
        if not items:
            lines += ["  nothing", ""]
    return "\n".join(lines)


def _logs(site: Site, resident: Resident, ask_panels: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for record in site.panel_records() if ask_panels else ():
        try:
            entries = log.fetch(site, site.link(record), limit=100_000)
        except HostError as error:
            found.append({"panel": record.name, "not_asked": str(error)})
            continue
        found += [
            {"panel": record.name, "time": entry.time, "kind": entry.kind, "detail": entry.detail}
            for entry in entries
            if entry.handle == resident.handle
        ]
    return found


def _rows(site: Site, query: str, handle: bytes) -> list[Any]:
    return site.registry.rows(query, handle)


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _shown(key: str, fact: Any) -> str:
    if key in _TIMES and isinstance(fact, int):
        return moment(fact)
    if isinstance(fact, list):
        return "; ".join(_shown(key, item) for item in fact) or "none"
    if isinstance(fact, dict):
        return ", ".join(f"{name} {_shown(name, item)}" for name, item in fact.items() if item not in ("", None))
    return str(fact)
