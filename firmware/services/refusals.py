"""What this panel must not accept again, whatever it is told later: cards reported lost, visitor codes used up or
revoked. One sealed record beside the residents'.

Items: tag u8, length u8, value. Lost card: its UID. Visitor code: digest of flat and number 6, end u32 (Unix seconds),
uses u8; dropped once the code has ended anyway.
"""

import struct
from hashlib import sha256

from firmware.base.compat import const
from firmware.base.errors import VaultCorrupt, VaultFull

_NAME = b"refusals"

_CARD = const(1)
_CODE = const(2)
_CODE_FORMAT = "<6sIB"
_CODE_BYTES = const(11)
REVOKED = const(255)
MOST_CARDS = const(160)  # with as many codes as may be under way they fit one block
MOST_CODES = const(120)


class Refusals:
    """`load` after the vault has opened. Every change is on flash before it is in RAM."""

    def __init__(self, vault, clock):
        self._vault = vault
        self._clock = clock
        self._cards = []
        self._codes = {}

    def load(self) -> None:
        """VaultCorrupt when the record cannot be read."""
        blob = self._vault.read_list(_NAME)
        cards, codes = [], {}
        at = 0
        while at < len(blob):
            end = at + 2 + blob[at + 1] if at + 1 < len(blob) else len(blob) + 1
            if end > len(blob):
                raise VaultCorrupt("the list of lost cards cannot be read")
            value = bytes(blob[at + 2 : end])
            if blob[at] == _CARD:
                cards.append(value)
            elif blob[at] == _CODE and len(value) == _CODE_BYTES:
                code, until, uses = struct.unpack(_CODE_FORMAT, value)
                codes[code] = (until, uses)
            else:
                raise VaultCorrupt("the list of lost cards cannot be read")
            at = end
        self._cards, self._codes = cards, codes

    def lost(self, uid: bytes) -> bool:
        return uid in self._cards

    def report_lost(self, uid: bytes) -> None:
        """Once and for ever. VaultFull when the list has no room: the site's cards must be keyed anew."""
        if uid in self._cards:
            return
        if len(self._cards) >= MOST_CARDS:
            raise VaultFull("this panel's list of lost cards is full: replace the oldest by a new site key")
        self._write(self._cards + [uid], self._codes)

    def uses(self, flat: str, number: int) -> int:
        """How often a visitor's code has opened; REVOKED or more: never again."""
        return self._codes.get(_digest(flat, number), (0, 0))[1]

    def note(self, flat: str, number: int, until: int, uses: int) -> None:
        """`uses` of a code so far, or REVOKED. VaultFull when too many codes are under way."""
        now, source = self._clock.now()
        codes = {code: entry for code, entry in self._codes.items() if not source or entry[0] > now}
        codes[_digest(flat, number)] = (until, min(uses, REVOKED))
        if len(codes) > MOST_CODES:
            raise VaultFull("too many visitor codes are in use on this panel")
        self._write(self._cards, codes)

    def _write(self, cards: list, codes: dict) -> None:
        items = [bytes((_CARD, len(uid))) + uid for uid in cards]
        for code, (until, uses) in codes.items():
            items.append(bytes((_CODE, _CODE_BYTES)) + struct.pack(_CODE_FORMAT, code, until, uses))
        self._vault.put_list(_NAME, b"".join(items))
        self._cards, self._codes = cards, codes


def _digest(flat: str, number: int) -> bytes:
    return sha256(b"%s|%d" % (flat.encode(), number)).digest()[:6]
