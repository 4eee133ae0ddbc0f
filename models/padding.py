"""The same network with every map's channels rounded up to a multiple of 16, as the panel's kernels want them. What is
added has weights and biases of zero, and nothing reads it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.graph import Graph, Op, Tensor

_LANES = 16


def padded(graph: Graph) -> Graph:
    tensors = {
        name: tensor if name == graph.input else replace(tensor, shape=(*tensor.shape[:2], _round_up(tensor.shape[2])))
        for name, tensor in graph.tensors.items()
    }
    return replace(graph, tensors=tensors, ops=[_op(op, graph.tensors, tensors) for op in graph.ops])


def _op(op: Op, before: dict[str, Tensor], after: dict[str, Tensor]) -> Op:
    if op.weights is None or op.bias is None:
        return op
    source, more_in, more_out = op.inputs[0], _more(op.inputs[0], before, after), _more(op.output, before, after)
    weights = op.weights
    if op.kind == "fc":
        height, width, channels = before[source].shape
        weights = np.pad(weights.reshape(height, width, channels, -1), ((0, 0), (0, 0), (0, more_in), (0, more_out)))
        weights = weights.reshape(-1, weights.shape[-1])
    elif op.kind == "conv1x1":
        weights = np.pad(weights, ((0, more_in), (0, more_out)))
    else:
        weights = np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, more_out)])
    scale = op.w_scale
    if isinstance(scale, np.ndarray):
        scale = np.pad(scale, (0, more_out), mode="edge")
    return replace(op, weights=weights, bias=np.pad(op.bias, (0, more_out)), w_scale=scale)


def _more(name: str, before: dict[str, Tensor], after: dict[str, Tensor]) -> int:
    return after[name].shape[2] - before[name].shape[2]


def _round_up(channels: int) -> int:
    return -(-channels // _LANES) * _LANES
