"""PIN verifiers: salted PBKDF2-HMAC-SHA256, compared in constant time.

A flat that does not exist, or has no PIN, costs the same derivation as one that has: the time of a refusal
does not tell which flats exist. For that all PINs of a flat share one salt (set anew with each of them, or
kept; a salt is no secret) and all PINs of a site one iteration count; where they do not, each salt costs
its own derivation.
"""

import asyncio

from firmware.base.compat import const
from firmware.crypto.hmac import constant_time_eq, pbkdf2_steps, zero

ITERATIONS = const(2000)  # what a PIN is set with; what guards a stolen verifier is the vault's seal
MIN_ITERATIONS = const(1000)
MAX_ITERATIONS = const(50_000)  # a record must not be able to hang the panel
SALT_BYTES = const(16)
HASH_BYTES = const(32)

_SLICE_ITERATIONS = const(64)
_NO_SALT = bytes(SALT_BYTES)


def valid(salt, iterations: int, digest) -> bool:
    """Whether a verifier that was received or stored may be used."""
    return len(salt) == SALT_BYTES and len(digest) == HASH_BYTES and MIN_ITERATIONS <= iterations <= MAX_ITERATIONS


def match_steps(pin: bytearray, verifiers: list, iterations: int = ITERATIONS):
    """Compares `pin` with every (salt, iterations, hash) of a flat; `pin` is zeroed at the end, whatever
    happens.

    A generator: yields None between slices of work, and last the index of the verifier that matched or -1.
    `iterations` is the site's usual count, spent on a flat without verifiers.
    """
    found = -1
    try:
        for salt, count in _derivations(verifiers, iterations):
            for key in pbkdf2_steps(pin, salt, count, _SLICE_ITERATIONS):
                if key is None:
                    yield None
            for i in range(len(verifiers)):
                other_salt, other_count, digest = verifiers[i]
                if constant_time_eq(key, digest) and other_salt == salt and other_count == count:
                    found = i
    finally:
        zero(pin)
    yield found


def _derivations(verifiers: list, iterations: int) -> set:
    return {(bytes(salt), count) for salt, count, _ in verifiers} or {(_NO_SALT, iterations)}


async def match(pin: bytearray, verifiers: list, iterations: int = ITERATIONS, beat=None) -> int:
    """`match_steps` beside the other tasks; `beat` is called at each step."""
    found = None
    for step in match_steps(pin, verifiers, iterations):
        if beat:
            beat()
        found = step
        await asyncio.sleep(0)
    return found


def verify(pin: bytearray, salt, iterations: int, digest) -> bool:
    """One verifier in one go; `pin` is zeroed."""
    *_, found = match_steps(pin, [(salt, iterations, digest)])
    return found == 0
