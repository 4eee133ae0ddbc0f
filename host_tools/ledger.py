"""The deadline ledger at work: what is owed is asked of its panel, and asked again at each contact until confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from host_tools import burial, lost_cards, receipts
from host_tools.errors import HostError, IdentityChanged, LinkFailed, NoPanel, Provisioning, RefusedByPanel
from host_tools.fleet import crowd
from host_tools.site import Panel, Site, deadlines
from host_tools.site.deadlines import Deadline

_UNREACHED = (NoPanel, LinkFailed, IdentityChanged, Provisioning)


@dataclass(frozen=True)
class Outcome:
    """Of a deletion on one panel: `receipt` None with no `problem` means that the panel held no face."""

    panel: str
    receipt: bytes | None = None
    problem: str = ""

    @property
    def confirmed(self) -> bool:
        return not self.problem


def carry_out(site: Site, panel: Panel, handle: bytes) -> bytes | None:
    """Asks the panel for all that it owes this handle and closes it; the receipt, None where nothing was stored.

    Raises what the panel or the link raised, with the try noted in the ledger.
    """
    if not deadlines.pending(site, handle, panel.panel_id):  # another service has been quicker
        return _settled(site, panel, handle)
    try:
        panel.connected()  # a new contact begins with what waits for the panel: this too
        owed = deadlines.pending(site, handle, panel.panel_id)
        if not owed:
            return _settled(site, panel, handle)
        receipt = _erase(site, panel, handle, {deadline.cause for deadline in owed})
    except NoPanel as error:
        raise NoPanel(_not_reached(site, panel, handle, error)) from error
    except HostError as error:
        deadlines.failed(site, handle, panel.panel_id, str(error))
        raise
    if receipt is None:
        receipt = _late(site, panel, handle, min((deadline.opened for deadline in owed), default=site.now()))
    if receipt:
        deadlines.confirm(site, handle, panel.panel_id, "receipt", receipt, receipts.read(receipt).counter)
    else:
        deadlines.confirm(site, handle, panel.panel_id, "nothing_stored", None, 0)
    if any(deadline.cause == "move_out" for deadline in owed):
        _moved_out(site, panel, handle)
    return receipt


def attempt(site: Site, panel: Panel, handle: bytes) -> Outcome:
    """As carry_out, but a panel that does not do it is an outcome, not an error."""
    try:
        return Outcome(panel.name, carry_out(site, panel, handle))
    except HostError as error:
        return Outcome(panel.name, problem=str(error))


def settle(site: Site, panel: Panel) -> list[Outcome]:
    """Carries out what waits for this panel; stops where it cannot be reached."""
    outcomes = []
    waiting = _waiting(site, panel)
    for number, handle in enumerate(waiting, 1):
        try:
            outcomes.append(Outcome(panel.name, carry_out(site, panel, handle)))
        except _UNREACHED as error:
            outcomes.append(Outcome(panel.name, problem=str(error)))
            if isinstance(error, NoPanel):
                for other in waiting[number:]:
                    _not_reached(site, panel, other, error)
            break
        except HostError as error:
            outcomes.append(Outcome(panel.name, problem=str(error)))
    return outcomes


def settle_quietly(site: Site, panel: Panel) -> None:
    """At a contact made for something else."""
    if panel.record.state == "active":
        lost_cards.settle_quietly(site, panel)
        if _waiting(site, panel):
            settle(site, panel)


def retry(site: Site, restored: bool = False) -> list[Outcome]:
    """Tries every panel that owes something, and hears what residents did at the panels themselves.

    A panel whose flash was put back to an older state, or every one after the registry was `restored`, is told again
    what must stay deleted.
    """
    found = crowd.each(site, site.panel_records(), lambda site, panel: _catch_up(site, panel, restored))
    return [outcome for outcomes in found for outcome in outcomes]


def _catch_up(site: Site, panel: Panel, restored: bool) -> list[Outcome]:
    outcomes = settle(site, panel)
    try:
        burial.push(site, panel) if restored else burial.push_if_restored(site, panel)
        receipts.collect(site, panel)
    except HostError as error:
        if not outcomes:
            outcomes.append(Outcome(panel.name, problem=str(error)))
    return outcomes


def overdue(site: Site) -> list[Deadline]:
    return [deadline for deadline in deadlines.pending(site) if deadline.overdue(site.now())]


def _waiting(site: Site, panel: Panel) -> list[bytes]:
    owed = [deadline for deadline in deadlines.pending(site, None, panel.panel_id) if deadline.cause != "decommission"]
    return list(dict.fromkeys(deadline.handle for deadline in owed))


def _erase(site: Site, panel: Panel, handle: bytes, causes: set[str]) -> bytes | None:
    """Each operation is idempotent, and the first one that found a face brings the receipt."""
    receipt = None
    for op, fields in _commands(causes):
        receipt = _ask(site, panel, op, handle, **fields) or receipt
    return receipt


def _not_reached(site: Site, panel: Panel, handle: bytes, error: NoPanel) -> str:
    """What was not tried before is left with the port, where that keeps it: once, for it does not forget.

    What to tell of it, which the ledger has too.
    """
    problem = str(error)
    causes = {deadline.cause for deadline in deadlines.pending(site, handle, panel.panel_id) if not deadline.tries}
    try:
        if causes and all([panel.leave(op, handle=handle, **fields) for op, fields in _commands(causes)]):
            problem += " The command waits for it at the broker."
    except HostError:
        pass  # the port cannot be reached either
    deadlines.failed(site, handle, panel.panel_id, problem)
    return problem


def _commands(causes: set[str]) -> Iterator[tuple[str, dict[str, str]]]:
    if "notice" in causes:
        yield "wipe_face", {"reason": "notice"}
    if causes & {"order", "request"}:
        yield "wipe_face", {"reason": "request"}
    if causes & {"order", "withdrawal"}:
        yield "consent_withdraw", {}
    if "move_out" in causes:
        yield "resident_drop", {}


def _settled(site: Site, panel: Panel, handle: bytes) -> bytes | None:
    done = deadlines.of(site, handle, panel.panel_id)
    return max(done, key=lambda deadline: deadline.id).receipt if done else None


def _ask(site: Site, panel: Panel, op: str, handle: bytes, **fields: Any) -> bytes | None:
    try:
        receipt: bytes | None = panel.request(op, handle=handle, **fields).get("receipt")
    except RefusedByPanel as error:
        if error.panel_code != "not_found":
            raise
        return None
    if receipt is not None:
        receipts.store(site, panel, receipt, handle)
    return receipt


def _late(site: Site, panel: Panel, handle: bytes, opened: int) -> bytes | None:
    """The receipt of an erasure that went through earlier, but whose answer did not."""
    unsettled = site.registry.row(
        "SELECT 1 FROM enrolments WHERE handle = ? AND panel_id = ? AND state != 'wiped'", handle, panel.panel_id
    )
    if unsettled:
        receipts.collect(site, panel)
    row = site.registry.row(
        "SELECT receipt FROM receipts WHERE handle = ? AND panel_id = ? AND collected >= ? ORDER BY rowid DESC LIMIT 1",
        handle,
        panel.panel_id,
        opened,
    )
    return bytes(row["receipt"]) if row and receipts.read(row["receipt"]).reason != "replaced" else None


def _moved_out(site: Site, panel: Panel, handle: bytes) -> None:
    """The name is forgotten once no panel holds anything of theirs."""
    with site.registry.transaction() as db:
        db.execute(
            "UPDATE placements SET state = 'removed' WHERE handle = ? AND panel_id = ?", (handle, panel.panel_id)
        )
        left = db.execute("SELECT 1 FROM placements WHERE handle = ? AND state != 'removed'", (handle,)).fetchone()
        if left is None:
            db.execute("UPDATE residents SET state = 'removed', name = '', flat = '' WHERE handle = ?", (handle,))
            db.execute("UPDATE credentials SET state = 'revoked' WHERE handle = ?", (handle,))
            db.execute("UPDATE enrolments SET state = 'wiped' WHERE handle = ?", (handle,))
    if left is None:
        site.note("resident_forgotten", handle)
