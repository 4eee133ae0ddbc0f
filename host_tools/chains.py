"""Audit chains: panels' logs fetched and checked link by link, and the host's own history.

Of each entry the body, its hash and the hash before it are kept, so that a chain whose old entries were purged can
still be verified from the first one kept on.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress

from firmware.base.errors import MenshenError
from firmware.vault.chain import BODY_BYTES, first_break
from host_tools import receipts
from host_tools.errors import HostError
from host_tools.site import Panel, PanelRecord, Site, history
from host_tools.site.history import Break

LOG_DAYS = 90
_PAGE = 20
_DAY_S = 86_400


def fetch(site: Site, panel: Panel) -> int:
    """Keeps the entries that are new; how many. What does not follow is kept too: `verify_panel` tells."""
    since = _next(site, panel.panel_id)
    count = 0
    while True:
        page = panel.request("log_export", since=since, limit=_PAGE)
        if not page["entries"]:
            return count
        before = page["before"]
        with site.registry.transaction() as db:
            for link in page["entries"]:
                body, digest = link[:BODY_BYTES], link[BODY_BYTES:]
                values = (panel.panel_id, _seq(body), body, digest, before)
                db.execute("INSERT INTO panel_log VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", values)
                before = digest
        count += len(page["entries"])
        since = max(page["next"], since + 1)


def verify_panel(site: Site, record: PanelRecord) -> list[Break]:
    """The first break of what was fetched, and every receipt whose chain head is not in its place there."""
    rows = site.registry.rows(
        "SELECT seq, body, hash, previous FROM panel_log WHERE panel_id = ? ORDER BY seq", record.panel_id
    )
    if not rows:
        return []
    found = []
    at = first_break(rows[0]["previous"], [(row["body"], row["hash"]) for row in rows])
    if at >= 0:
        gap = at > 0 and rows[at]["previous"] != rows[at - 1]["hash"]
        seq = rows[at - 1]["seq"] + 1 if gap else rows[at]["seq"]
        found.append(Break(record.name, seq, "missing" if gap else "altered"))
    hashes = {row["seq"]: row["hash"] for row in rows}
    for kept in site.receipts():
        if kept.panel_id == record.panel_id:
            with suppress(MenshenError):  # a receipt that was altered here says nothing of the log
                parsed = receipts.full(kept.data)
                if hashes.get(parsed.counter, parsed.chain_head) != parsed.chain_head:
                    found.append(Break(record.name, parsed.counter, "altered"))
    return found


def verify_live(site: Site, panel: Panel) -> list[Break]:
    """Fetches what is new and holds what the panel says of itself against what was fetched before."""
    status = panel.request("status")
    known = _next(site, panel.panel_id)
    found = [Break(panel.name, damage["seq"], damage["what"]) for damage in status.get("log_damage", ())]
    if status.get("log_next", known) < known:
        return [*found, Break(panel.name, status["log_next"], "truncated")]
    fetch(site, panel)
    return found


def verify(
    site: Site, ask_panels: bool = True, unreached: Callable[[str, HostError], None] | None = None
) -> list[Break]:
    """Every break in the host's history and in the panels' logs. `unreached` hears of panels that do not answer."""
    with site.registry.transaction() as db:
        chain = history.entries(db)
    head = history.read_head(site.registry.beside)
    own = history.verify(chain, head)
    if own is None and chain and head is None:
        own = Break("host", chain[-1].seq, "unanchored")  # whether entries followed cannot be told
    found = [own] if own else []
    for record in site.panel_records(retired=True):
        if ask_panels and record.state == "active":
            try:
                found += verify_live(site, site.link(record))
            except HostError as error:
                if unreached:
                    unreached(record.name, error)
        found += verify_panel(site, record)
    return list(dict.fromkeys(found))


def lengths(site: Site) -> dict[str, int]:
    """How many entries there are of each chain."""
    rows = site.registry.rows(
        "SELECT name, count(seq) AS n FROM panels LEFT JOIN panel_log USING (panel_id) GROUP BY panels.panel_id"
    )
    host = site.registry.row("SELECT count(*) AS n FROM history")
    return {"host": host["n"] if host else 0, **{row["name"]: row["n"] for row in rows}}


def purge(site: Site, now: int | None = None) -> int:
    """Forgets fetched entries older than 90 days, the oldest first; how many. The rest can still be verified."""
    oldest_kept = (site.now() if now is None else now) - LOG_DAYS * _DAY_S
    purged = 0
    for record in site.panel_records(retired=True):
        rows = site.registry.rows("SELECT seq, body FROM panel_log WHERE panel_id = ? ORDER BY seq", record.panel_id)
        old = [row["seq"] for row in rows if _clock_known(row["body"]) and _time(row["body"]) < oldest_kept]
        if old:
            with site.registry.transaction() as db:
                purged += db.execute(
                    "DELETE FROM panel_log WHERE panel_id = ? AND seq <= ?", (record.panel_id, old[-1])
                ).rowcount
    if purged:
        site.note("panel_logs_purged", entries=purged)
    return purged


def _next(site: Site, panel_id: bytes) -> int:
    row = site.registry.row("SELECT max(seq) AS seq FROM panel_log WHERE panel_id = ?", panel_id)
    return 0 if row is None or row["seq"] is None else int(row["seq"]) + 1


def _seq(body: bytes) -> int:
    return int(struct.unpack_from("<Q", body, 8)[0])


def _clock_known(body: bytes) -> bool:
    return body[1] != 0


def _time(body: bytes) -> int:
    return int(struct.unpack_from("<Q", body, 16)[0])
