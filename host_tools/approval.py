"""Who may delete in bulk: two different approvers, or whoever types the word and holds the site key.

Approvers have a passphrase each; the site key is made once, printed once, and kept on paper. The registry holds
only scrypt verifiers of both.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass

from host_tools.errors import NotApproved, Usage
from host_tools.site import Site

_SITE_KEY = "the site key"
_SCRYPT = {"n": 1 << 14, "r": 8, "p": 1, "dklen": 32}
_LEAST_CHARACTERS = 10


@dataclass(frozen=True)
class Approval:
    """`by`: the approvers' names, or the site key."""

    by: tuple[str, ...]


def add_approver(site: Site, name: str, passphrase: str) -> None:
    if not name.strip() or name == _SITE_KEY:
        raise Usage("An approver needs a name.")
    if len(passphrase) < _LEAST_CHARACTERS:
        raise Usage(f"A passphrase has at least {_LEAST_CHARACTERS} characters.")
    if site.registry.row("SELECT 1 FROM approvers WHERE name = ?", name):
        raise Usage(f"There is an approver called {name} already.")
    _store(site, name, passphrase)
    site.note("approver_added", name=name)


def remove_approver(site: Site, name: str) -> None:
    with site.registry.transaction() as db:
        if not db.execute("DELETE FROM approvers WHERE name = ? AND name != ?", (name, _SITE_KEY)).rowcount:
            raise Usage(f"There is no approver called {name}.")
    site.note("approver_removed", name=name)


def approvers(site: Site) -> list[str]:
    rows = site.registry.rows("SELECT name FROM approvers WHERE name != ? ORDER BY name", _SITE_KEY)
    return [row["name"] for row in rows]


def new_site_key(site: Site, old: str | None = None) -> str:
    """The site key, never to be seen again; a new one replaces the old, which must be known."""
    if site.registry.row("SELECT 1 FROM approvers WHERE name = ?", _SITE_KEY):
        if old is None or not _matches(site, _SITE_KEY, _normal(old)):
            raise NotApproved("This site has a key already. Only who holds it can have another one made.")
        with site.registry.transaction() as db:
            db.execute("DELETE FROM approvers WHERE name = ?", (_SITE_KEY,))
    key = "-".join(secrets.token_hex(2) for _ in range(8))
    _store(site, _SITE_KEY, _normal(key))
    site.note("site_key_made")
    return key


def by_two(site: Site, signatures: list[tuple[str, str]]) -> Approval:
    """(name, passphrase) of two different approvers."""
    names = sorted({name for name, _ in signatures})
    if len(names) < 2:
        raise NotApproved("A bulk deletion needs two different approvers. Nothing was changed.")
    for name, passphrase in signatures:
        if name == _SITE_KEY or not _matches(site, name, passphrase):
            raise NotApproved(f"{name} is no approver with that passphrase. Nothing was changed.")
    return Approval(tuple(names))


def by_site_key(site: Site, key: str) -> Approval:
    """The typed word is asked for where there is a terminal."""
    if not _matches(site, _SITE_KEY, _normal(key)):
        raise NotApproved("That is not the site key. Nothing was changed.")
    return Approval((_SITE_KEY,))


def _store(site: Site, name: str, secret: str) -> None:
    salt = os.urandom(16)
    verifier = hashlib.scrypt(secret.encode(), salt=salt, **_SCRYPT)
    with site.registry.transaction() as db:
        db.execute("INSERT INTO approvers VALUES (?, ?, ?, ?)", (name, salt, verifier, site.now()))


def _matches(site: Site, name: str, secret: str) -> bool:
    row = site.registry.row("SELECT salt, verifier FROM approvers WHERE name = ?", name)
    salt, verifier = (row["salt"], row["verifier"]) if row else (bytes(16), bytes(32))
    return hmac.compare_digest(hashlib.scrypt(secret.encode(), salt=salt, **_SCRYPT), verifier)


def _normal(key: str) -> str:
    return "".join(key.lower().split()).replace("-", "")
