"""The closer look's network: 48x48 grey to five points, box and score (firmware/vision/closeup.py).

Its first layers are the detector's own, weights and all, up to the map at stride 8: they know faces already, and more
faces than could be learnt from for this network alone. Only the head behind them is trained here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from firmware.vision.closeup import OUTPUTS, SIDE
from models.graph import Graph, exponent
from models.layers import ActQuant, Chain, Conv, GraphBuilder, Linear
from models.simulate import read_tflite

OUT_EXPONENT = 4  # sixteenths
_CELLS, _CHANNELS = SIDE // 8, 64  # of the trunk's map


def trunk_of(detector: Path) -> Graph:
    """The detector's layers up to the last map that both its heads read, for the view's size."""
    graph = read_tflite(detector)
    shapes = {graph.input: (SIDE, SIDE, 1)}
    ops = []
    for op in graph.ops:
        height, width, _ = shapes[op.inputs[0]]
        shapes[op.output] = (-(-height // op.stride), -(-width // op.stride), graph.tensors[op.output].shape[2])
        ops.append(op)
        if op.kind == "add" and shapes[op.output] == (_CELLS, _CELLS, _CHANNELS) and _is_last_add(graph, op):
            break
    tensors = {name: replace(graph.tensors[name], shape=shape) for name, shape in shapes.items()}
    return Graph("trunk", graph.input, [ops[-1].output], tensors, ops)


def _is_last_add(graph: Graph, op) -> bool:
    """Do only heads read it, no further add of its size?"""
    return not any(other.kind == "add" and op.output in other.inputs for other in graph.ops)


class Closeup(nn.Module):
    """forward: the trunk's map (n, 64, 6, 6), real values, to (n, 16)."""

    def __init__(self, trunk: Graph) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = Chain(
            Conv("dw3x3", _CHANNELS, _CHANNELS),
            Conv("conv1x1", _CHANNELS, 48),
            Conv("dw3x3", 48, 48, 2),
            Conv("conv1x1", 48, 64),
            Linear(64, _CELLS // 2, _CELLS // 2, OUTPUTS),
        )
        self.head.link(ActQuant(exponent=exponent(self.map.scale)))

    @property
    def map(self):
        """The trunk's last tensor."""
        return self.trunk.tensors[self.trunk.outputs[0]]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x)

    def fix_output(self) -> None:
        """After calibration: the output's scale is part of the format."""
        self.head[-1].out.exponent.fill_(OUT_EXPONENT)

    def to_graph(self, meta: dict) -> Graph:
        builder = GraphBuilder("closeup", SIDE, SIDE)
        builder.tensors = dict(self.trunk.tensors)
        builder.input, builder.ops = self.trunk.input, list(self.trunk.ops)
        return builder.finish([self.head.emit(builder, self.trunk.outputs[0])], meta)
