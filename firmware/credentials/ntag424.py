"""NTAG 424 DNA and DESFire EV2/EV3 cards with AES-128 keys: AuthenticateEV2First and what may follow it (NXP NT4H2421Gx
section 9.1, AN12196, AN12343).

Both sides prove the same 16-byte key; what comes out is a session (transaction identifier, two session keys and a
command counter), under which every later command and every answer carries a CMAC. The card is reached through
`transceive(apdu) -> response with status word`, which raises HalError when it is gone. Read by panel and host alike.
"""

from firmware.base.compat import const
from firmware.base.errors import AuthError, MenshenError
from firmware.crypto.aes import cbc_decrypt, cbc_encrypt, cmac
from firmware.crypto.hmac import constant_time_eq, zero

AID = b"\xd2\x76\x00\x00\x85\x01\x01"  # ISO name of the application, on DESFire cards too
MASTER_KEY = 0  # changes the card's keys; no panel ever has it
DOOR_KEY = 1  # opens doors and can do nothing else

_SELECT = b"\x00\xa4\x04\x00\x07" + AID + b"\x00"
_AUTHENTICATE = const(0x71)
_MORE_FRAME = const(0xAF)
_GET_CARD_UID = const(0x51)
_CHANGE_KEY = const(0xC4)

_OK = b"\x91\x00"
_MORE = b"\x91\xaf"
_ISO_OK = b"\x90\x00"
_AUTHENTICATION_ERROR = b"\x91\xae"

_BLOCK = const(16)
_MAC_BYTES = const(8)
_UID_BYTES = const(7)
_ZERO_IV = bytes(_BLOCK)
_TO_CARD = b"\xa5\x5a"
_FROM_CARD = b"\x5a\xa5"


class CardError(MenshenError):
    """The card answered what no genuine card would, or refused a command; `status` is its status word."""

    code = "card"

    def __init__(self, message: str, status: bytes = b""):
        super().__init__(message)
        self.status = status


def apdu(command: int, data: bytes = b"") -> bytes:
    """A native command in its ISO 7816-4 wrapping."""
    body = bytes((len(data),)) + data if data else b""
    return bytes((0x90, command, 0, 0)) + body + b"\x00"


def select(transceive) -> None:
    """Selects the application; CardError when the card has none."""
    status = bytes(transceive(_SELECT)[-2:])
    if status != _ISO_OK:
        raise CardError("no such application", status)


def authenticate(transceive, key, key_number: int, random_a) -> "Session":
    """Proves `key` (16 bytes) to the card and lets the card prove it. `random_a`: 16 fresh random bytes.

    AuthError when the card refuses our proof or fails its own, CardError for anything malformed.
    """
    answer = transceive(apdu(_AUTHENTICATE, bytes((key_number, 0))))
    random_b = cbc_decrypt(key, _ZERO_IV, _body(answer, _MORE, _BLOCK))
    proof = cbc_encrypt(key, _ZERO_IV, bytes(random_a) + _rotated(random_b))
    answer = transceive(apdu(_MORE_FRAME, proof))
    if bytes(answer) == _AUTHENTICATION_ERROR:
        raise AuthError("the card refused the key")
    # TI (4) | RndA rotated (16) | capabilities of card (6) and reader (6)
    plain = cbc_decrypt(key, _ZERO_IV, _body(answer, _OK, 2 * _BLOCK))
    if not constant_time_eq(plain[4:20], _rotated(bytes(random_a))):
        raise AuthError("the card does not have the key")
    enc_vector, mac_vector = session_vectors(bytes(random_a), random_b)
    return Session(transceive, key_number, plain[:4], cmac(key, enc_vector), cmac(key, mac_vector))


def session_vectors(random_a: bytes, random_b: bytes) -> tuple:
    """SV1 and SV2, from which the session's encryption and MAC key are derived."""
    mixed = bytes(random_a[2 + i] ^ random_b[i] for i in range(6))
    tail = b"\x00\x01\x00\x80" + random_a[:2] + mixed + random_b[6:] + random_a[8:]
    return _TO_CARD + tail, _FROM_CARD + tail


