"""Cards at the reader: a UID is a claim, only the proven key is a credential.

`poll` returns None; ('card', uid) once the card has proven the key that belongs to its UID; ('uid', uid) for a card
that the site lets in by its UID alone; or ('card_refused', reason, uid) with one of the reasons below. A card that
stays in the field is read once.

A relay makes a far card answer here. What it cannot hide is time, so the whole exchange is bounded; a relay faster than
that bound is not detected (neither card type here measures distance).
"""

from firmware.base.compat import const
from firmware.base.errors import AuthError, HalError
from firmware.base.ticks import ticks_add, ticks_diff, ticks_ms
from firmware.credentials import ntag424
from firmware.crypto.hmac import constant_time_eq, zero

UNKNOWN_CARD = "unknown_card"  # no key for this UID
WRONG_KEY = "wrong_key"  # a copy of the UID, a card of another site, or an altered answer
CARD_REMOVED = "card_removed"  # taken away too early: hold it longer
MALFORMED = "malformed"  # not a card of this kind, or one that talks nonsense
TOO_SLOW = "too_slow"  # the exchange took longer than a card in the field needs: perhaps a relay

EXCHANGE_MS = const(300)  # selection, mutual authentication and the card's own UID; a card needs about 100
_GONE_MS = const(600)  # a card is new again after it was out of the field for so long
_RANDOM_BYTES = const(16)


class _TooSlow(Exception):
    pass


class CardReader:
    """Reads cards above the HAL's `nfc`.

    `key_of(uid)` returns a bytearray with the 16-byte key of that card, zeroed here after use, an empty one for a card
    that needs none, or None; `entropy(n)` random bytes; `ticks` the panel's own clock, milliseconds.
    """

    def __init__(self, nfc, key_of, entropy, ticks=ticks_ms):
        self._nfc = nfc
        self._key_of = key_of
        self._entropy = entropy
        self._ticks = ticks
        self._held = None  # the UID that was read and is still in the field
        self._held_until = 0

    def poll(self, now_ms: int):
        """One look at the field; a card that is there is authenticated before this returns."""
        try:
            uid = self._nfc.poll()
        except HalError:
            uid = None
        if uid is None:
            if self._held is not None and ticks_diff(now_ms, self._held_until) >= 0:
                self._held = None
            return None
        uid = bytes(uid)
        was_held = uid == self._held
        self.hold(uid, now_ms)
        if was_held:
            return None
        return self._read(uid)

    def hold(self, uid: bytes, now_ms: int) -> None:
        """Count this card as read, until it has left the field."""
        self._held, self._held_until = uid, ticks_add(now_ms, _GONE_MS)

    def _read(self, uid: bytes) -> tuple:
        key = self._key_of(uid)
        if key is None:
            return ("card_refused", UNKNOWN_CARD, uid)
        if not key:
            return ("uid", uid)
        try:
            return ("card", uid) if self._proves(uid, key) else ("card_refused", WRONG_KEY, uid)
        except AuthError:
            return ("card_refused", WRONG_KEY, uid)
        except ntag424.CardError:
            return ("card_refused", MALFORMED, uid)
        except _TooSlow:
            return ("card_refused", TOO_SLOW, uid)
        except HalError:
            self._held = None  # so that the same card may be tried again at once
            return ("card_refused", CARD_REMOVED, uid)
        finally:
            zero(key)

    def _proves(self, uid: bytes, key: bytearray) -> bool:
        transceive = self._timed()
        ntag424.select(transceive)
        random_a = self._entropy(_RANDOM_BYTES)
        session = ntag424.authenticate(transceive, key, ntag424.DOOR_KEY, random_a)
        try:
            return constant_time_eq(session.uid(), uid)
        finally:
            session.close()

    def _timed(self):
        """The HAL's transceive, which from EXCHANGE_MS after now on counts as too slow."""
        started = self._ticks()

        def transceive(apdu):
            answer = self._nfc.transceive(apdu)
            if ticks_diff(self._ticks(), started) > EXCHANGE_MS:
                raise _TooSlow
            return answer

        return transceive
