"""Update bundles: a board's slot with a signed manifest, as firmware/link/bundle.py defines it; and the keys for it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from firmware.base.errors import BadRequest
from firmware.base.version import VERSION
from firmware.link.bundle import FORMAT, MAX_FILE_BYTES, SIGNED, Manifest, number
from firmware.nn.pack import Pack
from firmware.start.slots import MANIFEST, SLOTS
from firmware.vault.layout import FORMAT as VAULT_FORMAT
from host_tools.errors import BundleInvalid, Usage
from host_tools.image import archive, mpy
from host_tools.image.tree import hal, stage_vfs

_SIGNATURE = "manifest.sig"
_MPY = 6  # what mpy-cross of the supported releases writes
_STAMP = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Bundle:
    """`text`: the manifest's signed bytes."""

    manifest: Manifest
    text: bytes
    signature: bytes
    files: dict[str, bytes]

    def public(self) -> dict[str, Any]:
        found = self.manifest
        return {
            "board": found.board,
            "version": found.version,
            "needs": json.loads(self.text)["needs"]["firmware"],
            "downgrade": found.downgrade,
            "models": dict(found.models),
            "files": {name: len(content) for name, content in self.files.items()},
        }


# Keys.


def make_key(path: Path) -> str:
    """A new signing key in `path`, its public half beside it as PATH.pub; the public key in hex."""
    key = Ed25519PrivateKey.generate()
    body = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes_raw().hex()
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(body)
        Path(f"{path}.pub").write_text(public + "\n")
    except FileExistsError as error:
        raise Usage(f"{path} is there already: a key is never overwritten. Choose another file.") from error
    except OSError as error:
        raise Usage(f"{path} cannot be written: {error.strerror}.") from error
    return public


def read_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror}. Make a key: menshen image key {path}.") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Usage(f"{path} is no signing key. Make one: menshen image key FILE.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Usage(f"{path} holds another kind of key than Ed25519. Make one: menshen image key FILE.")
    return key


def read_public(path: Path) -> bytes:
    """The public half, as `make_key` leaves it beside the key."""
    try:
        text = path.read_text().strip()
        key = bytes.fromhex(text)
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Usage(f"{path} is no public key: it holds 64 hex digits, as `menshen image key` writes them.")
    return key


# Slots and bundles.


def finish(slot: Path, board: str, version: str = VERSION, needs: str = "0.0.0", downgrade: bool = False) -> bytes:
    """Turns a staged slot into what lies on a board: the firmware in one archive, and the manifest, whose bytes come
    back."""
    (slot / "firmware.pak").write_bytes(archive.pack(slot / "firmware"))
    shutil.rmtree(slot / "firmware")
    return describe(slot, board, version, needs, downgrade)


def describe(slot: Path, board: str, version: str = VERSION, needs: str = "0.0.0", downgrade: bool = False) -> bytes:
    """Writes the slot's manifest, whose bytes come back; a folder of firmware is no file of it."""
    found: dict[str, Any] = {
        "format": FORMAT,
        "board": board,
        "version": version,
        "needs": {"firmware": needs},
        "mpy": 0 if hal(board) == "virtual" else _MPY,
        "vault": VAULT_FORMAT,
        "downgrade": downgrade,
        "models": {path.stem: Pack(path.read_bytes()).model_id.hex() for path in sorted(slot.glob("packs/*.pack"))},
        "files": [
            [path.relative_to(slot).as_posix(), path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()]
            for path in sorted(slot.rglob("*"))
            if path.is_file() and path.relative_to(slot).parts[0] in ("board.py", "firmware.pak", "packs")
        ],
    }
    text = json.dumps(found, separators=(",", ":")).encode()
    (slot / MANIFEST).write_bytes(text)
    return text


def build(
    board: str, key: Ed25519PrivateKey, version: str = VERSION, needs: str = "0.0.0", downgrade: bool = False
) -> Bundle:
    """This checkout's firmware and models for `board`."""
    for given in (version, needs):
        _number(given)
    with tempfile.TemporaryDirectory(prefix="menshen-") as folder:
        tree = Path(folder)
        stage_vfs(board, tree, version)
        if hal(board) != "virtual":
            mpy.compile_tree(tree)
        return sign(tree / SLOTS[0], key, board, version, needs, downgrade)


def sign(
    slot: Path, key: Ed25519PrivateKey, board: str, version: str, needs: str = "0.0.0", downgrade: bool = False
) -> Bundle:
    text = finish(slot, board, version, needs, downgrade)
    try:
        manifest = Manifest(text)
    except BadRequest as error:
        raise BundleInvalid(f"The bundle cannot be made: {error}.") from error
    files = {name: (slot / name).read_bytes() for name in manifest.files}
    return Bundle(manifest, text, key.sign(SIGNED + text), files)


def write(bundle: Bundle, path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as packed:
        for name, body in {MANIFEST: bundle.text, _SIGNATURE: bundle.signature, **bundle.files}.items():
            packed.writestr(zipfile.ZipInfo(name, _STAMP), body)
    try:
        path.write_bytes(content.getvalue())
    except OSError as error:
        raise Usage(f"{path} cannot be written: {error.strerror}.") from error


def read(path: Path) -> Bundle:
    """Every file checked against the manifest; the signature is the panel's to check, and `verify`'s."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            text, signature = packed.read(MANIFEST), packed.read(_SIGNATURE)
            manifest = Manifest(text)
            files = {name: _member(packed, name) for name in manifest.files}
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, ValueError, RuntimeError, BadRequest) as error:
        raise BundleInvalid(f"{path.name} is no update bundle, or only part of one ({error}).") from error
    for name, (size, digest) in manifest.files.items():
        if len(files[name]) != size or hashlib.sha256(files[name]).hexdigest() != digest:
            raise BundleInvalid(f"{path.name} is damaged: {name} is not what its manifest says.")
    if len(signature) != 64:
        raise BundleInvalid(f"{path.name} is damaged: it has no signature.")
    return Bundle(manifest, text, signature, files)


def verify(bundle: Bundle, public: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bundle.signature, SIGNED + bundle.text)
    except (InvalidSignature, ValueError) as error:
        raise BundleInvalid(
            "The bundle is not signed with the key that the panel trusts. Take the maker's bundle, or pin his key: "
            "menshen panel update-key."
        ) from error


def _member(packed: zipfile.ZipFile, name: str) -> bytes:
    if packed.getinfo(name).file_size > MAX_FILE_BYTES:
        raise BadRequest(f"{name} is larger than a slot's file may be")
    return packed.read(name)


def _number(version: str) -> None:
    try:
        number(version)
    except BadRequest as error:
        raise Usage(f"{version!r} is no version: {error}.") from error
