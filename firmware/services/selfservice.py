"""A resident deletes the own face at the panel, alone: "*", then card or flat number and PIN, then "#".

No manager, no more keys than consenting took, and no door opens for it. The receipt appears as a QR code at once,
and the host fetches it later.
"""

from binascii import b2a_base64

from firmware.base.compat import const
from firmware.base.errors import EraseFailed
from firmware.base.log import log
from firmware.base.ticks import ticks_ms
from firmware.services.residents import GIVEN
from firmware.services.withdrawal import withdraw

_RECEIPT_MS = const(90_000)  # long enough to get a telephone out

_IDLE, _ASKING, _CONFIRMING = const(0), const(1), const(2)


class SelfService:
    """One person at a time; whatever else happens at the panel ends it with nothing deleted."""

    def __init__(self, panel):
        self._panel = panel
        self._state = _IDLE
        self._handle = None

    @property
    def open(self) -> bool:
        return self._state != _IDLE

    @property
    def asking(self) -> bool:
        """The next card or PIN says whose face it is, and opens nothing."""
        return self._state == _ASKING

    @property
    def confirming(self) -> bool:
        return self._state == _CONFIRMING

    def begin(self) -> None:
        panel = self._panel
        panel.face.stop()
        self._state = _ASKING
        panel.entry.keep_screen()
        panel.screens.delete_face_who()

    def identified(self, resident) -> None:
        """`resident` has proven to be there, by card or PIN."""
        panel = self._panel
        consent = resident.consent
        if resident.handle in panel.vault.face_handles() or (consent and consent.state == GIVEN):
            self._state, self._handle = _CONFIRMING, resident.handle
            panel.entry.keep_screen()
            panel.entry.keypad.ask(1, ticks_ms())
            panel.screens.delete_face_confirm()
        else:
            self.cancel()
            panel.screens.no_face_stored()
            panel.entry.hold()

    def answer(self, confirmed: bool) -> None:
        panel = self._panel
        handle = self._handle
        self.cancel()
        if not confirmed:
            panel.entry.idle()
            return
        try:
            receipt = withdraw(panel, handle)
        except EraseFailed as error:  # it matches no more, but it is not certainly gone: no receipt
            log("vault", str(error))
            panel.screens.face_not_erased()
            panel.entry.hold()
            return
        if receipt is None:
            panel.screens.face_deleted()
            panel.entry.hold()
        else:
            panel.screens.receipt(b2a_base64(receipt).strip())
            panel.entry.hold(_RECEIPT_MS)

    def cancel(self) -> None:
        self._state, self._handle = _IDLE, None
