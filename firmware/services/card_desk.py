"""The panel's card reader on loan to the host, which personalises a card through it.

The host computes and the panel only passes APDUs on, so that no key but the door's ever reaches a panel. While the
reader is on loan a card opens nothing, nor does the card that lay there until it was taken away; a host that falls
silent loses the loan.
"""

import asyncio

from firmware.base.compat import const
from firmware.base.errors import HalError, NotFound, Refused
from firmware.base.ticks import ticks_add, ticks_diff, ticks_ms

_POLL_MS = const(50)
_SILENCE_MS = const(5000)


class CardDesk:
    def __init__(self, panel):
        self._panel = panel
        self._nfc = panel.board.nfc
        self._until = None
        self.uid = None  # of the card at the desk; whoever reads the door's cards forgets it after the loan

    @property
    def lent(self) -> bool:
        if self._until is not None and ticks_diff(ticks_ms(), self._until) >= 0:
            self._until = None
        return self._until is not None

    async def wait(self, wait_s: int) -> bytes:
        """The UID of the next card; NotFound when none comes in time."""
        if not self._panel.board.has_nfc:
            raise Refused("this panel has no card reader")
        deadline = ticks_add(ticks_ms(), wait_s * 1000)
        while ticks_diff(ticks_ms(), deadline) < 0:
            self._hold()
            self._panel.beat("link")
            try:
                uid = self._nfc.poll()
            except HalError:
                uid = None
            if uid:
                self.uid = bytes(uid)
                return self.uid
            await asyncio.sleep_ms(_POLL_MS)
        self.done()
        raise NotFound("no card was held to the panel")

    def exchange(self, apdu: bytes) -> bytes:
        if not self.lent:
            raise Refused("the reader is not on loan: begin with card_wait")
        self._hold()
        return bytes(self._nfc.transceive(apdu))

    def done(self) -> None:
        self._until = None

    def _hold(self) -> None:
        self._until = ticks_add(ticks_ms(), _SILENCE_MS)
