"""What digits behind a flat's number can be: a resident's PIN, the one for duress, or a visitor's code.

All are tried at every attempt, and with the same work whether the flat exists or not.
"""

from collections import namedtuple

from firmware.access.policy import Rights
from firmware.access.schedule import Schedule
from firmware.base.ticks import ticks_diff, ticks_ms
from firmware.credentials import pin, visitor
from firmware.crypto.hmac import zero
from firmware.services.refusals import REVOKED

# `resident` is None for a visitor, whose `visit` it is then; `spent`: the visit was revoked or its uses are used up.
Found = namedtuple("Found", ("resident", "duress", "visit", "spent"))


class Pins:
    """`cost_ms`: how long the last check took on this panel; 0 before the first."""

    def __init__(self, panel):
        self._panel = panel
        self.cost_ms = 0

    async def check(self, flat: str, digits: bytearray):
        """The Found that `digits` prove, or None; `digits` are zeroed."""
        started = ticks_ms()
        visit = self._visit(flat, digits)
        candidates = self._panel.residents.pin_verifiers(flat)
        try:
            found = await pin.match(digits, [verifier for _, _, verifier in candidates], beat=self._beat)
        finally:
            for _, _, (salt, _, digest) in candidates:
                zero(salt)
                zero(digest)
        self.cost_ms = ticks_diff(ticks_ms(), started)
        if found >= 0:
            return Found(candidates[found][0], candidates[found][1], None, False)
        if visit is not None:
            used = self._panel.refusals.uses(flat, visit.number)
            return Found(None, False, visit, used >= (visit.uses or REVOKED))
        return None

    def _beat(self) -> None:
        self._panel.beat("keypad")

    def rights(self, visit) -> Rights:
        """Of a visitor: this door, at any hour of the time that the code names."""
        return Rights(1 << self._panel.settings["door"], Schedule.always(), visit.valid_from, visit.valid_until)

    def spend(self, flat: str, visit) -> None:
        """Counts a use, on flash when it returns; before the door opens, so that no power cut gives one for nothing."""
        if visit.uses:
            refusals = self._panel.refusals
            refusals.note(flat, visit.number, visit.valid_until, refusals.uses(flat, visit.number) + 1)

    def _visit(self, flat: str, digits):
        """Whoever lives in the flat may have visitors; a flat that nobody lives in has none."""
        panel = self._panel
        now, source = panel.board.clock.now()
        if panel.vault.keys is None or len(digits) != visitor.CODE_DIGITS:
            return None
        found = visitor.read(visitor.key_of(panel.vault.keys.link_key), flat, digits, now)
        lived_in = bool(panel.residents.of_flat(flat))
        return found if source and lived_in else None
