"""Withdrawal and wipes, the same whether the host asks or the resident at the panel."""

from firmware.base.errors import VaultFull
from firmware.services.residents import WITHDRAWN


def withdraw(panel, handle: bytes):
    """The wipe's receipt, or None when no face was stored.

    Matching stops first, the record of the withdrawal comes second, the erasure third: after a cut in between the
    next start finishes it before anything may match.
    """
    panel.stop_matching(handle)
    panel.desk.drop(handle)
    receipt = None
    consent = panel.residents.get(handle).consent
    if consent and consent.state != WITHDRAWN:
        try:
            _record(panel, handle, consent)
        except VaultFull:  # the wipe makes the room that the record needs
            receipt = wipe(panel, handle, "withdrawn")
            _record(panel, handle, consent)
        panel.vault.append("consent_withdrawn", handle)
    return receipt or wipe(panel, handle, "withdrawn")


def wipe(panel, handle: bytes, reason: str):
    """The receipt, or None when no face was stored."""
    if handle not in panel.vault.face_handles():
        return None
    return panel.wipe_face(handle, reason)


def _record(panel, handle: bytes, consent) -> None:
    now = panel.board.clock.now()[0]
    panel.residents.set_consent(handle, WITHDRAWN, now, consent.consent_id, consent.notice_hash)
