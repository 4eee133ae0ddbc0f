"""A software NTAG 424 DNA: the card in the wallet, kept in a JSON file.

Answers ISO SELECT of its application and AuthenticateEV2First with its five AES-128 keys (NXP NT4H2421Gx data
sheet, sections 9.1 and 10; examples in AN12196).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

KEY_COUNT = 5
APPLICATION = bytes.fromhex("D2760000850101")

_SELECT = bytes.fromhex("00A40400")
_AUTH_FIRST, _ADDITIONAL_FRAME = 0x71, 0xAF

OK_ISO = bytes.fromhex("9000")
NOT_FOUND = bytes.fromhex("6A82")
WRONG_LENGTH = bytes.fromhex("6700")
WRONG_CLASS = bytes.fromhex("6E00")
OK = bytes.fromhex("9100")
ILLEGAL_COMMAND = bytes.fromhex("911C")
NO_SUCH_KEY = bytes.fromhex("9140")
LENGTH_ERROR = bytes.fromhex("917E")
PERMISSION_DENIED = bytes.fromhex("919D")
AUTHENTICATION_ERROR = bytes.fromhex("91AE")
MORE = bytes.fromhex("91AF")


def cbc(key: bytes, data: bytes, *, encrypt: bool) -> bytes:
    """AES-128-CBC with a zero IV, as the authentication uses it."""
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16)))
    context = cipher.encryptor() if encrypt else cipher.decryptor()
    return context.update(data) + context.finalize()


def session_keys(key: bytes, rnd_a: bytes, rnd_b: bytes) -> tuple[bytes, bytes]:
    """(encryption, MAC) session keys: CMACs over SV1 and SV2."""
    mixed = bytes(a ^ b for a, b in zip(rnd_a[2:8], rnd_b[:6], strict=True))
    context = bytes.fromhex("00010080") + rnd_a[:2] + mixed + rnd_b[6:] + rnd_a[8:]
    return _cmac(key, b"\xa5\x5a" + context), _cmac(key, b"\x5a\xa5" + context)


def _cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(algorithms.AES(key))
    mac.update(message)
    return mac.finalize()


def _rotated(block: bytes) -> bytes:
    return block[1:] + block[:1]


class Card:
    def __init__(self, uid: bytes, keys: list[bytes], random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        if len(uid) != 7 or len(keys) != KEY_COUNT or any(len(key) != 16 for key in keys):
            raise ValueError("a card has a UID of 7 bytes and 5 keys of 16")
        self.uid = uid
        self.keys = keys
        self.session: tuple[bytes, bytes] | None = None
        self._random = random
        self._selected = False
        self._pending: tuple[bytes, bytes] | None = None

    @classmethod
    def create(cls) -> Card:
        """A new card with a random UID and random keys."""
        return cls(b"\x04" + secrets.token_bytes(6), [secrets.token_bytes(16) for _ in range(KEY_COUNT)])

    @classmethod
    def load(cls, path: Path) -> Card:
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            return cls(bytes.fromhex(saved["uid"]), [bytes.fromhex(key) for key in saved["keys"]])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a card file: {error}") from error

    def save(self, path: Path) -> None:
        text = json.dumps({"uid": self.uid.hex(), "keys": [key.hex() for key in self.keys]}, indent=1)
        path.touch(mode=0o600)
        path.write_text(text + "\n", encoding="utf-8")

    def enter_field(self) -> None:
        """Power from the reader's field: whatever was selected or authenticated before is forgotten."""
        self._selected = False
        self._pending = None
        self.session = None

    def transceive(self, apdu: bytes) -> bytes:
        if len(apdu) < 4:
            return WRONG_LENGTH
        if apdu[0] == 0x00:
            return self._select(apdu)
        if apdu[0] != 0x90:
            return WRONG_CLASS
        return self._native(apdu)

    def _select(self, apdu: bytes) -> bytes:
        self.enter_field()
        if apdu[:4] != _SELECT:
            return bytes.fromhex("6D00")
        if len(apdu) < 5 or len(apdu) not in (5 + apdu[4], 6 + apdu[4]):
            return WRONG_LENGTH
        self._selected = apdu[5 : 5 + apdu[4]] == APPLICATION
        return OK_ISO if self._selected else NOT_FOUND

    def _native(self, apdu: bytes) -> bytes:
        pending, self._pending = self._pending, None
        data = apdu[5:-1]
        if len(apdu) < 6 or len(data) != apdu[4]:
            return LENGTH_ERROR
        if not self._selected:
            return PERMISSION_DENIED
        if apdu[1] == _AUTH_FIRST:
            return self._challenge(data)
        if apdu[1] == _ADDITIONAL_FRAME and pending:
            return self._prove(data, *pending)
        return ILLEGAL_COMMAND

    def _challenge(self, data: bytes) -> bytes:
        self.session = None
        if len(data) < 2 or len(data) != 2 + data[1]:
            return LENGTH_ERROR
        if data[0] >= KEY_COUNT:
            return NO_SUCH_KEY
        key, rnd_b = self.keys[data[0]], self._random(16)
        self._pending = (key, rnd_b)
        return cbc(key, rnd_b, encrypt=True) + MORE

    def _prove(self, data: bytes, key: bytes, rnd_b: bytes) -> bytes:
        if len(data) != 32:
            return LENGTH_ERROR
        plain = cbc(key, data, encrypt=False)
        rnd_a, echoed = plain[:16], plain[16:]
        if not secrets.compare_digest(echoed, _rotated(rnd_b)):
            return AUTHENTICATION_ERROR
        identifier = self._random(4)
        self.session = session_keys(key, rnd_a, rnd_b)
        capabilities = bytes(12)  # PDcap2 and PCDcap2
        return cbc(key, identifier + _rotated(rnd_a) + capabilities, encrypt=True) + OK
