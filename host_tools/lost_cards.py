"""Lost cards: a panel that has heard of one refuses it for ever, connected or not, whoever issues it again.

Each panel of the site must hear of it; one that cannot be reached is told at the next contact with it.
"""

from __future__ import annotations

from contextlib import suppress

from firmware.base.errors import MenshenError
from host_tools.errors import HostError, Usage
from host_tools.site import Panel, Site


def report(site: Site, uid: bytes) -> dict[str, str]:
    """Tells every panel; panel's name to state, "confirmed" or "pending"."""
    if not 4 <= len(uid) <= 10:
        raise Usage("A card's UID has 4 to 10 bytes.")
    with site.registry.transaction() as db:
        for record in site.panel_records():
            db.execute(
                "INSERT INTO lost_cards (uid, panel_id, state, reported) VALUES (?, ?, 'pending', ?) "
                "ON CONFLICT DO NOTHING",
                (uid, record.panel_id, site.now()),
            )
        db.execute("UPDATE credentials SET state = 'revoked' WHERE kind = 'card' AND uid = ?", (uid,))
    site.note("card_lost")
    settle_all(site)
    return states(site, uid)


def settle_all(site: Site) -> None:
    for record in site.panel_records():
        settle_quietly(site, site.link(record))


def settle_quietly(site: Site, panel: Panel) -> None:
    """At a contact made for something else; what the panel does not take now stays pending."""
    with suppress(HostError, MenshenError):
        settle(site, panel)


def settle(site: Site, panel: Panel) -> int:
    """Tells one panel what it does not know yet; how many cards."""
    rows = site.registry.rows(
        "SELECT uid FROM lost_cards WHERE panel_id = ? AND state = 'pending' ORDER BY reported", panel.panel_id
    )
    for row in rows:
        panel.request("card_lost", uid=bytes(row["uid"]))
        with site.registry.transaction() as db:
            db.execute(
                "UPDATE lost_cards SET state = 'confirmed' WHERE uid = ? AND panel_id = ?",
                (row["uid"], panel.panel_id),
            )
    return len(rows)


def resend(site: Site, panel: Panel) -> int:
    """Tells a panel everything again: its flash may be an old copy. How many cards."""
    with site.registry.transaction() as db:
        db.execute("UPDATE lost_cards SET state = 'pending' WHERE panel_id = ?", (panel.panel_id,))
        db.execute(
            "INSERT INTO lost_cards (uid, panel_id, state, reported) "
            "SELECT uid, ?, 'pending', min(reported) FROM lost_cards WHERE true GROUP BY uid ON CONFLICT DO NOTHING",
            (panel.panel_id,),
        )
    return settle(site, panel)


def is_lost(site: Site, uid: bytes) -> bool:
    return site.registry.row("SELECT 1 FROM lost_cards WHERE uid = ?", uid) is not None


def states(site: Site, uid: bytes) -> dict[str, str]:
    rows = site.registry.rows(
        "SELECT name, lost_cards.state FROM lost_cards JOIN panels USING (panel_id) WHERE uid = ?", uid
    )
    return {row["name"]: row["state"] for row in rows}
