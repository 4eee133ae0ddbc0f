"""Visitor codes: written here without asking the panel, which checks them without asking here."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from typing import Any

from firmware.credentials import visitor
from host_tools.errors import Usage
from host_tools.site import Panel, Site
from host_tools.site.sending import sending

_HOUR_S = 3600


@dataclass(frozen=True)
class VisitorCode:
    """`uses` 0: any number of times. Times in Unix seconds. The code itself is kept nowhere."""

    flat: str
    code: str
    valid_from: int
    valid_until: int
    uses: int

    def public(self) -> dict[str, Any]:
        return asdict(self)


def write(
    site: Site, panel: Panel, flat: str, *, hours: int = 4, uses: int = 1, starts: int | None = None
) -> VisitorCode:
    """A code for the door of `panel`, good for `hours` from `starts` (now) on. Usage: limits that no code has."""
    if hours not in visitor.HOURS:
        raise Usage(f"A visitor's code lasts {_listed(visitor.HOURS)} hours.")
    if uses not in visitor.USES:
        raise Usage(f"A visitor's code opens {_listed(tuple(n for n in visitor.USES if n))} times, or 0: always.")
    if not any(resident.flat == flat for resident in site.residents()):
        raise Usage(f"Nobody lives in flat {flat}: a visitor's code needs a host. See: menshen resident list.")
    now = site.now()
    begin = now if starts is None else starts
    until_hour = -(-begin // _HOUR_S) + hours
    if begin < now - _HOUR_S or until_hour - now // _HOUR_S > visitor.MOST_AHEAD_HOURS:
        raise Usage("A visitor's code starts now or later, and ends within 29 days.")
    key = _key(panel)
    with site.registry.transaction() as db:  # of two who write codes at once, each gets another
        code = _unused(site, panel, flat, until_hour, visitor.HOURS.index(hours), visitor.USES.index(uses))
        visit = visitor.read(key, flat, code.encode(), now)
        db.execute(
            "INSERT INTO visitors (flat, panel_id, number, until, uses, made, state) "
            "VALUES (?, ?, ?, ?, ?, ?, 'active')",
            (flat, panel.panel_id, visit.number, visit.valid_until, uses, now),
        )
    return VisitorCode(flat, code, visit.valid_from, visit.valid_until, uses)


def revoke(site: Site, panel: Panel, flat: str, code: str) -> None:
    """The panel is told, and obeys from then on. Done again, it changes nothing."""
    if not code.isascii() or not code.isdigit() or len(code) not in (visitor.CODE_DIGITS, visitor.CODE_DIGITS // 2):
        raise Usage(f"A visitor's code has {visitor.CODE_DIGITS} digits; its first half is enough to revoke it.")
    number = int(code[: visitor.CODE_DIGITS // 2])
    found = site.registry.row(
        "SELECT max(until) AS until FROM visitors WHERE flat = ? AND panel_id = ? AND number = ?",
        flat,
        panel.panel_id,
        number,
    )
    if found is None or found["until"] is None:
        raise Usage(f"This site wrote no such code for flat {flat} on {panel.name}.")
    with sending(site, lambda db: None):
        panel.request("visitor_revoke", flat=flat, number=number, until=found["until"])
    with site.registry.transaction() as db:
        db.execute(
            "UPDATE visitors SET state = 'revoked' WHERE flat = ? AND panel_id = ? AND number = ?",
            (flat, panel.panel_id, number),
        )


def _unused(site: Site, panel: Panel, flat: str, until_hour: int, length: int, uses: int) -> str:
    """Codes of the same end, length and uses differ by a serial number; one that was used up must not come again."""
    serials = list(range(visitor.SERIALS))
    secrets.SystemRandom().shuffle(serials)
    for serial in serials:
        code = visitor.make(_key(panel), flat, until_hour, length, uses, serial)
        taken = site.registry.row(
            "SELECT 1 FROM visitors WHERE flat = ? AND panel_id = ? AND number = ? AND until = ?",
            flat,
            panel.panel_id,
            int(code[: visitor.CODE_DIGITS // 2]),
            until_hour * _HOUR_S,
        )
        if taken is None:
            return code
    raise Usage(f"Flat {flat} has {visitor.SERIALS} codes of this kind already. Choose other hours or uses.")


def _key(panel: Panel) -> bytes:
    return bytes(visitor.key_of(panel.record.link_key))


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(str(n) for n in numbers[:-1]) + f" or {numbers[-1]}"
