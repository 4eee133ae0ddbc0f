"""Writes a graph as the panel's model pack (format: firmware/nn/pack.py), arena plan included."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np

from firmware.nn import pack as form
from firmware.nn.golden import noise
from models.arena import ARENA_LIMIT, Plan, plan_arena
from models.graph import WEIGHTED, Graph, GraphError, Op, exponent
from models.padding import padded
from models.simulate import run


def write_pack(graph: Graph, arena_limit: int = ARENA_LIMIT) -> bytes:
    """Raises GraphError when the graph is invalid or its activations need more than `arena_limit` bytes."""
    graph.validate()
    whole, identity = graph, model_id(graph)
    graph = padded(graph)
    plan = plan_arena(graph)
    if plan.arena_bytes > arena_limit:
        raise GraphError(f"{graph.name}: activations need {plan.arena_bytes} bytes, allowed {arena_limit}")
    names = list(graph.tensors)
    tensors = b"".join(_tensor_record(graph, plan, name) for name in names)
    outputs = struct.pack(f"<{len(graph.outputs)}H", *map(names.index, graph.outputs))
    meta = json.dumps(_meta(whole), sort_keys=True).encode()

    at_tensors = form.HEADER_BYTES
    at_ops = at_tensors + len(tensors)
    at_outputs = at_ops + form.RECORD_BYTES * len(graph.ops)
    at_meta = at_outputs + len(outputs)
    at_weights = _aligned(at_meta + len(meta))
    padding = {name: graph.tensors[name].shape[2] - whole.tensors[name].shape[2] for name in names}
    ops, weights = _ops(graph, names, padding, at_weights)
    body = (tensors + ops + outputs + meta).ljust(at_weights - form.HEADER_BYTES, b"\0") + weights
    total = form.HEADER_BYTES + len(body)

    def header(digest: bytes) -> bytes:
        return struct.pack(
            form.HEADER,
            form.MAGIC,
            form.FORMAT,
            form.HEADER_BYTES,
            total,
            plan.arena_bytes,
            digest,
            identity,
            len(names),
            len(graph.ops),
            names.index(graph.input),
            len(graph.outputs),
            at_tensors,
            at_ops,
            at_outputs,
            at_meta,
            len(meta),
            at_weights,
        )

    return header(form.digest(header(bytes(32)) + body)) + body


def model_id(graph: Graph) -> bytes:
    """8 bytes that change with the function the network computes, and with nothing else."""
    sha = hashlib.sha256()
    for op in graph.ops:
        names = [*op.inputs, op.output]
        tensors = [
            (graph.tensors[name].shape, exponent(graph.tensors[name].scale), graph.tensors[name].zero_point)
            for name in names
        ]
        sha.update(repr((op.kind, names, op.stride, tensors, _scale(op))).encode())
        if op.weights is not None and op.bias is not None:
            sha.update(np.ascontiguousarray(op.weights).tobytes() + op.bias.astype("<i4").tobytes())
    sha.update(repr(graph.outputs).encode())
    return sha.digest()[:8]


def _scale(op: Op) -> int | list[float]:
    return op.w_scale.tolist() if isinstance(op.w_scale, np.ndarray) else exponent(op.w_scale or 1.0)


def _meta(graph: Graph) -> dict:
    outputs = [
        {
            "name": name,
            "shape": list(graph.tensors[name].shape),
            "exponent": exponent(graph.tensors[name].scale),
        }
        for name in graph.outputs
    ]
    return {
        "version": 1,
        **graph.meta,
        "name": graph.name,
        "outputs": outputs,
        "golden": golden(graph),
        "macs": graph.macs,
        "weights_bytes": graph.weight_bytes,
    }


def golden(graph: Graph) -> list[str]:
    """SHA-256 of each output for the picture of firmware/nn/golden.py: what every panel's kernels must give."""
    height, width = graph.image_shape
    picture = np.frombuffer(noise(height * width), np.uint8).reshape(1, height, width)
    return [hashlib.sha256(output.tobytes()).hexdigest() for output in run(graph, picture)]


def _tensor_record(graph: Graph, plan: Plan, name: str) -> bytes:
    tensor, layout = graph.tensors[name], plan.layouts[name]
    return struct.pack(
        form.TENSOR,
        *tensor.shape,
        *layout.border,
        tensor.zero_point,
        exponent(tensor.scale),
        plan.offsets[name] + layout.lead,
        layout.pitch,
    )


def _ops(graph: Graph, names: list[str], padding: dict[str, int], at_weights: int) -> tuple[bytes, bytes]:
    records, blobs = [], bytearray()

    def store(data: bytes) -> int:
        blobs.extend(bytes(_aligned(len(blobs)) - len(blobs)))
        at = at_weights + len(blobs)
        blobs.extend(data)
        return at

    for op in graph.ops:
        weights = bias = shift = 0
        if op.kind in WEIGHTED and op.bias is not None:
            weights = store(kernel_layout(op).tobytes())
            table = op.bias.astype("<i4").tobytes()
            if isinstance(op.w_scale, np.ndarray):
                m, e = graph.multipliers(op)
                table += np.stack([m, e - 1], 1).astype("<i4").tobytes()
            else:
                shift = graph.shift(op)
            bias = store(table)
        indices = [names.index(name) for name in op.inputs]
        second = indices[1] if len(indices) > 1 else form.NONE
        records.append(
            struct.pack(
                form.OP,
                form.KINDS.index(op.kind),
                op.stride,
                shift,
                padding[op.output],
                indices[0],
                second,
                names.index(op.output),
                0,
                weights,
                bias,
            )
        )
    return b"".join(records), bytes(blobs)


def kernel_layout(op: Op) -> np.ndarray:
    """Weights as the kernels read them: blocks of 16 output channels, or channels last for the depthwise
    operator.
    """
    weights = op.weights
    assert weights is not None
    if op.kind == "dw3x3":
        return np.ascontiguousarray(weights.reshape(9, -1))
    taps = weights.reshape(-1, weights.shape[-1])
    return np.ascontiguousarray(taps.reshape(len(taps), -1, 16).transpose(1, 0, 2))


def _aligned(n: int) -> int:
    return -(-n // form.ALIGN) * form.ALIGN
