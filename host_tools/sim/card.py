"""A software NTAG 424 DNA: the card in the wallet, kept in a JSON file.

Answers ISO SELECT of its application, GetVersion, AuthenticateEV2First, and in a session GetCardUID and ChangeKey with
encryption, CMACs and command counter (NXP NT4H2421Gx data sheet, sections 9.1, 10 and 11; examples in AN12196). A new
card has the factory's keys: five times 16 zero bytes.
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

APPLICATION = bytes.fromhex("D2760000850101")
FACTORY_KEY = bytes(16)

_SELECT = bytes.fromhex("00A40400")
_AUTH_FIRST, _ADDITIONAL_FRAME = 0x71, 0xAF
_GET_VERSION, _GET_CARD_UID, _CHANGE_KEY = 0x60, 0x51, 0xC4

OK_ISO = bytes.fromhex("9000")
NOT_FOUND = bytes.fromhex("6A82")
WRONG_LENGTH = bytes.fromhex("6700")
WRONG_CLASS = bytes.fromhex("6E00")
OK = bytes.fromhex("9100")
ILLEGAL_COMMAND = bytes.fromhex("911C")
INTEGRITY_ERROR = bytes.fromhex("911E")
NO_SUCH_KEY = bytes.fromhex("9140")
LENGTH_ERROR = bytes.fromhex("917E")
PERMISSION_DENIED = bytes.fromhex("919D")
AUTHENTICATION_ERROR = bytes.fromhex("91AE")
MORE = bytes.fromhex("91AF")


def cbc(key: bytes, data: bytes, *, encrypt: bool, iv: bytes = bytes(16)) -> bytes:
    """AES-128-CBC without padding."""
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv))
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


class Session:
    """The card's side of an authenticated session, as commands in CommMode.Full use it."""

    def __init__(self, key_number: int, identifier: bytes, enc_key: bytes, mac_key: bytes) -> None:
        self.key_number = key_number
        self.identifier = identifier
        self.enc_key, self.mac_key = enc_key, mac_key
        self.counter = 0

    def mac(self, code: int, message: bytes) -> bytes:
        counted = bytes([code]) + self.counter.to_bytes(2, "little") + self.identifier
        return _cmac(self.mac_key, counted + message)[1::2]

    def decrypted(self, data: bytes) -> bytes | None:
        """A command's data; None when it was not padded by who knows the key."""
        if not data or len(data) % 16:
            return None
        plain = cbc(self.enc_key, data, encrypt=False, iv=self._iv(b"\xa5\x5a")).rstrip(b"\0")
        return plain[:-1] if plain.endswith(b"\x80") else None

    def answer(self, data: bytes) -> bytes:
        """A successful answer, counted; encrypted where there is anything to encrypt."""
        self.counter += 1
        if data:
            padded = data + b"\x80" + bytes(-(len(data) + 1) % 16)
            data = cbc(self.enc_key, padded, encrypt=True, iv=self._iv(b"\x5a\xa5"))
        return data + self.mac(0, data) + OK

    def _iv(self, direction: bytes) -> bytes:
        block = direction + self.identifier + self.counter.to_bytes(2, "little") + bytes(8)
        return cbc(self.enc_key, block, encrypt=True)


