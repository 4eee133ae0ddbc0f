"""Deletions that are owed: one row a resident and panel, open until that panel has confirmed.

A row stays pending for as long as it takes; nothing but a panel's own answer closes it. Whatever is owed is also
buried (tombstones.py) from the day it is owed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from host_tools.site.database import Row
from host_tools.site.site import Site
from host_tools.site.tombstones import Tombstone

DAY_S = 86_400
DEFAULT_DAYS = 5
CAUSES = {
    "withdrawal": "consent withdrawn",
    "order": "order of a court or authority",
    "move_out": "moved out",
    "request": "deletion requested",
    "notice": "consent not renewed after a changed notice",
    "decommission": "panel taken out of service",
}
_ENDS_CONSENT = ("withdrawal", "order", "notice")


@dataclass(frozen=True)
class Deadline:
    """Times are Unix seconds. `proof`: receipt, nothing_stored (the panel said so), clearance; "" while pending."""

    id: int
    handle: bytes
    panel_id: bytes
    cause: str
    reference: str
    opened: int
    due: int
    state: str
    confirmed: int
    proof: str
    receipt: bytes | None
    tries: int
    tried: int
    problem: str

    @classmethod
    def of(cls, row: Row) -> Deadline:
        return cls(*(row[name] for name in cls.__dataclass_fields__))

    def overdue(self, now: int) -> bool:
        return self.state == "pending" and now > self.due

    def public(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "receipt"}
        return {**fields, "handle": self.handle.hex(), "panel_id": self.panel_id.hex()}


def days_for(site: Site, cause: str) -> int:
    return site.setting(f"days.{cause}", DEFAULT_DAYS)


def open_(
    site: Site, handle: bytes, panel_id: bytes, cause: str, reference: str = "", days: int | None = None
) -> Deadline:
    """Starts the clock, or finds the one that runs for the same cause. The deletion is buried at once."""
    open_on(site, handle, [panel_id], cause, reference, days)
    same = [row for row in of(site, handle, panel_id) if (row.cause, row.reference) == (cause, reference)]
    return max(same, key=lambda deadline: deadline.id)


def open_on(
    site: Site, handle: bytes, panel_ids: list[bytes], cause: str, reference: str = "", days: int | None = None
) -> None:
    """The same on many panels, in one stroke."""
    running = {deadline.panel_id for deadline in _running(site, handle, cause, reference)}
    fresh = [panel_id for panel_id in panel_ids if panel_id not in running]
    if not fresh:
        return
    now = site.now()
    due = now + (days_for(site, cause) if days is None else days) * DAY_S
    buried = ["face", "consent"] if cause in _ENDS_CONSENT else ["face"]
    stones = [Tombstone(what, handle, panel_id, now, 0, cause) for panel_id in fresh for what in buried]
    with site.burying(stones) as db:
        running = {deadline.panel_id for deadline in _running(site, handle, cause, reference)}
        for panel_id in fresh:
            if panel_id in running:  # somebody else's, begun just now
                continue
            db.execute(
                "INSERT INTO deadlines (handle, panel_id, cause, reference, opened, due, state) "
                "VALUES (?, ?, ?, ?, ?, ?, 'pending')",
                (handle, panel_id, cause, reference, now, due),
            )
            site.note_in(db, "deletion_owed", handle, panel_id, cause=cause, due=due)
    site.keep_head()


def _running(site: Site, handle: bytes, cause: str, reference: str) -> list[Deadline]:
    same = (cause, reference)
    return [deadline for deadline in pending(site, handle) if (deadline.cause, deadline.reference) == same]


def confirm(site: Site, handle: bytes, panel_id: bytes, proof: str, receipt: bytes | None, sequence: int) -> None:
    """The panel has confirmed: closes what is pending for this record. `sequence`: the panel's number of it."""
    now = site.now()
    with site.burying([Tombstone("face", handle, panel_id, now, sequence, proof)]) as db:
        db.execute(
            "UPDATE deadlines SET state = 'confirmed', confirmed = ?, proof = ?, receipt = ?, problem = '' "
            "WHERE handle = ? AND panel_id = ? AND state = 'pending'",
            (now, proof, receipt, handle, panel_id),
        )
        db.execute(
            "UPDATE enrolments SET state = 'wiped' WHERE handle = ? AND panel_id = ? AND state = 'stored'",
            (handle, panel_id),
        )
        site.note_in(db, "deletion_confirmed", handle, panel_id, proof=proof)
    site.keep_head()


def done_by_resident(
    site: Site, handle: bytes, panel_id: bytes, when: int, receipt: bytes, sequence: int, current: bytes
) -> None:
    """A withdrawal that began and ended at the panel; the host only hears of it.

    `current`: the consent that the panel holds now, empty for none: it came after the withdrawal.
    """
    now = site.now()
    with site.registry.transaction() as db:
        db.execute(
            "INSERT INTO deadlines (handle, panel_id, cause, reference, opened, due, state, confirmed, proof, receipt) "
            "VALUES (?, ?, 'withdrawal', 'at the panel', ?, ?, 'confirmed', ?, 'receipt', ?)",
            (handle, panel_id, when, when + days_for(site, "withdrawal") * DAY_S, now, receipt),
        )
        rows = db.execute(
            "UPDATE consents SET state = 'withdrawn', withdrawn = ? WHERE handle = ? AND panel_id = ? "
            "AND state IN ('asked', 'given') AND consent_id != ? RETURNING asked",
            (when, handle, panel_id, current),
        ).fetchall()
    latest = max([when, *(row["asked"] for row in rows)])
    site.bury(Tombstone("consent", handle, panel_id, latest, sequence, "withdrawal"))
    site.note("withdrawn_at_the_panel", handle, panel_id)


def failed(site: Site, handle: bytes, panel_id: bytes, problem: str) -> None:
    """One more try came to nothing."""
    with site.registry.transaction() as db:
        db.execute(
            "UPDATE deadlines SET tries = tries + 1, tried = ?, problem = ? "
            "WHERE handle = ? AND panel_id = ? AND state = 'pending'",
            (site.now(), problem, handle, panel_id),
        )


def cancel(site: Site, deadline: Deadline) -> None:
    """There was nothing to delete when it was asked for."""
    with site.registry.transaction() as db:
        db.execute("DELETE FROM deadlines WHERE id = ?", (deadline.id,))
    site.note("nothing_to_delete", deadline.handle, deadline.panel_id)


def of(site: Site, handle: bytes | None = None, panel_id: bytes | None = None) -> list[Deadline]:
    """The soonest due first."""
    rows = site.registry.rows(
        "SELECT * FROM deadlines WHERE (? IS NULL OR handle = ?) AND (? IS NULL OR panel_id = ?) ORDER BY due, id",
        handle,
        handle,
        panel_id,
        panel_id,
    )
    return [Deadline.of(row) for row in rows]


def pending(site: Site, handle: bytes | None = None, panel_id: bytes | None = None) -> list[Deadline]:
    return [deadline for deadline in of(site, handle, panel_id) if deadline.state == "pending"]
