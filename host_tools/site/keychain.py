"""The system's keyring: GNOME's, KDE's, macOS's or Windows's. `entry` names one protection of one site."""

from __future__ import annotations

from contextlib import suppress

import keyring
from keyring.errors import KeyringError, PasswordDeleteError

from host_tools.errors import Locked

_SERVICE = "menshen"
_REAL = 1  # the priority from which on keyring recommends a backend


def available() -> bool:
    """Whether this computer has a keyring that a person unlocks; keyring's stand-ins are none."""
    return keyring.get_keyring().priority >= _REAL


def keep(entry: str, code: str) -> None:
    try:
        if not available():
            raise KeyringError("none is running")
        keyring.set_password(_SERVICE, entry, code)
    except KeyringError as error:
        raise Locked(
            f"This computer has no keyring that can keep the site's key ({error}). Use a passphrase: "
            "menshen site lock --passphrase. Nothing was changed."
        ) from error


def find(entry: str) -> str | None:
    with suppress(KeyringError):
        return keyring.get_password(_SERVICE, entry)
    return None


def forget(entry: str) -> None:
    with suppress(KeyringError, PasswordDeleteError):
        keyring.delete_password(_SERVICE, entry)
