"""The site's secrets at rest: the cards' master key and the panels' link keys, sealed under a key of their own.

Each secret is AES-GCM(data key, secret), bound to what it is the secret of. The data key, made when the site is first
protected, is AES-GCM(scrypt(passphrase), data key): changing the passphrase changes that alone, so that backups made
before hold nothing that the registry cannot open. The passphrase is a person's, or a random one in the keyring of the
computer (the recovery code, which opens the site elsewhere). An unprotected site holds the secrets as they are, and
`menshen site` says so.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from host_tools.errors import Locked, RegistryBroken, RegistryConflict, Usage, WrongPassphrase
from host_tools.site import keychain
from host_tools.site.database import Connection
from host_tools.site.registry import Registry

LEAST_CHARACTERS = 10
_NONCE_BYTES = 12
_SEAL_BYTES = _NONCE_BYTES + 16
_COST = 1 << 16  # scrypt's n: 64 MiB, a quarter of a second
_MOST_MEMORY = 1 << 28
_NO_KEY = bytes(32)  # of a panel that was retired


@dataclass(frozen=True)
class Protection:
    """`how`: passphrase or keyring. `key_id` tells data keys apart."""

    how: str
    key_id: bytes
    salt: bytes
    cost: int
    wrapped: bytes


@dataclass(frozen=True)
class Secret:
    """`owner`: whose it is, a site's or a panel's id. `stored`: `length` bytes, or sealed."""

    kind: str
    owner: bytes
    stored: bytes
    length: int

    @property
    def name(self) -> bytes:
        return f"{self.kind} ".encode() + self.owner

    @property
    def sealed(self) -> bool:
        return len(self.stored) == self.length + _SEAL_BYTES

    @property
    def open_(self) -> bool:
        """Whether there is something to seal: a retired panel has no key."""
        return not self.sealed and self.stored != _NO_KEY


class Safe:
    """Opens when a secret is first needed, and not before."""

    # Asks a person who is there for what its argument names; None where nobody is. The command line sets it.
    ask: ClassVar[Callable[[str], str] | None] = None
    _opened: ClassVar[dict[bytes, bytes]] = {}  # wrapped key: data key, for as long as the program runs

    def __init__(self, registry: Registry, what: str = "the site's keys") -> None:
        self._registry = registry
        self._what = what

    def protection(self) -> Protection | None:
        row = self._registry.row("SELECT how, key_id, salt, cost, wrapped FROM protection")
        return Protection(*row) if row else None

    def prepare(self) -> None:
        """Asks for the passphrase now if one is needed. Raises Locked, WrongPassphrase."""
        self._key()

    def open(self, secret: Secret) -> bytes:
        """Raises Locked, WrongPassphrase; RegistryBroken where the secret was tampered with."""
        if not secret.sealed:
            return secret.stored
        key = self._key()
        if key is None:
            raise RegistryBroken("A key in the site registry is sealed, and what opens it is gone. Restore a backup.")
        return _unsealed(key, secret)

    def seal(self, secret: Secret) -> bytes:
        """A plain secret as it is to be stored, inside a transaction; `prepare` comes before that."""
        key = self._key()
        return _sealed(key, secret) if key and secret.open_ else secret.stored

    def lock(self, passphrase: str) -> None:
        """Protects the site, or changes its passphrase."""
        if len(passphrase) < LEAST_CHARACTERS:
            raise Usage(f"A passphrase has at least {LEAST_CHARACTERS} characters. Nothing was changed.")
        self._change("passphrase", passphrase)

    def lock_by_keyring(self) -> str:
        """Keeps a random passphrase in this computer's keyring; returns it, the recovery code, to be written down.

        Where another computer's keyring holds one already, this computer's is given the same.
        """
        protection = self.protection()
        if protection and protection.how == "keyring" and keychain.find(self._entry(protection.salt)) is None:
            code = self._passphrase(protection)
            self._opened[protection.wrapped] = _unwrapped(protection, code)
            keychain.keep(self._entry(protection.salt), code)
            return code
        code = "-".join(secrets.token_hex(2) for _ in range(8))
        self._change("keyring", code)
        return code

    def unlock(self) -> None:
        """The secrets lie open in the registry from now on."""
        self.prepare()
        with self._registry.transaction() as db:
            for secret in stored(db):
                store(db, secret, self.open(secret))
            protection = self.protection()
            db.execute("DELETE FROM protection")
        if protection:
            keychain.forget(self._entry(protection.salt))

    def _change(self, how: str, passphrase: str) -> None:
        before = self.protection()
        key = self._key() or AESGCM.generate_key(256)
        key_id = before.key_id if before else os.urandom(8)
        salt = os.urandom(16)
        nonce = os.urandom(_NONCE_BYTES)
        wrapped = nonce + AESGCM(_derived(passphrase, salt, _COST)).encrypt(nonce, key, key_id)
        if how == "keyring":
            keychain.keep(self._entry(salt), passphrase)
        with self._registry.transaction() as db:
            if self.protection() != before:
                raise RegistryConflict("Somebody else changed the site's protection meanwhile. Nothing was changed.")
            db.execute("DELETE FROM protection")
            db.execute(
                "INSERT INTO protection (id, how, key_id, salt, cost, wrapped) VALUES (1, ?, ?, ?, ?, ?)",
                (how, key_id, salt, _COST, wrapped),
            )
            self._opened[wrapped] = key
            for secret in stored(db):
                store(db, secret, self.seal(secret))
        if before:
            keychain.forget(self._entry(before.salt))
        self._registry.forget()

    def _entry(self, salt: bytes) -> str:
        return f"{self._registry.site_id.hex()}/{salt.hex()[:8]}"

    def _key(self) -> bytes | None:
        """The data key; None where the site is not protected."""
        protection = self.protection()
        if protection is None:
            return None
        if protection.wrapped not in self._opened:
            self._opened[protection.wrapped] = _unwrapped(protection, self._passphrase(protection))
        return self._opened[protection.wrapped]

    def _passphrase(self, protection: Protection) -> str:
        kept = keychain.find(self._entry(protection.salt)) if protection.how == "keyring" else None
        wanted = "passphrase" if protection.how == "passphrase" else "recovery code"
        given = kept or os.environ.get("MENSHEN_PASSPHRASE")
        if given:
            return given
        if Safe.ask is None:
            missing = " and this computer's keyring does not hold it" if protection.how == "keyring" else ""
            raise Locked(
                f"The {wanted} of {self._what} is needed{missing}. Set MENSHEN_PASSPHRASE, or run this on a terminal. "
                "Nothing was changed."
            )
        return Safe.ask(f"The {wanted} of {self._what}")


def prepare_together(restored: Registry, running: Registry) -> None:
    """Asks now for what `bring_together` and `seal_all` will need."""
    theirs, ours = Safe(restored, "the backup's keys"), Safe(running)
    before, now = theirs.protection(), ours.protection()
    if now and (before is None or before.key_id != now.key_id):
        theirs.prepare()
        ours.prepare()
    with running.transaction() as db:
        open_ones = [secret for secret in stored(db) if secret.kind == "link_key" and secret.open_]
    if before and now is None and open_ones:
        theirs.prepare()


def bring_together(restored: Registry, running: Registry) -> None:
    """Before a registry is restored from another one: both under the running one's protection, where it has one.

    Where only the restored one is protected, the secrets that the running one adds are sealed by `seal_all` after.
    """
    theirs, ours = Safe(restored, "the backup's keys"), Safe(running)
    before, now = theirs.protection(), ours.protection()
    if now is None:
        return
    same = before is not None and before.key_id == now.key_id
    with restored.transaction() as db:
        plain = [] if same else [(secret, theirs.open(secret)) for secret in stored(db)]
        db.execute("DELETE FROM protection")
        db.execute(
            "INSERT INTO protection (id, how, key_id, salt, cost, wrapped) VALUES (1, ?, ?, ?, ?, ?)",
            (now.how, now.key_id, now.salt, now.cost, now.wrapped),
        )
        for secret, value in plain:
            store(db, secret, ours.seal(replace(secret, stored=value)))


def seal_all(registry: Registry) -> None:
    """In a protected registry nothing stays open."""
    safe = Safe(registry, "the backup's keys")
    if safe.protection() is None:
        return
    with registry.transaction() as db:
        for secret in stored(db):
            if secret.open_:
                store(db, secret, safe.seal(secret))


def stored(db: Connection) -> Iterator[Secret]:
    """Every secret of the registry."""
    for row in db.execute("SELECT site_id, card_key FROM site").fetchall():
        yield card_secret(row["site_id"], row["card_key"])
    for row in db.execute("SELECT panel_id, link_key FROM panels").fetchall():
        yield link_secret(row["panel_id"], row["link_key"])


def store(db: Connection, secret: Secret, value: bytes) -> None:
    if secret.kind == "card_key":
        db.execute("UPDATE site SET card_key = ?", (value,))
    else:
        db.execute("UPDATE panels SET link_key = ? WHERE panel_id = ?", (value, secret.owner))


def card_secret(site_id: bytes, value: bytes) -> Secret:
    return Secret("card_key", site_id, value, 16)


def link_secret(panel_id: bytes, value: bytes) -> Secret:
    return Secret("link_key", panel_id, value, 32)


def _sealed(key: bytes, secret: Secret) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, secret.stored, secret.name)


def _unsealed(key: bytes, secret: Secret) -> bytes:
    try:
        return AESGCM(key).decrypt(secret.stored[:_NONCE_BYTES], secret.stored[_NONCE_BYTES:], secret.name)
    except InvalidTag as error:
        raise RegistryBroken("A key in the site registry was altered. Restore it from a backup.") from error


def _unwrapped(protection: Protection, passphrase: str) -> bytes:
    nonce, sealed = protection.wrapped[:_NONCE_BYTES], protection.wrapped[_NONCE_BYTES:]
    typed = passphrase.lower() if protection.how == "keyring" else passphrase
    key = _derived(typed, protection.salt, protection.cost)
    try:
        return AESGCM(key).decrypt(nonce, sealed, protection.key_id)
    except InvalidTag as error:
        which = "passphrase" if protection.how == "passphrase" else "recovery code"
        raise WrongPassphrase(f"That is not the {which} of the site's keys. Nothing was changed.") from error


def _derived(passphrase: str, salt: bytes, cost: int) -> bytes:
    text = unicodedata.normalize("NFKC", passphrase.strip()).encode()
    return hashlib.scrypt(text, salt=salt, n=cost, r=8, p=1, maxmem=_MOST_MEMORY, dklen=32)
