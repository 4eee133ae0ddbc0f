"""Cards at the reader: a UID is a claim, only the proven key is a credential.

`poll` returns None, ('card', uid) once the card has proven the key that belongs to its UID, or
('card_refused', reason, uid) with one of the reasons below. A card that stays in the field is read once.
"""

from firmware.base.compat import const
from firmware.base.errors import AuthError, HalError
from firmware.base.ticks import ticks_add, ticks_diff
from firmware.credentials import ntag424
from firmware.crypto.hmac import zero

UNKNOWN_CARD = "unknown_card"  # no key for this UID
WRONG_KEY = "wrong_key"  # a copy of the UID, or a card of another site
CARD_REMOVED = "card_removed"  # taken away too early: hold it longer
MALFORMED = "malformed"  # not a card of this kind, or one that talks nonsense

_GONE_MS = const(600)  # a card is new again after it was out of the field for so long
_RANDOM_BYTES = const(16)


class CardReader:
    """Reads cards above the HAL's `nfc`.

    `key_of(uid)` returns a bytearray with the 16-byte key of that card, zeroed here after use, or None;
    `entropy(n)` random bytes; `key_number` the card's key slot that doors use.
    """

    def __init__(self, nfc, key_of, entropy, key_number: int = 0):
        self._nfc = nfc
        self._key_of = key_of
        self._entropy = entropy
        self._key_number = key_number
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
        self._held, self._held_until = uid, ticks_add(now_ms, _GONE_MS)
        if was_held:
            return None
        return self._read(uid)

    def _read(self, uid: bytes) -> tuple:
        key = self._key_of(uid)
        if key is None:
            return ("card_refused", UNKNOWN_CARD, uid)
        try:
            ntag424.select(self._nfc.transceive)
            random_a = self._entropy(_RANDOM_BYTES)
            ntag424.authenticate(self._nfc.transceive, key, self._key_number, random_a).close()
        except AuthError:
            return ("card_refused", WRONG_KEY, uid)
        except ntag424.CardError:
            return ("card_refused", MALFORMED, uid)
        except HalError:
            self._held = None  # so that the same card may be tried again at once
            return ("card_refused", CARD_REMOVED, uid)
        finally:
            zero(key)
        return ("card", uid)
