"""Giving the panel up: nothing matches from the first moment, the flash is erased a few blocks at a time, and the
host's confirmation ends it with a restart as a fresh panel."""

import asyncio
from hashlib import sha256

from firmware.base.compat import const
from firmware.base.errors import EraseFailed, Refused
from firmware.base.log import log
from firmware.base.ticks import ticks_diff, ticks_ms
from firmware.services.settings import FIELDS

_REPLY_MS = const(1500)  # how long a request works before it tells how much is left
_BLOCKS = const(4)  # erased in the background at a time


class Clearing:
    """`over`: the panel has nothing left and shall restart."""

    def __init__(self, panel):
        self._panel = panel
        self._steps = None
        self._left = 0
        self.over = False

    async def work(self) -> int:
        """Begins, or goes on for a while; how many blocks are left. EraseFailed when some resist."""
        panel = self._panel
        panel.vault.decommission()
        panel.forget()
        started = ticks_ms()
        while not panel.vault.clearance and ticks_diff(ticks_ms(), started) < _REPLY_MS:
            self._step()
            panel.beat("link")
            await asyncio.sleep(0)
        return self._left if not panel.vault.clearance else 0

    def tend(self) -> None:
        """Goes on in the background, also after a restart; a block that resists waits for the next request."""
        vault = self._panel.vault
        if vault.fresh or vault.in_service or vault.clearance or vault.keys is None or self._left < 0:
            return
        try:
            for _ in range(_BLOCKS):
                self._step()
        except EraseFailed as error:
            log("vault", str(error))
            self._left = -1

    def done(self, clearance_hash: bytes) -> None:
        clearance = self._panel.vault.clearance
        if clearance is None or sha256(clearance).digest() != clearance_hash:
            raise Refused("the panel has not been cleared, or its clearance is another")
        self._panel.settings.change({name: field[0] for name, field in FIELDS.items()})
        self._panel.vault.close()
        self.over = True

    def _step(self) -> None:
        if self._steps is None:
            self._steps = self._panel.vault.clear()
        try:
            self._left = next(self._steps)
        except StopIteration:
            self._steps = None
        except EraseFailed:
            self._steps = None
            raise
