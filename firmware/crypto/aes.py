"""AES-CBC without padding, and AES-CMAC (RFC 4493), on the AES that the platform has."""

from firmware.base.compat import const

try:
    from cryptolib import aes as _aes

    def _cipher(key, mode: int, iv=None):
        return _aes(key, mode, iv) if iv is not None else _aes(key, mode)

except ImportError:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    class _cipher:
        """cryptolib.aes as CPython lacks it."""

        def __init__(self, key, mode, iv=None):
            self._make = Cipher(algorithms.AES(bytes(key)), modes.CBC(bytes(iv)) if iv else modes.ECB())

        def encrypt(self, data) -> bytes:
            return self._make.encryptor().update(bytes(data))

        def decrypt(self, data, out=None) -> bytes:
            plain = self._make.decryptor().update(bytes(data))
            if out is None:
                return plain
            out[:] = plain
            return out


_ECB = const(1)
_CBC = const(2)
_CMAC_POLYNOMIAL = const(0x87)


def cbc_encrypt(key, iv, data) -> bytes:
    """`key` 16 or 32 bytes, `iv` 16 bytes, `data` a multiple of 16 bytes."""
    return _cipher(key, _CBC, iv).encrypt(data)


def cbc_decrypt(key, iv, data) -> bytes:
    return _cipher(key, _CBC, iv).decrypt(data)


def cbc_decrypt_in_place(key, iv, data: bytearray) -> None:
    """For plaintexts that shall be zeroed after use."""
    _cipher(key, _CBC, iv).decrypt(data, data)


def _double(block: int) -> int:
    block <<= 1
    return (block ^ _CMAC_POLYNOMIAL) & ((1 << 128) - 1) if block >> 128 else block


def cmac(key, message) -> bytes:
    """16-byte AES-CMAC."""
    cipher = _cipher(key, _ECB)
    subkey = _double(int.from_bytes(cipher.encrypt(bytes(16)), "big"))
    whole = len(message) > 0 and len(message) % 16 == 0
    start = (len(message) - 1) // 16 * 16 if len(message) else 0
    last = bytes(message[start:])
    if not whole:
        last += b"\x80" + bytes(15 - len(last))
        subkey = _double(subkey)
    state = bytes(16)
    if start:
        state = cbc_encrypt(key, state, bytes(message[:start]))[-16:]
    block = int.from_bytes(last, "big") ^ subkey ^ int.from_bytes(state, "big")
    return cipher.encrypt(block.to_bytes(16, "big"))
