"""The receipt's bytes: as specified, verifiable with any Ed25519, and broken by any change."""

import hashlib
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from firmware.base.errors import AuthError, BadRequest
from firmware.vault import receipt

ROOT = Path(__file__).resolve().parents[2]
SEED = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
PUBLIC = KEY.public_key().public_bytes_raw()

ON_PANEL = """
from binascii import hexlify
from tests.firmware.vault_house import GRACE, House
house = House()
house.enrol(GRACE, 1)
before = house.image()
block = house.block_of(GRACE, before)
print(hexlify(house.vault.wipe_face(GRACE, "withdrawn")).decode())
print(block, hexlify(before[block * 4096 : block * 4096 + 4096]).decode())
house.close()
"""


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def a_receipt(blocks: int = 1) -> bytes:
    held = [(700 + i, bytes([i]) * 32, receipt.ERASED_HASH) for i in range(blocks)]
    fields = receipt.Receipt(
        b"panel-01", 77, 1_800_000_000, 2, "withdrawn", b"grace...", hashlib.sha256(b"head").digest(), held
    )
    return receipt.build(fields, KEY.sign)


@pytest.fixture(scope="module")
def from_panel(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, int, bytes]:
    micropython = os.environ.get("MENSHEN_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")
    environment = {
        **os.environ,
        "MICROPYPATH": f"{ROOT}:.frozen",
        "TMPDIR": str(tmp_path_factory.mktemp("flash")),
    }
    output = subprocess.run(
        [micropython, "-X", "heapsize=16M", "-c", ON_PANEL],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split()
    return bytes.fromhex(output[0]), int(output[1]), bytes.fromhex(output[2])


def test_a_panel_s_receipt_verifies_with_the_public_key_alone(from_panel: tuple[bytes, int, bytes]) -> None:
    data, block, content = from_panel
    found = receipt.verify(data, PUBLIC, verify)
    assert (found.panel_id, found.handle, found.reason) == (b"panel-01", b"grace...", "withdrawn")
    assert found.blocks == [(block, hashlib.sha256(content).digest(), receipt.ERASED_HASH)]


def test_the_bytes_lie_where_the_specification_says(from_panel: tuple[bytes, int, bytes]) -> None:
    data, block, _ = from_panel
    assert len(data) == 136 + 68 and data[:4] == b"MnRt"
    assert data[4:8] == bytes([1, 2, 1, 1])  # version, time set by the host, withdrawn, one block
    assert data[8:16] == b"panel-01" and data[32:40] == b"grace..."
    assert struct.unpack_from("<Q", data, 24)[0] == 1_800_000_000
    assert struct.unpack_from("<I", data, 72)[0] == block
    assert data[108:140] == hashlib.sha256(b"\xff" * 4096).digest() == receipt.ERASED_HASH
    assert verify(PUBLIC, data[:-64], data[-64:])


def test_any_changed_bit_is_refused(from_panel: tuple[bytes, int, bytes]) -> None:
    data = from_panel[0]
    for position in range(len(data)):
        for bit in range(8):
            altered = bytearray(data)
            altered[position] ^= 1 << bit
            with pytest.raises((BadRequest, AuthError)):
                receipt.verify(bytes(altered), PUBLIC, verify)


def test_another_key_and_another_length_are_refused() -> None:
    data = a_receipt()
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(AuthError):
        receipt.verify(data, other, verify)
    for wrong in (b"", data[:-1], data + b"\0", data[:72], data[4:]):
        with pytest.raises(BadRequest):
            receipt.verify(wrong, PUBLIC, verify)


def test_up_to_eight_blocks_and_nothing_out_of_order() -> None:
    assert len(receipt.verify(a_receipt(8), PUBLIC, verify).blocks) == 8
    assert len(a_receipt(8)) == receipt.MAX_BYTES
    for blocks in (0, 9):
        with pytest.raises(BadRequest):
            receipt.verify(a_receipt(blocks), PUBLIC, verify)
    first, second = (5, b"a" * 32, receipt.ERASED_HASH), (5, b"b" * 32, receipt.ERASED_HASH)
    assert refuses([first, second])


def test_a_signed_receipt_without_a_proven_erase_is_refused() -> None:
    assert refuses([(5, b"a" * 32, b"b" * 32)])
    assert refuses([(5, receipt.ERASED_HASH, receipt.ERASED_HASH)])


def refuses(blocks: list[tuple[int, bytes, bytes]]) -> bool:
    fields = receipt.Receipt(b"panel-01", 1, 2, 0, "request", b"grace...", bytes(32), blocks)
    try:
        receipt.verify(receipt.build(fields, KEY.sign), PUBLIC, verify)
    except BadRequest:
        return True
    return False
