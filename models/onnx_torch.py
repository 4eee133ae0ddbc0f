"""An ONNX network as a torch module, so that a teacher runs where the student trains.

Knows the operators of the two embedding teachers, as their exporters wrote them, and no more: another operator is a
KeyError when the module is made. Field numbers are those of onnx.proto3; integers that steer shapes are worked out on
the CPU, so only pictures' numbers travel to the GPU.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

_KINDS = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return (value - (1 << 64) if value >> 63 else value), at


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Number and content of a protobuf message's fields, in order."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        length, at = _varint(data, at) if key & 7 == 2 else ({5: 4, 1: 8}[key & 7], at)
        yield key >> 3, data[at : at + length]
        at += length


def _integers(values: list[Any]) -> list[int]:
    """A repeated integer field, packed or not."""
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            found.append(number)
    return found


def _tensor(data: memoryview) -> tuple[str, torch.Tensor]:
    fields = list(_fields(data))
    one = dict(fields)
    shape = _integers([v for n, v in fields if n == 1])
    kind = _KINDS[one[2]]
    if 9 in one:
        values = np.frombuffer(one[9], kind)
    elif 4 in one:
        values = np.concatenate([np.frombuffer(v, np.float32) for n, v in fields if n == 4])
    else:
        values = np.array(_integers([v for n, v in fields if n in (5, 7)]), kind)
    name = bytes(one.get(8, b"")).decode()
    return name, torch.from_numpy(values.astype(kind).reshape(shape).copy())


def _attribute(data: memoryview) -> tuple[str, Any]:
    fields = list(_fields(data))
    one = dict(fields)
    kind = one.get(20)
    if kind == 1:
        value: Any = struct.unpack("<f", one[2])[0]
    elif kind == 4:
        value = _tensor(one[5])[1]
    elif kind == 7:
        value = _integers([v for n, v in fields if n == 8])
    else:
        value = one.get(3, 0)
    return bytes(one[1]).decode(), value


class OnnxModule(nn.Module):
    """One input, one output."""

    def __init__(self, path: Path):
        super().__init__()
        graph = next(v for n, v in _fields(memoryview(path.read_bytes())) if n == 7)
        self.nodes: list[tuple[Callable, list[str], list[str], dict]] = []
        self.fixed: dict[str, torch.Tensor] = {}
        for number, value in _fields(graph):
            if number == 5:
                name, tensor = _tensor(value)
                self.fixed[name] = tensor
            elif number == 1:
                self._node(value)
        named = {n: [v for m, v in _fields(graph) if m == n] for n in (11, 12)}
        inputs = [bytes(dict(_fields(v))[1]).decode() for v in named[11]]
        self.input = next(name for name in inputs if name not in self.fixed)
        self.output = bytes(dict(_fields(named[12][0]))[1]).decode()
        for place, name in enumerate(list(self.fixed)):
            if self.fixed[name].is_floating_point():
                self.register_buffer(f"w{place}", self.fixed.pop(name))
                self.nodes.insert(0, (lambda key=f"w{place}": getattr(self, key), [], [name], {}))

    def _node(self, data: memoryview) -> None:
        fields = list(_fields(data))
        inputs, outputs = ([bytes(v).decode() for n, v in fields if n == number] for number in (1, 2))
        kind = next(bytes(v).decode() for n, v in fields if n == 4)
        settings = dict(_attribute(v) for n, v in fields if n == 5)
        if kind == "Constant":
            self.fixed[outputs[0]] = settings["value"]
        else:
            self.nodes.append((OPERATORS[kind], inputs, outputs, settings))

    def convolutions(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Weights and biases, in the order of the file."""
        fixed = self.fixed | {outputs[0]: run() for run, inputs, outputs, _ in self.nodes if not inputs}
        return [(fixed[names[1]], fixed[names[2]]) for run, names, _, _ in self.nodes if run is _conv]

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = {**self.fixed, self.input: x, "": None}
        for run, inputs, outputs, settings in self.nodes:
            got = run(*(values[name] for name in inputs), **settings)
            values.update(zip(outputs, got if isinstance(got, tuple) else (got,), strict=False))
        return values[self.output]


