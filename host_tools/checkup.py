"""Whether a registry is whole: its rows and references, the chains in it, its keys, and what was deleted."""

from __future__ import annotations

from host_tools import chains, receipts
from host_tools.errors import ReceiptInvalid
from host_tools.site import Site, safe, tombstones

_CHAIN = "The chain of {chain} is {what} from entry {seq} on"


def look(site: Site, full: bool = True) -> list[str]:
    """A sentence for each thing that is wrong. Without `full` only what takes no time on a large registry."""
    found = [f"{damage[:1].upper()}{damage[1:]}" for damage in site.registry.damage(full)]
    found += [_CHAIN.format(**found.public()) for found in chains.verify(site, ask_panels=False)]
    return [f"{sentence.rstrip('.')}." for sentence in (*found, *_keys(site), *_receipts(site), *_returned(site))]


def _keys(site: Site) -> list[str]:
    """Either all of them are sealed, or none."""
    protected = site.safe.protection() is not None
    with site.registry.transaction() as db:
        secrets = list(safe.stored(db))
    if protected:
        return [f"The {_name(secret)} lies open although the site is protected" for secret in secrets if secret.open_]
    return [f"The {_name(secret)} is sealed, and what opens it is gone" for secret in secrets if secret.sealed]


def _receipts(site: Site) -> list[str]:
    """Each was verified when it came."""
    keys = {record.panel_id: record.device_pub for record in site.panel_records(retired=True)}
    broken = 0
    for kept in site.receipts():
        try:
            receipts.verify(kept.data, keys[kept.panel_id])
        except ReceiptInvalid:
            broken += 1
    return [f"Receipts that are not what their panels signed: {broken}"] if broken else []


def _returned(site: Site) -> list[str]:
    """Faces that were deleted, are on record as stored all the same, and that no panel owes."""
    query = (
        f"SELECT count(*) FROM enrolments WHERE state = 'stored' AND {tombstones.UNDER} AND NOT EXISTS (SELECT 1 FROM "
        "deadlines d WHERE d.handle = enrolments.handle AND d.panel_id = enrolments.panel_id AND d.state = 'pending')"
    )
    with site.registry.transaction() as db:
        stones = [stone for stone in tombstones.of(db) if stone.what != "consent"]
        count = sum(db.execute(query, stone.values()).fetchone()[0] for stone in stones)
    return [f"Faces that were deleted and stand here as stored: {count}"] if count else []


def _name(secret: safe.Secret) -> str:
    return "cards' key" if secret.kind == "card_key" else f"link key of panel {secret.owner.hex()}"
