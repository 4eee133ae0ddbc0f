"""`python -m models.bench`: the panel's kernels on this PC beside TFLite's reference and optimised ones,
same .tflite, same run; then what the ESP32-S3's kernels cost, simulated (models/bench_s3.py).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from firmware.nn.pack import Pack
from models import bench_s3
from models.runtime import Int8Model

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = ("detector", "embedder")
_PANEL = """
import json, sys
from firmware.nn.model import Model
from firmware.nn.timing import profile
model = Model(sys.argv[1])
pixels = open(sys.argv[2], "rb").read()
total, ops = profile(model, pixels, int(sys.argv[3]))
sizes = {"arena_bytes": model.arena_bytes, "pack_bytes": model.pack_bytes}
print(json.dumps(dict(sizes, total_us=total, ops_us=ops)))
"""


def micropython() -> str:
    return os.environ.get("MENSHEN_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")


def bench(pack: Path, tflite: Path, runs: int) -> dict:
    """Milliseconds are the fastest of `runs`."""
    tables = Pack(pack.read_bytes())
    pixels = np.random.default_rng(0).integers(0, 256, tables.input_shape, dtype=np.uint8)
    panel = _run_panel(pack, pixels, runs)
    macs = [_macs(tables, op) for op in tables.ops]
    return {
        "network": tables.meta["name"],
        "mmac": round(sum(macs) / 1e6, 3),
        "pack_bytes": panel["pack_bytes"],
        "arena_bytes": panel["arena_bytes"],
        "panel_ms": panel["total_us"] / 1e3,
        "tflite_reference_ms": _run_tflite(tflite, pixels, runs, "BUILTIN_REF"),
        "tflite_optimised_ms": _run_tflite(tflite, pixels, runs, "BUILTIN"),
        "panel_mmac_per_s": round(sum(macs) / panel["total_us"], 1),
        "by_kind": _by_kind([op.kind for op in tables.ops], macs, panel["ops_us"]),
        "ops": [
            {"kind": op.kind, "mmac": count / 1e6, "ms": us / 1e3, "mmac_per_s": round(count / max(us, 1), 1)}
            for op, count, us in zip(tables.ops, macs, panel["ops_us"], strict=True)
        ],
    }


def _run_panel(pack: Path, pixels: np.ndarray, runs: int) -> dict:
    image = Path(os.environ.get("TMPDIR", "/tmp")) / f"menshen-bench-{os.getpid()}"
    image.write_bytes(pixels.tobytes())
    script = image.with_suffix(".py")
    script.write_text(_PANEL)
    try:
        done = subprocess.run(
            [micropython(), str(script), str(pack), str(image), str(runs)],
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
            env=dict(os.environ, MICROPYPATH=f"{ROOT}:.frozen"),
        )
    finally:
        image.unlink()
        script.unlink()
    return json.loads(done.stdout)


def _run_tflite(tflite: Path, pixels: np.ndarray, runs: int, resolver: str) -> float:
    model = Int8Model(tflite, resolver=resolver)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        model.run(pixels)
        times.append(time.perf_counter() - start)
    return round(min(times) * 1e3, 3)


def _macs(tables: Pack, op) -> int:
    source, out = tables.tensors[op.input], tables.tensors[op.output]
    if op.kind in ("add", "avgpool"):
        return 0
    if op.kind == "fc":
        return source.pixels() * source.channels * out.channels
    return out.pixels() * out.channels * (source.channels if op.kind == "conv1x1" else 9)


def _by_kind(kinds: list[str], macs: list[int], times: list[int]) -> dict:
    table = {}
    for kind in dict.fromkeys(kinds):
        mine = [i for i, k in enumerate(kinds) if k == kind]
        count, us = sum(macs[i] for i in mine), sum(times[i] for i in mine)
        table[kind] = {
            "ops": len(mine),
            "mmac": round(count / 1e6, 3),
            "ms": us / 1e3,
            "mmac_per_s": round(count / max(us, 1), 1),
        }
    return table


def _print_table(row: dict) -> None:
    print(f"{row['network']}: {row['mmac']} MMAC, pack {row['pack_bytes']:,} B, arena {row['arena_bytes']:,} B")
    print(
        f"  panel {row['panel_ms']:.1f} ms ({row['panel_mmac_per_s']:.0f} MMAC/s), "
        f"TFLite reference {row['tflite_reference_ms']:.1f} ms, optimised {row['tflite_optimised_ms']:.1f} ms"
    )
    for kind, part in row["by_kind"].items():
        print(
            f"  {kind:8} {part['ops']:3} ops {part['mmac']:9.3f} MMAC"
            f" {part['ms']:8.2f} ms {part['mmac_per_s']:8.1f} MMAC/s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument(
        "--json", action="store_true", help="one JSON object instead of tables, with a row per operator"
    )
    parser.add_argument("--s3", action="store_true", help="only the ESP32-S3's kernels, operator by operator")
    options = parser.parse_args()
    files = {name: ROOT / "models" / name / name for name in NETWORKS}
    rows = [
        bench(path.with_suffix(".pack"), path.with_suffix(".tflite"), options.runs)
        for path in ([] if options.s3 else files.values())
    ]
    simulated = bench_s3.table({name: path.with_suffix(".pack") for name, path in files.items()})
    if options.json:
        print(json.dumps({"networks": rows, "esp32s3": simulated}))
        return
    for row in rows:
        _print_table(row)
    bench_s3.print_table(simulated, by_operator=options.s3)


if __name__ == "__main__":
    main()
