"""What the panel remembers of the person at the door: a first proof that waits for a second, and who came in lately.

RAM only. A face counts against faces alone here: one that was taken for somebody else's must not cost that resident
the card or the PIN.
"""

from firmware.access.policy import KINDS
from firmware.base.compat import const

SECOND_S = const(30)  # how long a first proof waits for the second
_KEEP = const(256)


def kinds_of(bits: int) -> tuple:
    """The kinds of credential whose bits are set: bit 0 faces, 1 PINs, 2 cards."""
    return tuple(KINDS[i] for i in range(len(KINDS)) if bits >> i & 1)


class Visits:
    """Seconds are of the panel's uptime; `handle` names the resident."""

    def __init__(self):
        self._proofs = {}  # kind -> second, of `_who`
        self._who = None
        self._released = None
        self._came = {}  # (handle, kind) -> second

    def prove(self, handle: bytes, kind: str, now_s: int) -> tuple:
        """The other kinds that the same resident has just proven; this one is kept beside them."""
        if handle != self._who:
            self._who, self._proofs = handle, {}
        others = [k for k in self._proofs if k != kind and now_s - self._proofs[k] <= SECOND_S]
        self._proofs[kind] = now_s
        return tuple(others)

    def released(self, handle: bytes, kind: str) -> None:
        """The lock was released for this resident: the proofs are used up."""
        self._proofs = {}
        self._released = (handle, kind)

    def relocked(self) -> None:
        self._released = None

    def opened(self, now_s: int) -> None:
        """Somebody goes through the door: whoever it was released for."""
        if self._released:
            if len(self._came) >= _KEEP:
                self._came.pop(min(self._came, key=self._came.get))
            self._came[self._released] = now_s
            self._released = None

    def recent(self, handle: bytes, now_s: int, within_s: int) -> tuple:
        """The kinds that shall not open again yet."""
        came = [kind for kind in KINDS if now_s - self._came.get((handle, kind), -within_s) < within_s]
        if not [kind for kind in came if kind != "face"]:
            return tuple(came)
        return KINDS
