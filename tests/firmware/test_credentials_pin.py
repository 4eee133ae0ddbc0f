"""PINs: published vectors, equal work, wiped buffers, and other tasks that go on meanwhile."""

import asyncio

from firmware.credentials import pin
from firmware.crypto.hmac import pbkdf2_sha256, pbkdf2_steps

SALT = bytes(range(16))
OTHER_SALT = bytes(16)
COUNT = 1000


def verifier(digits: bytes, salt: bytes = SALT, count: int = COUNT) -> tuple:
    return salt, count, pbkdf2_sha256(digits, salt, count)


def work(verifiers: list) -> int:
    """Slices of work that one attempt takes."""
    return len(list(pin.match_steps(bytearray(b"000000"), verifiers, COUNT)))


def found(digits: bytes, verifiers: list) -> int:
    return list(pin.match_steps(bytearray(digits), verifiers, COUNT))[-1]


def test_rfc_7914_vector_in_slices():
    """PBKDF2-HMAC-SHA256("passwd", "salt", 1), RFC 7914 section 11, and the same at any slice length."""
    expected = bytes.fromhex("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc")
    assert pbkdf2_sha256(b"passwd", b"salt", 1) == expected
    whole = pbkdf2_sha256(b"246813", SALT, 100)
    for slice_iterations in (1, 7, 99, 100, 1000):
        steps = list(pbkdf2_steps(b"246813", SALT, 100, slice_iterations))
        assert steps[-1] == whole and not any(steps[:-1])


def test_the_right_pin_verifies_and_no_other():
    salt, count, digest = verifier(b"246813")
    assert pin.verify(bytearray(b"246813"), salt, count, digest)
    for wrong in (b"246814", b"24681", b"2468130", b""):
        assert not pin.verify(bytearray(wrong), salt, count, digest)
    assert not pin.verify(bytearray(b"246813"), OTHER_SALT, count, digest)
    assert not pin.verify(bytearray(b"246813"), salt, count + 1, digest)


def test_each_resident_of_a_flat_has_a_pin():
    family = [verifier(b"246813"), verifier(b"135792"), verifier(b"864209", OTHER_SALT)]
    assert [found(d, family) for d in (b"246813", b"135792", b"864209", b"111111")] == [0, 1, 2, -1]


def test_a_flat_that_does_not_exist_costs_the_same_work():
    one, two = [verifier(b"246813")], [verifier(b"246813"), verifier(b"135792")]
    assert work([]) == work(one) == work(two)
    assert found(b"246813", []) == -1


def test_the_pin_is_wiped_whatever_happens():
    typed = bytearray(b"246813")
    pin.verify(typed, *verifier(b"246813"))
    assert typed == bytearray(6)
    typed = bytearray(b"246813")
    steps = pin.match_steps(typed, [], COUNT)
    next(steps)
    steps.close()
    assert typed == bytearray(6)


def test_a_verifier_out_of_bounds_is_not_used():
    salt, count, digest = verifier(b"246813")
    assert pin.valid(salt, count, digest)
    assert not pin.valid(salt[1:], count, digest)
    assert not pin.valid(salt, count, digest[1:])
    assert not pin.valid(salt, 1, digest)
    assert not pin.valid(salt, 10**9, digest)


async def test_other_tasks_run_while_a_pin_is_checked():
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    family = [verifier(b"246813")]
    assert await pin.match(bytearray(b"246813"), family, COUNT) == 0
    task.cancel()
    assert turns >= COUNT // 64
