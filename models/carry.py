"""The files that a training needs, in parts small enough to carry to a machine without the shared folder.

    python -m models.carry pack --faces ../shared/faces --out .cache/carry      parts below 60 MiB and parts.json
    python -m models.carry unpack --parts .cache/carry --faces FOLDER           what came so far is enough to resume
    python -m models.carry unpack --parts .cache/carry --faces FOLDER --final   fails unless everything is whole

Files keep their bytes; parts and files are checked by their SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

PART = 56 << 20
NEEDED = (
    "matcher/images.zip",
    "matcher/index.csv",
    "matcher/aaf.csv",
    "matcher/teacher_edgeface_xs_int8.npz",
    "eval_lfw/images.zip",
    "eval_lfw/pairs.csv",
    "detect/images.zip",
    "detect/labels.csv",
    "teachers/mobilefacenet_foamliu_dyn.onnx",
    "teachers/edgeface_xs_dyn.onnx",
    "teachers/yunet_n_640_640.onnx",
)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pack(faces: Path, out: Path, part: int = PART) -> list[str]:
    """Writes the files one after the other, cut into parts; returns the parts' names."""
    out.mkdir(parents=True, exist_ok=True)
    contents = {name: (faces / name).read_bytes() for name in NEEDED}
    whole = b"".join(contents.values())
    parts = {}
    for place, start in enumerate(range(0, len(whole), part)):
        piece = whole[start : start + part]
        name = f"part{place:02d}.bin"
        (out / name).write_bytes(piece)
        parts[name] = {"bytes": len(piece), "sha256": sha256(piece)}
    files = {name: {"bytes": len(content), "sha256": sha256(content)} for name, content in contents.items()}
    (out / "parts.json").write_text(json.dumps({"parts": parts, "files": files}, indent=1) + "\n")
    return list(parts)


def unpack(parts: Path, faces: Path) -> list[str]:
    """Writes every file whose parts have come; returns the names still missing. ValueError if a part is damaged."""
    record = json.loads((parts / "parts.json").read_text())
    pieces = []
    for name, entry in record["parts"].items():
        path = parts / name
        piece = path.read_bytes() if path.exists() else None
        if piece is not None and sha256(piece) != entry["sha256"]:
            raise ValueError(f"{path} is damaged")
        pieces.append((entry["bytes"], piece))
    start, missing = 0, []
    for name, entry in record["files"].items():
        content = _stretch(pieces, start, entry["bytes"])
        start += entry["bytes"]
        target = faces / name
        if content is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        elif not (target.exists() and sha256(target.read_bytes()) == entry["sha256"]):
            missing.append(name)
    return missing


def _stretch(pieces: list[tuple[int, bytes | None]], start: int, length: int) -> bytes | None:
    """So many bytes of the pieces laid end to end; None where one of them is not here."""
    found, at = [], 0
    for size, piece in pieces:
        low, high = max(start, at), min(start + length, at + size)
        if low < high:
            if piece is None:
                return None
            found.append(piece[low - at : high - at])
        at += size
    return b"".join(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("pack", "unpack"))
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(".cache/carry"), help="of pack: a folder for the parts")
    parser.add_argument("--parts", type=Path, default=Path(".cache/carry"), help="of unpack: the folder with the parts")
    parser.add_argument("--final", action="store_true", help="of unpack: fail when a file is missing")
    options = parser.parse_args()
    if options.action == "pack":
        print("\n".join(pack(options.faces, options.out)))
        return 0
    missing = unpack(options.parts, options.faces)
    print("\n".join(f"missing: {name}" for name in missing), file=sys.stderr)
    return 1 if missing and options.final else 0


if __name__ == "__main__":
    sys.exit(main())
