"""The panel's cryptography under MicroPython and CPython, against the `cryptography` package and hashlib."""

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from firmware.crypto import aes, ed25519, hmac, sha512, x25519

ROOT = Path(__file__).resolve().parents[2]
RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)

ON_PANEL = """
import sys
from binascii import hexlify, unhexlify as x
from firmware.crypto import aes, ed25519, hmac, sha512, x25519
for line in sys.stdin:
    name, *fields = line.strip().split(",")
    a = [x(field) for field in fields]
    if name == "sha512":
        out = sha512.sha512(a[0])
    elif name == "ed25519":
        out = ed25519.public_key(a[0]) + ed25519.sign(a[0], a[1])
    elif name == "x25519":
        out = x25519.x25519(a[0], a[1])
    elif name == "cmac":
        out = aes.cmac(a[0], a[1])
    elif name == "hkdf":
        out = hmac.hkdf(a[0], a[1], 77)
    elif name == "pbkdf2":
        out = hmac.pbkdf2_sha256(a[0], a[1], 50)
    print(hexlify(out).decode())
"""


def reference(name: str, a: bytes, b: bytes) -> bytes:
    if name == "sha512":
        return hashlib.sha512(a).digest()
    if name == "ed25519":
        key = Ed25519PrivateKey.from_private_bytes(a)
        return key.public_key().public_bytes(*RAW) + key.sign(b)
    if name == "x25519":
        return X25519PrivateKey.from_private_bytes(a).exchange(X25519PublicKey.from_public_bytes(b))
    if name == "cmac":
        mac = CMAC(algorithms.AES(a))
        mac.update(b)
        return mac.finalize()
    if name == "hkdf":
        return HKDF(hashes.SHA256(), 77, None, b).derive(a)
    return hashlib.pbkdf2_hmac("sha256", a, b, 50)


def questions() -> list[tuple[str, bytes, bytes]]:
    dice = random.Random(8032)
    asked = [("sha512", dice.randbytes(n), b"") for n in (*range(260), 1000, 4096)]
    for n in (0, 1, 63, 64, 65, 127, 128, 129, 300):
        asked.append(("ed25519", dice.randbytes(32), dice.randbytes(n)))
        asked.append(("x25519", dice.randbytes(32), dice.randbytes(32)))
    for n in range(70):
        asked.append(("cmac", dice.randbytes(16), dice.randbytes(n)))
        asked.append(("hkdf", dice.randbytes(n + 1), dice.randbytes(n)))
        asked.append(("pbkdf2", dice.randbytes(n), dice.randbytes(16)))
    return asked


def test_micropython_agrees_with_the_cryptography_package() -> None:
    asked = questions()
    lines = "".join(f"{name},{a.hex()},{b.hex()}\n" for name, a, b in asked)
    micropython = os.environ.get("MENSHEN_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")
    result = subprocess.run(
        [micropython, "-c", ON_PANEL],
        input=lines,
        env={**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answers = result.stdout.split("\n")[:-1]
    assert len(answers) == len(asked)
    for (name, a, b), answer in zip(asked, answers, strict=True):
        assert answer == reference(name, a, b).hex(), (name, len(a), len(b))


def test_the_same_modules_agree_under_cpython() -> None:
    for name, a, b in questions():
        ours = {
            "sha512": lambda a, b: sha512.sha512_portable(a),
            "ed25519": lambda a, b: ed25519.public_key(a) + ed25519.sign(a, b),
            "x25519": x25519.x25519,
            "cmac": aes.cmac,
            "hkdf": lambda a, b: hmac.hkdf(a, b, 77),
            "pbkdf2": lambda a, b: hmac.pbkdf2_sha256(a, b, 50),
        }[name]
        assert ours(a, b) == reference(name, a, b), (name, len(a), len(b))


@pytest.mark.parametrize("length", [0, 5, 200])
def test_ed25519_verifies_foreign_signatures_and_nothing_altered(length: int) -> None:
    dice = random.Random(length)
    key = Ed25519PrivateKey.from_private_bytes(dice.randbytes(32))
    public, message = key.public_key().public_bytes(*RAW), dice.randbytes(length)
    signature = key.sign(message)
    assert ed25519.verify(public, message, signature)
    for _ in range(20):
        altered = bytearray(signature)
        altered[dice.randrange(64)] ^= 1 << dice.randrange(8)
        assert not ed25519.verify(public, message, bytes(altered))
