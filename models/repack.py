"""Writes the shipped packs anew from their .tflite files and notes their hashes in the manifests.

    python -m models.repack

For a change of the pack's format or meta: nothing is trained, thresholds stay, and a network that would compute
anything else than before is refused.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from firmware.nn.pack import Pack
from models.graph import GraphError
from models.pack import write_pack
from models.simulate import read_tflite

HERE = Path(__file__).parent
_DERIVED = ("name", "version", "outputs", "golden", "macs", "weights_bytes")  # models.pack makes these itself


def repack(folder: Path) -> str:
    """One network's folder; a line that says what was done."""
    file = folder / f"{folder.name}.pack"
    before = Pack(file.read_bytes())
    graph = read_tflite(file.with_suffix(".tflite"))
    graph.meta = {key: value for key, value in before.meta.items() if key not in _DERIVED}
    content = write_pack(graph)
    if Pack(content).model_id != before.model_id:
        raise GraphError(f"{folder.name}: the .tflite file and the pack are different networks")
    file.write_bytes(content)
    manifest = folder / "manifest.json"
    record = json.loads(manifest.read_text())
    record["files"][file.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest.write_text(json.dumps(record, indent=1) + "\n")
    return f"{folder.name}: {len(content)} bytes, model {before.model_id.hex()}"


def main() -> None:
    for manifest in sorted(HERE.glob("*/manifest.json")):
        print(repack(manifest.parent))


if __name__ == "__main__":
    main()
