"""Runs model packs on the panel's runtime, in a MicroPython process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests import mp32

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "firmware" / "nn" / "run_pack.py"


def interpreters() -> list[str]:
    """The unix port beside this Python, and a 32-bit one where MENSHEN_MP32 names it."""
    standard = os.environ.get("MENSHEN_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")
    return [standard, *filter(None, [mp32.find()])]


def run_panel(micropython: str, pack: bytes, pixels: np.ndarray, folder: Path, kernels: str = "") -> bytes:
    """Per image every operator's int8 result, then the outputs."""
    (folder / "pack").write_bytes(pack)
    (folder / "images").write_bytes(pixels.tobytes())
    command = [
        micropython,
        "-X",
        "heapsize=16M",
        str(SCRIPT),
        *(str(folder / name) for name in ("pack", "images", "results")),
        *filter(None, [kernels]),
    ]
    environment = dict(os.environ, MICROPYPATH=f"{ROOT}:.frozen")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "results").read_bytes()


def reference(graph, tflite: bytes, pixels: np.ndarray) -> bytes:
    """The same from TFLite's reference kernels; `tflite` was written from graph.expose_all()."""
    from models.runtime import Int8Model

    model = Int8Model(tflite, resolver="BUILTIN_REF")
    results = []
    for image in pixels:
        layers = dict(zip([op.output for op in graph.ops], model.run(image), strict=True))
        results += [*layers.values(), *(layers[name] for name in graph.outputs)]
    return b"".join(array.tobytes() for array in results)


def first_difference(graph, got: bytes, expected: bytes) -> str:
    """Where two results part, in the network's terms; empty when they are equal."""
    if got == expected:
        return ""
    names = [op.output for op in graph.ops] + [f"output {name}" for name in graph.outputs]
    sizes = [graph.tensors[name.removeprefix("output ")].size for name in names]
    at = next(
        (i for i, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b),
        min(len(got), len(expected)),
    )
    image, rest = divmod(at, sum(sizes))
    for name, size in zip(names, sizes, strict=True):
        if rest < size:
            return f"image {image}, {name}, byte {rest}; {len(got)} of {len(expected)} bytes"
        rest -= size
    return "results of different length"
