"""What an update's bundle says of itself, read by the panel and the host alike.

A bundle is a ZIP file (stored, not compressed) of manifest.json, manifest.sig and the slot's files. The signature is
Ed25519's (RFC 8032) over SIGNED and the manifest's very bytes. The manifest, JSON:

    format      1
    board       whose board.py is in it; other boards refuse it
    version     such as "0.2.0": up to four numbers
    needs       {"firmware"}: the lowest version that may be replaced by it
    mpy         the format of its compiled modules (sys.implementation._mpy & 0xFF), or 0: sources
    vault       the vault's format, which must not be lower than the panel's
    downgrade   true: may replace a higher version. The panel asks nobody else whether it may
    models      {name: model id in hex}; templates of another embedder than this one must be enrolled again
    files       [[name, bytes, SHA-256 in hex], ...]
"""

import json

from firmware.base.compat import const
from firmware.base.errors import BadRequest
from firmware.link.ops import MAX_MANIFEST

FORMAT = const(1)
SIGNED = b"menshen update v1"
CHUNK = const(3072)  # of a file, in one message
MAX_FILES = const(16)
MAX_FILE_BYTES = const(2 * 1024 * 1024)

_FIXED = ("board.py", "firmware.pak")


class Manifest:
    """A manifest whose every field has been checked; BadRequest where one is not as it must be.

    `files`: {name: (bytes, SHA-256 in hex)}.
    """

    def __init__(self, text: bytes):
        if len(text) > MAX_MANIFEST:
            raise BadRequest("the manifest is too long")
        try:
            fields = json.loads(str(text, "utf-8"))
        except (ValueError, RuntimeError):
            raise BadRequest("the manifest is not JSON")
        if not isinstance(fields, dict) or fields.get("format") != FORMAT:
            raise BadRequest("the manifest is of another format than this firmware reads")
        self.board = _text(fields, "board")
        self.version = _text(fields, "version")
        self.number = number(self.version)
        self.needs = number(_text(fields.get("needs") or {}, "firmware"))
        self.mpy, self.vault = _count(fields, "mpy"), _count(fields, "vault")
        self.downgrade = fields.get("downgrade") is True
        models = fields.get("models")
        if not isinstance(models, dict) or not all([isinstance(value, str) for value in models.values()]):
            raise BadRequest("the manifest names no models")
        self.models = models
        self.files = _files(fields.get("files"))

    @property
    def bytes(self) -> int:
        return sum([size for size, _ in self.files.values()])


def number(version: str) -> tuple:
    """A version to compare: "0.2" is (0, 2, 0, 0)."""
    parts = version.split(".")
    if not 1 <= len(parts) <= 4 or not all([part.isdigit() and len(part) <= 6 for part in parts]):
        raise BadRequest("a version is up to four numbers with dots between them")
    return tuple([int(part) for part in parts] + [0] * (4 - len(parts)))


def is_name(name) -> bool:
    """board.py, firmware.pak or packs/NAME.pack: nothing else belongs in a slot."""
    if name in _FIXED:
        return True
    if not isinstance(name, str) or name[:6] != "packs/" or name[-5:] != ".pack" or not 12 <= len(name) <= 40:
        return False
    return all(["a" <= c <= "z" or "0" <= c <= "9" or c == "_" for c in name[6:-5]])


def _files(listed) -> dict:
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_FILES:
        raise BadRequest("the manifest lists no files")
    files = {}
    for item in listed:
        if not isinstance(item, list) or len(item) != 3:
            raise BadRequest("the manifest lists a file without its hash")
        name, size, digest = item
        good = is_name(name) and name not in files and isinstance(size, int) and 0 < size <= MAX_FILE_BYTES
        if not good or not isinstance(digest, str) or len(digest) != 64:
            raise BadRequest("the manifest lists a file that does not belong in a slot")
        files[name] = (size, digest)
    if "board.py" not in files or "firmware.pak" not in files:
        raise BadRequest("the manifest lists no firmware")
    return files


def _text(fields, name: str) -> str:
    value = fields.get(name) if isinstance(fields, dict) else None
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        raise BadRequest("the manifest has no %s" % name)
    return value


def _count(fields: dict, name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or not 0 <= value <= 255:
        raise BadRequest("the manifest has no %s" % name)
    return value
