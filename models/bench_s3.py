"""What the ESP32-S3's kernels cost: the shipped machine code in the simulator (tests/xtensa), counted instruction by
instruction. Needs a checkout.

A call from MicroPython counts 1,700 instructions; interpreting the few lines around the calls is not in it. Cycles are
the simulator's estimate, memory not waited for. esp-dl's figures: its own, at 240 MHz.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from firmware.biometrics.match import length_q8
from firmware.nn.pack import Pack

CLOCK_HZ = 240_000_000
PSRAM_BYTES_PER_S = 58_000_000  # reads outside the 64 KB data cache
BUDGETS = {"detector": 3_000_000, "alignment and embedder": 12_000_000, "matching 512 x 4": 300_000}
ESP_DL = {"conv1x1": "3.7 MAC/cycle", "dw3x3": "1.0 MAC/cycle"}
ESP_DL_TOTAL = {
    "detector": "MSR + MNP: 10.5 MMAC, 38.8 ms (9.3 M cycles)",
    "embedder": "MFN: 221 MMAC, 249 ms (59.8 M cycles)",
}
RESIDENTS, TEMPLATES, SIDE, FRAME = 512, 4, 96, (240, 320)


def network(pack: Path) -> dict:
    """One run on noise, per operator."""
    from tests.xtensa.network import Network

    content = pack.read_bytes()
    tables = Pack(content)
    pixels = np.random.default_rng(0).integers(0, 256, tables.input_shape, dtype=np.uint8)
    simulated = Network(content)
    first = simulated.load(pixels.tobytes())
    rows = [_row(op.kind, _macs(tables, op), step) for op, step in zip(tables.ops, simulated.steps(), strict=True)]
    moves = [_row(step.kind, 0, step) for step in (first, simulated.export())]
    weights = len(content) - tables.weights_at
    return {"network": tables.meta["name"], "weight_bytes": weights, "ops": rows, "moves": moves, **_sum(rows + moves)}


def matching() -> dict:
    """512 residents with 4 templates each: the scan and the exact look at those that may be the best two."""
    from tests.xtensa.network import CALL_OVERHEAD

    rng = np.random.default_rng(1)
    table = rng.integers(-60, 61, (RESIDENTS, TEMPLATES, 128)).astype(np.int8)
    lengths = [length_q8(int(row.astype(int) @ row)) for row in table.reshape(-1, 128)]
    scales = np.array([(1 << 38) // length for length in lengths], np.int32)
    probe = rng.integers(-60, 61, 128).astype(np.int8)
    memory, run = _bench()
    buffers = [memory.place("gallery", part.tobytes()) for part in (probe, table, scales)]
    counts = memory.place("counts", bytes([TEMPLATES]) * RESIDENTS)
    scores, found = (memory.place("out", 4 * n, writable=True) for n in (RESIDENTS, 16))
    scan = run("scan", *buffers, counts, RESIDENTS, TEMPLATES, scores)
    margin = (length_q8(int(probe.astype(int) @ probe)) >> 15) + 5
    pick = run("pick", scores, RESIDENTS, scan.small_int - margin, found, 16)
    exact = [run("dots", buffers[0], buffers[1], TEMPLATES, found)] * pick.small_int
    exact.append(run("dots", buffers[0], buffers[0], 1, found))
    calls = [scan, pick, *exact]
    return {
        "macs": 128 * RESIDENTS * TEMPLATES,
        "instructions": sum(call.instructions + CALL_OVERHEAD for call in calls),
        "cycles": sum(call.cycles + CALL_OVERHEAD for call in calls),
    }


def alignment() -> dict:
    """A face turned by 11 degrees and halved, out of a whole frame."""
    from tests.xtensa.network import CALL_OVERHEAD

    memory, run = _bench()
    frame = memory.place("frame", np.random.default_rng(2).integers(0, 256, FRAME).astype(np.uint8).tobytes())
    out = memory.place("face", SIDE * SIDE, writable=True)
    done = run("warp", frame, FRAME[1], FRAME[0], out, SIDE, 91750, 17830, 70 << 16, 20 << 16)
    return {"macs": 0, "instructions": done.instructions + CALL_OVERHEAD, "cycles": done.cycles + CALL_OVERHEAD}


def _bench():
    from host_tools.xtensa_asm.mpy import read_mpy
    from tests.xtensa.network import MACHINE
    from tests.xtensa.sim.cpu import Cpu
    from tests.xtensa.sim.memory import Memory

    memory = Memory()
    cpu, routines = Cpu(memory), read_mpy(MACHINE.read_bytes())
    return memory, lambda name, *arguments: cpu.call(routines[name], *arguments)


def _row(kind: str, macs: int, step) -> dict:
    overhead = step.total - step.instructions
    return {"kind": kind, "macs": macs, "instructions": step.total, "cycles": step.cycles + overhead}


def _macs(tables: Pack, op) -> int:
    source, out = tables.tensors[op.input], tables.tensors[op.output]
    taps = {"add": 0, "avgpool": 0, "fc": source.pixels() * source.channels, "conv1x1": source.channels}
    return out.pixels() * out.channels * taps.get(op.kind, 9)


def _sum(rows: list[dict]) -> dict:
    return {key: sum(row[key] for row in rows) for key in ("macs", "instructions", "cycles")}


def table(packs: dict[str, Path]) -> dict:
    """Everything, with the budgets."""
    networks = {name: network(path) for name, path in packs.items()}
    parts = {"alignment": alignment(), "matching": matching()}
    totals = {
        "detector": networks["detector"]["instructions"],
        "alignment and embedder": networks["embedder"]["instructions"] + parts["alignment"]["instructions"],
        "matching 512 x 4": parts["matching"]["instructions"],
    }
    verdicts = [{"stage": stage, "instructions": totals[stage], "budget": limit} for stage, limit in BUDGETS.items()]
    return {"networks": networks, **parts, "budgets": verdicts}


def print_table(rows: dict, by_operator: bool = False) -> None:
    print("ESP32-S3 kernels, simulated: instructions with call overhead; cycles estimated, without waits for memory")
    columns = f"{'instructions':>13} {'MAC/instr':>10} {'cycles':>11} {'MAC/cycle':>10}"
    head = f"  {'':10} {'ops':>4} {'MMAC':>8} {columns}   esp-dl"
    for name, net in rows["networks"].items():
        print(f"{name}\n{head}")
        lines = net["ops"] + net["moves"]
        kinds = [(row["kind"], [row]) for row in lines] if by_operator else _grouped(lines)
        for kind, group in kinds:
            _print_line(kind, len(group), _sum(group), ESP_DL.get(kind, ""))
        _print_line("total", len(lines), net, ESP_DL_TOTAL.get(name, ""))
        computing, reading = net["cycles"] / CLOCK_HZ * 1e3, net["weight_bytes"] / PSRAM_BYTES_PER_S * 1e3
        print(f"  at 240 MHz {computing:.1f} ms, and {reading:.1f} ms to read the weights from PSRAM once")
    print(f"beside the networks\n{head}")
    _print_line("warp", 1, rows["alignment"], "")
    _print_line("matching", 1, rows["matching"], "")
    for row in rows["budgets"]:
        share = row["instructions"] / row["budget"]
        print(f"  {row['stage']:24} {row['instructions']:>11,} of {row['budget']:>11,} instructions ({share:.0%})")


def _grouped(lines: list[dict]) -> list[tuple[str, list[dict]]]:
    return [
        (kind, [row for row in lines if row["kind"] == kind]) for kind in dict.fromkeys(row["kind"] for row in lines)
    ]


def _print_line(kind: str, count: int, part: dict, beside: str) -> None:
    rates = [f"{part['macs'] / part[unit]:.1f}" if part["macs"] else "" for unit in ("instructions", "cycles")]
    cost = f"{part['instructions']:>13,} {rates[0]:>10} {part['cycles']:>11,} {rates[1]:>10}"
    print(f"  {kind:10} {count:>4} {part['macs'] / 1e6:>8.3f} {cost}   {beside}".rstrip())
