"""Plans the panel's activation arena: where each tensor lies, in how little memory, without any two live
ones in conflict.

An operator's output may lie over an input that dies there if it only ever writes where the input has been
read (row by row, see firmware/nn/pack.py); `_most_overlap` is that condition. Planning is a greedy
placement, improved by seeded local search.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from models.graph import Graph, Op, same_padding

ARENA_LIMIT = 128 * 1024
_ALIGN = 16
_SEARCH_STEPS = 1600


@dataclass(frozen=True)
class Layout:
    """A tensor in memory. border: pixels above, left, below, right; lead: bytes from start to pixel (0, 0)."""

    border: tuple[int, int, int, int]
    lead: int
    pitch: int
    size: int


@dataclass(frozen=True)
class Plan:
    layouts: dict[str, Layout]
    offsets: dict[str, int]
    arena_bytes: int


@dataclass(frozen=True)
class _Clash:
    """`later` is not to start between offset(earlier) + low and offset(earlier) + high, both exclusive."""

    low: int
    high: int


def plan_arena(graph: Graph) -> Plan:
    layouts = {name: _layout(graph, name) for name in graph.tensors}
    clashes = _clashes(graph, layouts)
    order = sorted(layouts, key=lambda name: -layouts[name].size)
    best = _place(order, layouts, clashes)
    rng = random.Random(1)
    for _ in range(_SEARCH_STEPS):
        trial = list(order)
        i, j = rng.randrange(len(trial)), rng.randrange(len(trial))
        trial.insert(j, trial.pop(i))
        placed = _place(trial, layouts, clashes)
        if _peak(placed, layouts) <= _peak(best, layouts):
            order, best = trial, placed
    return Plan(layouts, best, _peak(best, layouts))


def _layout(graph: Graph, name: str) -> Layout:
    tensor = graph.tensors[name]
    height, width, channels = tensor.shape
    above = left = below = right = 0
    for op in graph.ops:
        if name in op.inputs and op.kind in ("dw3x3", "conv3x3"):
            rows, columns = same_padding(height, op.stride), same_padding(width, op.stride)
            above, below = max(above, rows[0]), max(below, rows[1])
            left, right = max(left, columns[0]), max(right, columns[1])
        if name in op.inputs and op.kind == "fc" and (above or below or left or right):
            raise ValueError(f"{name} feeds both a 3x3 operator and a fully connected one")
    pitch = _aligned((left + width + right) * channels)
    size = _aligned((above + height + below) * pitch)
    return Layout((above, left, below, right), above * pitch + left * channels, pitch, size)


def _clashes(graph: Graph, layouts: dict[str, Layout]) -> dict[str, dict[str, _Clash]]:
    """clashes[a][b] constrains where b starts relative to a; both directions are present."""
    born = {graph.input: -1, **{op.output: i for i, op in enumerate(graph.ops)}}
    dies = {name: len(graph.ops) for name in graph.outputs}
    for i, op in enumerate(graph.ops):
        for name in op.inputs:
            dies.setdefault(name, i)
            dies[name] = max(dies[name], i)
    clashes: dict[str, dict[str, _Clash]] = {name: {} for name in layouts}
    for a in layouts:
        for b in layouts:
            if a == b or (born[a], a) > (born[b], b) or born[b] > dies[a]:
                continue
            low = -layouts[b].size
            if born[b] == dies[a]:
                low = max(low, _most_overlap(graph, layouts, graph.ops[born[b]], a))
            clashes[a][b] = _Clash(low, layouts[a].size)
            clashes[b][a] = _Clash(-layouts[a].size, -low)
    return clashes


def _most_overlap(graph: Graph, layouts: dict[str, Layout], op: Op, name: str) -> int:
    """The largest start of op's output, relative to its dying input `name`, at which no unread input is
    overwritten.
    """
    source, out = layouts[name], layouts[op.output]
    if op.kind in ("fc", "avgpool"):
        return -out.size
    height, width, channels = graph.tensors[op.output].shape
    rows, columns = graph.tensors[name].shape[:2]
    above = left = 0
    if op.kind in ("dw3x3", "conv3x3"):
        above, left = same_padding(rows, op.stride)[0], same_padding(columns, op.stride)[0]
    row_bytes = 0 if op.kind == "add" else width * channels
    room = min(
        source.lead
        + (y * op.stride - above) * source.pitch
        - left * graph.tensors[name].shape[2]
        - (out.lead + y * out.pitch + row_bytes)
        for y in range(height)
    )
    return room // _ALIGN * _ALIGN


def _place(order: list[str], layouts: dict[str, Layout], clashes: dict[str, dict[str, _Clash]]) -> dict[str, int]:
    offsets: dict[str, int] = {}
    for name in order:
        blocked = sorted(
            (offsets[other] + clash.low, offsets[other] + clash.high)
            for other, clash in _against(name, clashes, offsets)
        )
        at = 0
        for low, high in blocked:  # sorted by lower end, so one pass suffices
            if low < at < high:
                at = high
        offsets[name] = at
    return offsets


def _against(name: str, clashes: dict[str, dict[str, _Clash]], offsets: dict[str, int]) -> list[tuple[str, _Clash]]:
    return [(other, clashes[other][name]) for other in clashes[name] if other in offsets]


def _peak(offsets: dict[str, int], layouts: dict[str, Layout]) -> int:
    return max(offset + layouts[name].size for name, offset in offsets.items())


def _aligned(n: int) -> int:
    return -(-n // _ALIGN) * _ALIGN
