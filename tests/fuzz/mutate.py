"""Changes a byte string as line noise, cut power and somebody who has read the source would. Runs on both Pythons."""

import random

_LENGTHS = (0, 1, 2, 7, 16, 64, 255, 300)
_BYTES = (0, 1, 0x7E, 0x7F, 0x80, 0xFE, 0xFF)
_NUMBERS = (b"-1", b"0", b"4294967296", b"1e99", b"null", b"[]", b"{}", b'""', b"true")


def mutate(data: bytes, others: list, most: int) -> bytes:
    """`others`: inputs to borrow pieces from; the result has at most `most` bytes."""
    out = bytearray(data)
    for _ in range(1 + random.getrandbits(2)):
        _CHANGES[random.randrange(len(_CHANGES))](out, others)
    return bytes(out[:most])


def _at(out) -> int:
    return random.randrange(len(out)) if out else 0


def _flip(out, others):
    if out:
        out[_at(out)] ^= 1 << random.getrandbits(3)


def _byte(out, others):
    if out:
        out[_at(out)] = _BYTES[random.randrange(len(_BYTES))]


def _any(out, others):
    if out:
        out[_at(out)] = random.getrandbits(8)


def _cut(out, others):
    out[_at(out) :] = b""


def _drop(out, others):
    at = _at(out)
    out[at : at + 1 + random.getrandbits(3)] = b""


def _insert(out, others):
    at = _at(out)
    length = _LENGTHS[random.randrange(len(_LENGTHS))]
    out[at:at] = bytes(random.getrandbits(8) for _ in range(length))


def _repeat(out, others):
    at = _at(out)
    piece = bytes(out[at : at + 1 + random.getrandbits(4)])
    out[at:at] = piece * (1 + random.getrandbits(3))


def _number(out, others):
    at = _at(out)
    out[at : at + random.getrandbits(2)] = _NUMBERS[random.randrange(len(_NUMBERS))]


def _borrow(out, others):
    other = others[random.randrange(len(others))]
    if other:
        start = _at(other)
        at = _at(out)
        out[at : at + random.getrandbits(4)] = other[start : start + 1 + random.getrandbits(5)]


_CHANGES = (_flip, _flip, _byte, _any, _cut, _drop, _insert, _repeat, _number, _borrow)
