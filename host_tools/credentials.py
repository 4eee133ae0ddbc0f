"""PINs and cards: given to every resident who wants them, with or without a face."""

from __future__ import annotations

import hashlib
import secrets
from itertools import pairwise
from pathlib import Path
from typing import Any

from firmware.credentials.ntag424 import DOOR_KEY
from firmware.credentials.pin import ITERATIONS, SALT_BYTES
from firmware.crypto.hmac import hmac_sha256
from host_tools import lost_cards, policy
from host_tools.errors import Usage
from host_tools.personalise import personalise, slot_key
from host_tools.readers import Reader, card_file
from host_tools.site import Panel, Resident, Site
from host_tools.site.sending import sending

PIN_DIGITS = 6
_MAX_PIN_DIGITS = 12

# What people choose most, beyond the patterns that `weak` finds.
_COMMON = """
112233 121314 131313 131452 147258 147852 159357 159753 168168 198808 258369 314159 520131 520520 696969
741852 789456 963852 100200 101010 123654 124578 133731 159951 201314 246810 1314520 5201314
"""


def set_pin(site: Site, panel: Panel, resident: Resident, pin: str | None = None, *, duress: bool = False) -> str:
    """Sets a PIN, a random one unless given, and returns it, never to be seen again. Usage: a weak one.

    `duress`: a second one beside the usual; it opens just so, and the panel raises an alarm that nobody there sees.
    Of it registry and history keep no trace.
    """
    pin = generate_pin(resident.flat) if pin is None else pin
    if not pin.isascii() or not pin.isdigit() or not PIN_DIGITS <= len(pin) <= _MAX_PIN_DIGITS:
        raise Usage(f"A PIN has {PIN_DIGITS} to {_MAX_PIN_DIGITS} digits.")
    if weak(pin, resident.flat):
        raise Usage("This PIN is among the first that anybody would try. Choose another, or let one be generated.")
    fields = _verifier(site, resident.flat, pin)
    if duress:
        panel.request("pin_set", handle=resident.handle, duress=True, **fields)
    else:
        _issue(site, panel, resident, "pin", None, "pin_set", fields)
    return pin


def _verifier(site: Site, flat: str, pin: str) -> dict[str, Any]:
    salt = _flat_salt(site, flat)
    digest = hashlib.pbkdf2_hmac("sha256", pin.encode(), salt, ITERATIONS)
    return {"salt": salt, "iterations": ITERATIONS, "hash": digest}


def generate_pin(flat: str = "") -> str:
    while True:
        pin = "".join(secrets.choice("0123456789") for _ in range(PIN_DIGITS))
        if not weak(pin, flat):
            return pin


def weak(pin: str, flat: str = "") -> bool:
    """One of those that are tried first: common ones, runs, repetitions, or made of the flat number."""
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    repeats = any(pin == (pin[:n] * len(pin))[: len(pin)] for n in (1, 2, 3))
    of_flat = len(flat) >= 3 and flat in pin
    return pin in _COMMON.split() or steps in ({1}, {9}) or repeats or of_flat


def issue_card(site: Site, panel: Panel, resident: Resident, path: Path) -> bytes:
    """`personalise_card` for the virtual card in the file `path`, a factory's new one where there is none."""
    with card_file(path) as reader:
        return personalise_card(site, panel, resident, reader)


def personalise_card(site: Site, panel: Panel, resident: Resident, reader: Reader) -> bytes:
    """Gives the card at `reader` the site's keys, lets the panel know its door key, and returns its UID.

    The keys follow from the site's card key and the UID (NXP AN10922). The panel learns the one that opens doors and
    never the card's master key. Done again, it changes nothing. Usage: another site's card, or one reported lost.
    """
    _not_lost(site, reader.uid)
    personalise(reader.transceive, reader.uid, site.card_key, site.site_id)
    admit_card(site, panel, resident, reader.uid)
    return reader.uid


def admit_card(site: Site, panel: Panel, resident: Resident, uid: bytes) -> None:
    """Lets one more panel know a card that was personalised before; the card itself is not needed."""
    _not_lost(site, uid)
    lost_cards.settle(site, panel)
    key = slot_key(site.card_key, site.site_id, uid, DOOR_KEY)
    _issue(site, panel, resident, "card", uid, "card_put", {"uid": uid, "key": key})


def admit_uid(site: Site, panel: Panel, resident: Resident, uid: bytes) -> None:
    """Lets a card in by its UID alone, if the panel's policy allows that: anybody who was near it can copy it."""
    _not_lost(site, uid)
    lost_cards.settle(site, panel)
    _issue(site, panel, resident, "card", uid, "card_put", {"uid": uid})


def set_uid_only(site: Site, panel: Panel, on: bool) -> None:
    """The policy that `admit_uid` needs, off unless set; the panel logs it, and each opening by it."""
    policy.change(site, panel, uid_only=on)


def _not_lost(site: Site, uid: bytes) -> None:
    if lost_cards.is_lost(site, uid):
        raise Usage(f"The card {uid.hex()} was reported lost and stays so. Take another one.")


def revoke(site: Site, panel: Panel, resident: Resident, kind: str, uid: bytes | None = None) -> int:
    """Drops the PIN, one card, or all cards; how many the panel dropped. Repeating it changes nothing."""
    if kind not in ("pin", "duress", "card"):
        raise Usage("A credential is a pin, a duress PIN (duress) or a card.")
    named: dict[str, Any] = {} if uid is None else {"uid": uid}
    dropped = panel.request("credential_drop", handle=resident.handle, kind=kind, **named)["dropped"]
    with site.registry.transaction() as db:
        db.execute(
            "UPDATE credentials SET state = 'revoked' WHERE handle = ? AND panel_id = ? AND kind = ? "
            "AND (? IS NULL OR uid = ?)",
            (resident.handle, panel.panel_id, kind, uid, uid),
        )
    if kind != "duress":
        site.note("credential_revoked", resident.handle, panel.panel_id, kind=kind, dropped=int(dropped))
    return int(dropped)


def _issue(
    site: Site,
    panel: Panel,
    resident: Resident,
    kind: str,
    uid: bytes | None,
    op: str,
    fields: dict[str, Any],
) -> None:
    with site.registry.transaction() as db:
        row_id = db.execute(
            "INSERT INTO credentials (handle, panel_id, kind, uid, state, issued) VALUES (?, ?, ?, ?, 'pending', ?) "
            "RETURNING id",
            (resident.handle, panel.panel_id, kind, uid, site.now()),
        ).fetchone()["id"]
    with sending(site, lambda db: db.execute("DELETE FROM credentials WHERE id = ?", (row_id,))):
        panel.request(op, handle=resident.handle, **fields)
    with site.registry.transaction() as db:
        db.execute(
            "DELETE FROM credentials WHERE handle = ? AND panel_id = ? AND kind = ? AND id != ? "
            "AND (uid = ? OR uid IS NULL AND ? IS NULL)",
            (resident.handle, panel.panel_id, kind, row_id, uid, uid),
        )
        db.execute("UPDATE credentials SET state = 'active' WHERE id = ?", (row_id,))
    site.note("credential_issued", resident.handle, panel.panel_id, kind=kind)


def _flat_salt(site: Site, flat: str) -> bytes:
    """One salt a flat, so that a refusal takes as long whether the flat exists or not; no secret."""
    return hmac_sha256(site.site_id, b"pin salt", flat.encode())[:SALT_BYTES]