class Session:
    """An authenticated session. `close` zeroes its keys; after any error it is over for the card too."""

    def __init__(self, transceive, key_number: int, transaction: bytes, enc_key, mac_key):
        self._transceive = transceive
        self.key_number = key_number
        self.transaction = transaction
        self.enc_key = bytearray(enc_key)
        self.mac_key = bytearray(mac_key)
        self.counter = 0

    def close(self) -> None:
        zero(self.enc_key)
        zero(self.mac_key)

    def uid(self) -> bytes:
        """The UID that the card itself states under the session: whoever relays or alters anything cannot."""
        uid = self.command(_GET_CARD_UID)
        if len(uid) != _UID_BYTES:
            raise CardError("unexpected answer")
        return uid

    def change_key(self, number: int, new, old, version: int) -> None:
        """Needs a session of MASTER_KEY, which changing that key itself ends; `old` is of another key only."""
        if number == self.key_number:
            self.command(_CHANGE_KEY, bytes((number,)), bytes(new) + bytes((version,)), last=True)
            return
        mixed = bytes(a ^ b for a, b in zip(new, old))
        data = mixed + bytes((version,)) + crc32(new).to_bytes(4, "little")
        self.command(_CHANGE_KEY, bytes((number,)), data)

    def command(self, command: int, header: bytes = b"", data: bytes = b"", last: bool = False) -> bytes:
        """Sends a command in CommMode.Full and returns its decrypted answer.

        `last`: the command ends the session, so that its answer carries no MAC. AuthError when the answer's MAC
        does not hold, CardError when the card refuses or what it says is malformed.
        """
        if data:
            data = cbc_encrypt(self.enc_key, self._iv(_TO_CARD), _padded(data))
        mac = self._mac(command, header + data)
        answer = bytes(self._transceive(apdu(command, header + data + mac)))
        status, body = answer[-2:], answer[:-2]
        if status != _OK:
            raise CardError("the card refused a command", status)
        self.counter += 1
        if last:
            if body:
                raise CardError("unexpected answer", status)
            return b""
        if len(body) < _MAC_BYTES or (len(body) - _MAC_BYTES) % _BLOCK:
            raise CardError("unexpected answer", status)
        body, mac = body[:-_MAC_BYTES], body[-_MAC_BYTES:]
        if not constant_time_eq(self._mac(status[1], body), mac):
            raise AuthError("the card's answer was altered")
        return _unpadded(cbc_decrypt(self.enc_key, self._iv(_FROM_CARD), body)) if body else b""

    def _counted(self) -> bytes:
        return self.counter.to_bytes(2, "little")

    def _iv(self, direction: bytes) -> bytes:
        block = direction + self.transaction + self._counted() + bytes(8)
        return cbc_encrypt(self.enc_key, _ZERO_IV, block)

    def _mac(self, code: int, message: bytes) -> bytes:
        whole = cmac(self.mac_key, bytes((code,)) + self._counted() + self.transaction + message)
        return bytes(whole[i] for i in range(1, 16, 2))


def crc32(data) -> int:
    """As ChangeKey has it: IEEE 802.3 without the final inversion (AN12196 table 25)."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
    return register


def _body(answer, status: bytes, length: int) -> bytes:
    if len(answer) != length + 2 or bytes(answer[-2:]) != status:
        raise CardError("unexpected answer", bytes(answer[-2:]))
    return bytes(answer[:-2])


def _rotated(block: bytes) -> bytes:
    return block[1:] + block[:1]


def _padded(data: bytes) -> bytes:
    return data + b"\x80" + bytes(-(len(data) + 1) % _BLOCK)


def _unpadded(data: bytes) -> bytes:
    end = len(data) - 1
    while end > 0 and data[end] == 0:
        end -= 1
    if data[end] != 0x80:
        raise CardError("unexpected answer")
    return data[:end]