class Card:
    kind = "ntag424"
    key_count = 5
    hardware = bytes.fromhex("04040230001105")  # GetVersion's first part
    _change_any = 0  # the key whose session may change keys

    def __init__(self, uid: bytes, keys: list[bytes], random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        if len(uid) != 7 or len(keys) != self.key_count or any(len(key) != 16 for key in keys):
            raise ValueError(f"a card of this kind has a UID of 7 bytes and {self.key_count} keys of 16")
        self.uid = uid
        self.keys = keys
        self.on_change: Callable[[], object] = lambda: None  # called when what the card keeps has changed
        self.session: Session | None = None
        self._random = random
        self._selected = False
        self._pending: tuple[int, bytes] | None = None
        self._frames: list[bytes] = []

    @classmethod
    def create(cls) -> Card:
        """A card as it leaves the factory, with a random UID."""
        return cls(b"\x04" + secrets.token_bytes(6), [FACTORY_KEY] * cls.key_count)

    @staticmethod
    def load(path: Path) -> Card:
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            kind = kinds()[saved.get("kind", Card.kind)]
            card = kind(bytes.fromhex(saved["uid"]), [bytes.fromhex(key) for key in saved["keys"]])
            card._restore(saved)
            return card
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a card file: {error}") from error

    def save(self, path: Path) -> None:
        text = json.dumps(self._saved(), indent=1)
        path.touch(mode=0o600)
        path.write_text(text + "\n", encoding="utf-8")

    def _saved(self) -> dict[str, Any]:
        return {"kind": self.kind, "uid": self.uid.hex(), "keys": [key.hex() for key in self.keys]}

    def _restore(self, saved: dict[str, Any]) -> None:
        """What a kind of card keeps beyond UID and keys."""

    def enter_field(self) -> None:
        """Power from the reader's field: whatever was selected or authenticated before is forgotten."""
        self._selected = False
        self._pending = None
        self._frames = []
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
        self._selected = self._has_application() and apdu[5 : 5 + apdu[4]] == APPLICATION
        return OK_ISO if self._selected else NOT_FOUND

    def _has_application(self) -> bool:
        return True

    def _native(self, apdu: bytes) -> bytes:
        pending, self._pending = self._pending, None
        frames, self._frames = self._frames, []
        data = apdu[5:-1]
        if len(apdu) < 5 or len(data) != (apdu[4] if len(apdu) > 5 else 0):
            return LENGTH_ERROR
        command = apdu[1]
        if command == _ADDITIONAL_FRAME and frames and not data:
            return self._frame(frames)
        if command == _ADDITIONAL_FRAME and pending:
            return self._prove(data, *pending)
        if command == _GET_VERSION and self.session is None:
            return LENGTH_ERROR if data else self._frame([self.hardware, self.hardware, self.uid + bytes(7)])
        if not self._selected:
            return self._unselected(command, data)
        if command == _AUTH_FIRST:
            return self._challenge(data)
        return self._in_session(command, data)

    def _frame(self, frames: list[bytes]) -> bytes:
        self._frames = frames[1:]
        return frames[0] + (MORE if self._frames else OK)

    def _unselected(self, command: int, data: bytes) -> bytes:
        return PERMISSION_DENIED

    def _challenge(self, data: bytes) -> bytes:
        self.session = None
        if len(data) < 2 or len(data) != 2 + data[1]:
            return LENGTH_ERROR
        if data[0] >= self.key_count:
            return NO_SUCH_KEY
        rnd_b = self._random(16)
        self._pending = (data[0], rnd_b)
        return cbc(self.keys[data[0]], rnd_b, encrypt=True) + MORE

    def _prove(self, data: bytes, number: int, rnd_b: bytes) -> bytes:
        if len(data) != 32:
            return LENGTH_ERROR
        key = self.keys[number]
        plain = cbc(key, data, encrypt=False)
        rnd_a, echoed = plain[:16], plain[16:]
        if not secrets.compare_digest(echoed, _rotated(rnd_b)):
            return AUTHENTICATION_ERROR
        identifier = self._random(4)
        self.session = Session(number, identifier, *session_keys(key, rnd_a, rnd_b))
        capabilities = bytes(12)  # PDcap2 and PCDcap2
        return cbc(key, identifier + _rotated(rnd_a) + capabilities, encrypt=True) + OK

    def _in_session(self, command: int, data: bytes) -> bytes:
        """A command in CommMode.Full; whatever is wrong with it ends the session."""
        session, self.session = self.session, None
        if command not in (_GET_CARD_UID, _CHANGE_KEY):
            return ILLEGAL_COMMAND
        if session is None:
            return AUTHENTICATION_ERROR
        if len(data) < 8:
            return LENGTH_ERROR
        body, mac = data[:-8], data[-8:]
        if not secrets.compare_digest(session.mac(command, body), mac):
            return INTEGRITY_ERROR
        if command == _CHANGE_KEY:
            return self._change_key(session, body)
        if body:
            return LENGTH_ERROR
        self.session = session
        return session.answer(self.uid)

    def _change_key(self, session: Session, body: bytes) -> bytes:
        if session.key_number != self._change_any:
            return PERMISSION_DENIED
        if len(body) != 33:
            return LENGTH_ERROR
        number, plain = body[0], session.decrypted(body[1:])
        if number >= self.key_count:
            return NO_SUCH_KEY
        if number == session.key_number:
            if plain is None or len(plain) != 17:
                return INTEGRITY_ERROR
            self.keys[number] = plain[:16]
            self.on_change()
            return OK  # the session has ended with its key
        if plain is None or len(plain) != 21:
            return INTEGRITY_ERROR
        new = bytes(a ^ b for a, b in zip(plain[:16], self.keys[number], strict=True))
        if plain[17:] != _checksum(new):
            return INTEGRITY_ERROR
        self.keys[number] = new
        self.on_change()
        self.session = session
        return session.answer(b"")


def _checksum(key: bytes) -> bytes:
    """CRC-32 without its final inversion, least significant byte first."""
    return (zlib.crc32(key) ^ 0xFFFFFFFF).to_bytes(4, "little")


def kinds() -> dict[str, type[Card]]:
    from host_tools.sim.desfire import DesfireCard

    return {kind.kind: kind for kind in (Card, DesfireCard)}
