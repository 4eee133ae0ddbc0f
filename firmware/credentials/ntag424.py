"""AES mutual authentication of NTAG 424 DNA and DESFire EV2/EV3 cards: AuthenticateEV2First (NXP AN12196,
AN12343).

Both sides prove the same 16-byte key; what comes out is a session (transaction identifier and two session
keys). The card is reached through `transceive(apdu) -> response with status word`, which raises HalError
when it is gone.
"""

from firmware.base.compat import const
from firmware.base.errors import AuthError, MenshenError
from firmware.crypto.aes import cbc_decrypt, cbc_encrypt, cmac
from firmware.crypto.hmac import constant_time_eq, zero

AID = b"\xd2\x76\x00\x00\x85\x01\x01"  # ISO name of the NTAG 424 DNA application
_SELECT = b"\x00\xa4\x04\x00\x07" + AID + b"\x00"
_SECOND = b"\x90\xaf\x00\x00\x20"

_OK = b"\x91\x00"
_MORE = b"\x91\xaf"
_ISO_OK = b"\x90\x00"
_AUTHENTICATION_ERROR = b"\x91\xae"

_BLOCK = const(16)
_ZERO_IV = bytes(_BLOCK)


class CardError(MenshenError):
    """The card answered what no genuine card would: a wrong length or an unexpected status word."""

    code = "card"


class Session:
    """What an authentication leaves behind; `close` zeroes the keys."""

    def __init__(self, transaction: bytes, enc_key, mac_key):
        self.transaction = transaction
        self.enc_key = bytearray(enc_key)
        self.mac_key = bytearray(mac_key)
        self.commands = 0  # counted into every later command's CMAC

    def close(self) -> None:
        zero(self.enc_key)
        zero(self.mac_key)


def select(transceive) -> None:
    """Selects the application; CardError when the card has none."""
    answer = transceive(_SELECT)
    if bytes(answer[-2:]) != _ISO_OK:
        raise CardError("no such application")


def authenticate(transceive, key, key_number: int, random_a) -> Session:
    """Proves `key` (16 bytes) to the card and lets the card prove it. `random_a`: 16 fresh random bytes.

    AuthError when the card refuses our proof or fails its own, CardError for anything malformed.
    """
    answer = transceive(b"\x90\x71\x00\x00\x02" + bytes((key_number, 0)) + b"\x00")
    random_b = cbc_decrypt(key, _ZERO_IV, _body(answer, _MORE, _BLOCK))
    proof = cbc_encrypt(key, _ZERO_IV, bytes(random_a) + _rotated(random_b))
    answer = transceive(_SECOND + proof + b"\x00")
    if bytes(answer) == _AUTHENTICATION_ERROR:
        raise AuthError("the card refused the key")
    # TI (4) | RndA rotated (16) | capabilities of card (6) and reader (6)
    plain = cbc_decrypt(key, _ZERO_IV, _body(answer, _OK, 2 * _BLOCK))
    if not constant_time_eq(plain[4:20], _rotated(bytes(random_a))):
        raise AuthError("the card does not have the key")
    return _session(key, bytes(random_a), random_b, plain[:4])


def _body(answer, status: bytes, length: int) -> bytes:
    if len(answer) != length + 2 or bytes(answer[-2:]) != status:
        raise CardError("unexpected answer")
    return bytes(answer[:-2])


def _rotated(block: bytes) -> bytes:
    return block[1:] + block[:1]


def session_vectors(random_a: bytes, random_b: bytes) -> tuple:
    """SV1 and SV2, from which the session's encryption and MAC key are derived."""
    mixed = bytes(random_a[2 + i] ^ random_b[i] for i in range(6))
    tail = b"\x00\x01\x00\x80" + random_a[:2] + mixed + random_b[6:] + random_a[8:]
    return b"\xa5\x5a" + tail, b"\x5a\xa5" + tail


def _session(key, random_a: bytes, random_b: bytes, transaction: bytes) -> Session:
    enc_vector, mac_vector = session_vectors(random_a, random_b)
    return Session(transaction, cmac(key, enc_vector), cmac(key, mac_vector))
