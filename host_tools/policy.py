"""Why a door opens for a resident, or does not, and which policies treat somebody without a face worse.

The panel's own decision (firmware/access/policy.py) runs here on what the registry knows; the panel's settings are
asked from the panel, or taken to be the defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from firmware.access.policy import CLOCK_KEPT, CLOCK_SET, KINDS, Facts, Rights, decide, explain
from firmware.access.schedule import Schedule
from firmware.services.settings import FIELDS, LISTS
from firmware.services.visits import kinds_of
from host_tools.site import Panel, Resident, Site

WORDS = {"face": "face", "pin": "PIN", "card": "card"}
CLOCKS = {"set": CLOCK_SET, "kept": CLOCK_KEPT, "unknown": 0}

DEFAULTS: dict[str, Any] = {**{name: field[0] for name, field in FIELDS.items()}, **{name: [] for name in LISTS}}


@dataclass(frozen=True)
class Answer:
    """What one way in does for one resident."""

    who: str
    panel: str
    door: int
    at: int
    kind: str
    allow: bool
    reason: str
    because: str

    def public(self) -> dict[str, Any]:
        return asdict(self)


def settings(panel: Panel) -> dict[str, Any]:
    """What the panel says, filled up with the defaults."""
    said = panel.request("status").get("policy")
    return {**DEFAULTS, **(said if isinstance(said, dict) else {})}


def change(site: Site, panel: Panel, **wanted: Any) -> None:
    """Sets what is named, and notes it in the history."""
    panel.request("set_policy", **wanted)
    site.note("policy_set", panel=panel.panel_id, **wanted)


def answers(
    site: Site,
    panel: Panel,
    resident: Resident,
    at: int,
    rules: Mapping[str, Any] = DEFAULTS,
    door: int | None = None,
    clock: str = "set",
) -> list[Answer]:
    """One for each way in; `at` in Unix seconds, `rules` the panel's settings."""
    door = rules["door"] if door is None else door
    has = ways(site, panel, resident)
    return [
        Answer(resident.name, panel.name, door, at, kind, *_judged(resident, kind, has, at, rules, door, clock))
        for kind in KINDS
    ]


def ways(site: Site, panel: Panel, resident: Resident) -> set[str]:
    """The kinds of credential by which this panel knows the resident."""
    found = {
        str(row["kind"])
        for row in site.registry.rows(
            "SELECT kind FROM credentials WHERE handle = ? AND panel_id = ? AND state = 'active'",
            resident.handle,
            panel.panel_id,
        )
    }
    stored = site.registry.row(
        "SELECT 1 FROM enrolments WHERE handle = ? AND panel_id = ? AND state = 'stored'",
        resident.handle,
        panel.panel_id,
    )
    return found | ({"face"} if stored else set())


def _judged(
    resident: Resident, kind: str, has: set[str], at: int, rules: Mapping[str, Any], door: int, clock: str
) -> tuple[bool, str, str]:
    if kind not in has:
        return False, "none", f"No {WORDS[kind]} of this resident is on this panel."
    if kind == "face" and not rules["face"]:
        return False, "face_off", "The camera is switched off at this panel."
    facts = Facts(
        kind=kind,
        verified=True,
        rights=Rights(resident.doors, Schedule(resident.schedule), resident.valid_from, resident.valid_until),
        door=door,
        clock=CLOCKS[clock],
        provisioned=True,
        maintenance=False,
        lockdown=bool(rules["lockdown"]),
        locked=(),
        withdrawn=(),
        one_to_many=not rules["claim"],
        claimed=True,
        passback=(),
        second=kinds_of(rules["second"]),
        proven=tuple(has - {kind}),
        holidays=rules["holidays"],
        utc_offset_min=rules["utc_offset_min"],
    )
    decision = decide(facts, at)
    because = explain(decision)
    if decision.allow and kind in facts.second:
        because = "Both proofs were given, and their holder may use this door at this time."
    return decision.allow, decision.reason, because


def unequal(site: Site, panel: Panel, rules: Mapping[str, Any]) -> list[str]:
    """A sentence for each thing here by which somebody without a face on file is worse off, or nobody comes in."""
    return [*_of_rules(panel, rules), *_of_residents(site, panel, rules)]


def _of_rules(panel: Panel, rules: Mapping[str, Any]) -> Iterator[str]:
    second = kinds_of(rules["second"])
    if rules["face"] and "face" not in second:
        for kind in second:
            yield f"{panel.name}: a {WORDS[kind]} needs a second proof and a face does not (setting second)."
    elif second and "pin" not in second:
        yield f"{panel.name}: a PIN alone opens, so the second proof asked of others protects nothing (setting second)."


def _of_residents(site: Site, panel: Panel, rules: Mapping[str, Any]) -> Iterator[str]:
    second = kinds_of(rules["second"])
    placed = {
        bytes(row["handle"])
        for row in site.registry.rows(
            "SELECT handle FROM placements WHERE panel_id = ? AND state = 'active'", panel.panel_id
        )
    }
    for resident in site.residents():
        if resident.handle not in placed:
            continue
        has = ways(site, panel, resident)
        who = f"{panel.name}: {resident.flat}/{resident.name}"
        if not has:
            yield f"{who} has no way in: give out a PIN or a card (menshen credential)."
        elif has == {"face"}:
            yield f"{who} has a face and neither PIN nor card: withdrawing it would lock them out."
        elif second and not _enough(has - {"face"}, second):
            yield f"{who} cannot give two proofs without the face: PIN and card are both needed here."
        if not resident.schedule:
            yield f"{who} has no hours: no door ever opens."


def _enough(has: set[str], second: tuple[str, ...]) -> bool:
    return bool(has - set(second)) or len(has) > 1
