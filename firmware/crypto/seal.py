"""Authenticated encryption: AES-256-CBC with PKCS #7 padding, then HMAC-SHA256 (encrypt then MAC).

Sealed bytes: iv (16) | ciphertext (a multiple of 16) | HMAC-SHA256 over aad | iv | ciphertext (32).
"""

from firmware.base.compat import const
from firmware.base.errors import AuthError
from firmware.crypto.aes import cbc_decrypt_in_place, cbc_encrypt
from firmware.crypto.hmac import constant_time_eq, hmac_sha256, zero

_IV_BYTES = const(16)
_TAG_BYTES = const(32)
OVERHEAD_BYTES = 48  # plus 1 to 16 of padding


def sealed_bytes(plain_bytes: int) -> int:
    """Length of the sealed form of `plain_bytes`."""
    return OVERHEAD_BYTES + plain_bytes // 16 * 16 + 16


def seal(enc_key, mac_key, iv, plaintext, aad) -> bytes:
    """`iv`: fresh random bytes for each seal under `enc_key`; `aad`: of fixed or self-told length."""
    fill = 16 - len(plaintext) % 16
    padded = bytearray(len(plaintext) + fill)
    padded[: len(plaintext)] = plaintext
    for i in range(len(plaintext), len(padded)):
        padded[i] = fill
    ciphertext = cbc_encrypt(enc_key, iv, padded)
    zero(padded)
    return bytes(iv) + ciphertext + hmac_sha256(mac_key, aad, iv, ciphertext)


def open_sealed(enc_key, mac_key, sealed, aad) -> bytearray:
    """The plaintext, for the caller to zero; AuthError when `sealed` or `aad` is not what was sealed."""
    if len(sealed) < OVERHEAD_BYTES + 16 or len(sealed) % 16:
        raise AuthError("The sealed data has a wrong length.")
    body = memoryview(sealed)[:-_TAG_BYTES]
    if not constant_time_eq(hmac_sha256(mac_key, aad, body), sealed[-_TAG_BYTES:]):
        raise AuthError("The seal does not hold.")
    padded = bytearray(body[_IV_BYTES:])
    cbc_decrypt_in_place(enc_key, bytes(body[:_IV_BYTES]), padded)
    fill = padded[-1]
    if not 1 <= fill <= 16:
        raise AuthError("The padding does not hold.")
    plain = padded[:-fill]
    zero(padded)
    return plain