def _pair(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both on the picture's device."""
    device = a.device if a.device.type != "cpu" else b.device
    return a.to(device), b.to(device)


def _conv(x, w, b=None, *, kernel_shape=None, pads=(0, 0, 0, 0), group=1, dilations=(1, 1), strides=(1, 1)):
    top, left, bottom, right = pads
    return F.conv2d(F.pad(x, (left, right, top, bottom)), w, b, tuple(strides), 0, tuple(dilations), group)


def _clip(x, low=None, high=None):
    return x.clamp(None if low is None else float(low), None if high is None else float(high))


def _reshape(x, shape, allowzero=0):
    sizes = [x.shape[n] if size == 0 and not allowzero else size for n, size in enumerate(shape.tolist())]
    return x.reshape(sizes)


def _slice(x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes.tolist()
    steps = [1] * len(starts) if steps is None else steps.tolist()
    for start, end, axis, step in zip(starts.tolist(), ends.tolist(), axes, steps, strict=True):
        where = range(*slice(start, end, step).indices(x.shape[axis]))
        x = x.index_select(axis, torch.tensor(list(where), dtype=torch.long, device=x.device))
    return x


def _unsqueeze(x, axes):
    for axis in sorted(axes.tolist()):
        x = x.unsqueeze(axis)
    return x


def _squeeze(x, axes=None):
    return x.squeeze() if axes is None else x.squeeze(tuple(axes.tolist()))


def _gather(x, index, axis=0):
    axis %= x.ndim
    rows = x.index_select(axis, (index.reshape(-1) % x.shape[axis]).to(x.device))
    return rows.reshape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _gemm(a, b, c=None, *, alpha=1.0, beta=1.0, transA=0, transB=0):
    product = alpha * ((a.T if transA else a) @ (b.T if transB else b))
    return product if c is None else product + beta * c


def _constant_of_shape(shape, value=None):
    fill = torch.zeros(1) if value is None else value
    return torch.full(tuple(shape.tolist()), fill.item(), dtype=fill.dtype)


def _divide(a, b):
    a, b = _pair(a, b)
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _cast(x, to):
    return x.to(torch.from_numpy(np.zeros(1, _KINDS[to])).dtype)


def _expand(x, shape):
    return x.expand(torch.broadcast_shapes(x.shape, tuple(shape.tolist())))


OPERATORS: dict[str, Callable] = {
    "Add": lambda a, b: torch.add(*_pair(a, b)),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "Cos": torch.cos,
    "CumSum": lambda x, axis: torch.cumsum(x, int(axis)),
    "Div": _divide,
    "Erf": torch.erf,
    "Expand": _expand,
    "Flatten": lambda x, axis=1: x.flatten(axis),
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "LayerNormalization": lambda x, w, b, axis=-1, epsilon=1e-5: F.layer_norm(x, x.shape[axis:], w, b, epsilon),
    "MatMul": lambda a, b: torch.matmul(*_pair(a, b)),
    "Mul": lambda a, b: torch.mul(*_pair(a, b)),
    "Not": torch.logical_not,
    "ReduceL2": lambda x, axes, keepdims=1: x.norm(dim=tuple(axes), keepdim=bool(keepdims)),
    "Relu": F.relu,
    "Reshape": _reshape,
    "Shape": lambda x: torch.tensor(x.shape),
    "Sin": torch.sin,
    "Slice": _slice,
    "Softmax": lambda x, axis=-1: F.softmax(x, axis),
    "Split": lambda x, sizes, axis=0: torch.split(x, sizes.tolist(), axis),
    "Squeeze": _squeeze,
    "Transpose": lambda x, perm: x.permute(perm),
    "Unsqueeze": _unsqueeze,
}
