"""Receipts of wipes: verified by the panel's public key alone, kept, and fetched again from the panel."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from firmware.base.errors import MenshenError
from firmware.vault import receipt as format_
from host_tools.errors import ReceiptInvalid, RefusedByPanel
from host_tools.site import Panel, Site, deadlines
from host_tools.site.tombstones import Tombstone

_PAGE = 5


@dataclass(frozen=True)
class ReceiptInfo:
    """What a valid receipt says. `blocks` are the flash blocks that were read back as erased."""

    panel_id: bytes
    handle: bytes
    counter: int
    time: int
    time_source: int
    reason: str
    blocks: tuple[int, ...]

    def public(self) -> dict[str, Any]:
        return {
            "panel_id": self.panel_id.hex(),
            "handle": self.handle.hex(),
            "counter": self.counter,
            "time": self.time,
            "time_source": self.time_source,
            "reason": self.reason,
            "blocks": list(self.blocks),
        }


def unwrapped(data: bytes) -> bytes:
    """A receipt as it is, or what was scanned from its QR code: the same in Base64."""
    if data[:4] == b"MnRt":
        return data
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except ValueError:
        return data


def verify(data: bytes, device_pub: bytes) -> ReceiptInfo:
    """Raises ReceiptInvalid unless the key's owner signed exactly these bytes."""
    try:
        return _info(format_.verify(data, device_pub, signed))
    except MenshenError as error:
        raise ReceiptInvalid(f"The receipt is not valid: {error} Do not rely on it.") from error


def read(data: bytes) -> ReceiptInfo:
    """What a receipt says, not verified: for those that were when they were kept."""
    return _info(format_.parse(data))


def full(data: bytes) -> format_.Receipt:
    """Every field of a receipt that was verified when it was kept."""
    return format_.parse(data)


def store(site: Site, panel: Panel, data: bytes, handle: bytes | None = None) -> ReceiptInfo:
    """Verifies a receipt against the panel's pinned key and keeps it. `handle`: whose has just been wiped."""
    info = verify(data, panel.record.device_pub)
    if info.panel_id != panel.panel_id or handle not in (None, info.handle):
        raise ReceiptInvalid("The receipt is genuine but for another record. Do not rely on it.")
    with site.registry.transaction() as db:
        fresh = db.execute(
            "INSERT INTO receipts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (hashlib.sha256(data).digest(), panel.panel_id, info.handle, data, site.now()),
        ).rowcount
        # A replaced record's successor lives on, and so does an enrolment later than an old receipt.
        if info.reason != "replaced":
            db.execute(
                "UPDATE enrolments SET state = 'wiped' WHERE panel_id = ? AND handle = ? AND "
                "CASE WHEN sequence > 0 THEN sequence <= ? ELSE enrolled <= ? END",
                (panel.panel_id, info.handle, info.counter, site.now() if handle else info.time),
            )
    if fresh and handle is None and info.reason != "replaced":
        site.bury(Tombstone("face", info.handle, panel.panel_id, info.time, info.counter, info.reason))
    if fresh and handle is None and info.reason == "withdrawn":
        _withdrawn_there(site, panel, info, data)
    return info


def _withdrawn_there(site: Site, panel: Panel, info: ReceiptInfo, data: bytes) -> None:
    """The resident withdrew at the panel, unless it was asked for here and only the answer got lost."""
    if not deadlines.pending(site, info.handle, panel.panel_id):
        now = _consent_now(panel, info.handle)
        deadlines.done_by_resident(site, info.handle, panel.panel_id, info.time, data, info.counter, now)


def _consent_now(panel: Panel, handle: bytes) -> bytes:
    """The id of the consent that is asked for or given at the panel now; empty where there is none."""
    try:
        answer = panel.request("consent_state", handle=handle)
    except RefusedByPanel:  # it knows the resident no more
        return b""
    return bytes(answer["consent_id"]) if answer["state"] in ("asked", "given") else b""


def collect(site: Site, panel: Panel) -> list[bytes]:
    """Fetches and keeps the receipts that this site has not fetched yet, and lets the panel forget what is kept."""
    row = site.registry.row("SELECT receipts_next FROM panels WHERE panel_id = ?", panel.panel_id)
    since = int(row["receipts_next"]) if row else 0
    found: list[bytes] = []
    while True:
        page = panel.request("receipts", since=since, limit=_PAGE)
        if not page["receipts"]:
            if found:
                _acknowledge(panel, since)
            elif page.get("waiting"):  # it has not heard so, or its flash was put back to an older state
                _acknowledge(panel, min(since, panel.request("status").get("log_next", since)))
            return found
        for data in page["receipts"]:
            store(site, panel, data)
            found.append(data)
        since = max(page["next"], since + 1)
        with site.registry.transaction() as db:
            db.execute("UPDATE panels SET receipts_next = ? WHERE panel_id = ?", (since, panel.panel_id))


def _acknowledge(panel: Panel, following: int) -> None:
    """All before this counter are verified and on this disk: the panel may forget them."""
    panel.request("receipts_ack", upto=following - 1)


def signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _info(receipt: format_.Receipt) -> ReceiptInfo:
    blocks = tuple(index for index, _, _ in receipt.blocks)
    return ReceiptInfo(
        receipt.panel_id,
        receipt.handle,
        receipt.counter,
        receipt.time,
        receipt.time_source,
        receipt.reason,
        blocks,
    )
