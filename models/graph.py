"""A quantised network between training and the panel: what the exporters write and every writer reads.

Maps are height x width x channel, batch 1, int8. Activations' scales are powers of two. So is a weight scale
that is one number: s_in * s_w / s_out = 2**-shift then, and requantisation is a shift. A weight scale may also
be an array, one for each output channel: any multiplier below a half, applied as TFLite does. A zero point is
-128 (after ReLU, and the image: real = pixel / 256; grey, or in 4x4 patches as firmware/nn/pack.py has them) or 0
(linear outputs). Padding is TensorFlow's SAME. Weight shapes:
conv3x3 [3, 3, 1, Cout], conv1x1 [Cin, Cout], dw3x3 [3, 3, C], fc [Nin, Nout] (Nin counts height, width,
channel).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from firmware.nn.pack import PATCH, picture_shape

KINDS = ("conv3x3", "conv1x1", "dw3x3", "fc", "add", "avgpool")
WEIGHTED = ("conv3x3", "conv1x1", "dw3x3", "fc")
MIN_SHIFT, MAX_SHIFT = 2, 24
LANE_MAX = 2**19 - 1  # a 20-bit lane of the ESP32-S3's QACC
ACCUMULATOR_MAX = 2**27  # what the portable kernels leave room for beside their offsets
MAX_FC_INPUTS = 16384


class GraphError(ValueError):
    """A network that the panel's runtime cannot carry out exactly."""


@dataclass
class Tensor:
    name: str
    shape: tuple[int, int, int]
    scale: float
    zero_point: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass
class Op:
    kind: str
    inputs: list[str]
    output: str
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None
    stride: int = 1
    relu: bool = False
    w_scale: float | np.ndarray | None = None


@dataclass
class Graph:
    name: str
    input: str
    outputs: list[str]
    tensors: dict[str, Tensor]
    ops: list[Op]
    meta: dict = field(default_factory=dict)

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the picture that is the input, or whose 4x4 patches are."""
        return picture_shape(*self.tensors[self.input].shape)

    def shift(self, op: Op) -> int:
        """s_in * s_w / s_out = 2**-shift; not for an operator with scales of its own for each channel."""
        assert not isinstance(op.w_scale, np.ndarray)
        source, out = self.tensors[op.inputs[0]], self.tensors[op.output]
        return exponent(source.scale) + exponent(op.w_scale or 1.0) - exponent(out.scale)

    def multipliers(self, op: Op) -> tuple[np.ndarray, np.ndarray]:
        """Of an operator with a weight scale for each channel: s_in * s_w / s_out as `fixed_point` has it."""
        assert isinstance(op.w_scale, np.ndarray)
        source, out = self.tensors[op.inputs[0]], self.tensors[op.output]
        return fixed_point(source.scale * op.w_scale.astype(np.float64) / out.scale)

    def op_macs(self, op: Op) -> int:
        height, width, channels = self.tensors[op.output].shape
        if op.kind in ("conv3x3", "dw3x3"):
            return height * width * channels * 9
        if op.kind == "conv1x1":
            return height * width * channels * self.tensors[op.inputs[0]].shape[2]
        return self.tensors[op.inputs[0]].size * channels if op.kind == "fc" else 0

    @property
    def macs(self) -> int:
        return sum(self.op_macs(op) for op in self.ops)

    @property
    def weight_bytes(self) -> int:
        """Weights and biases as the pack stores them."""
        return sum(
            op.weights.size + 4 * op.bias.size for op in self.ops if op.weights is not None and op.bias is not None
        )

    def expose_all(self) -> Graph:
        """The same network with every operator's result as an output, in order: the way to compare layer by
        layer (TFLite's own preserve-all option still lets an in-place add overwrite its input).
        """
        return replace(self, outputs=[op.output for op in self.ops])

    def accumulators(self) -> list[dict]:
        """Per weighted operator, the largest magnitude its accumulator can pass through.

        `unsigned`: activations as 0..255 minus the zero point, bias included. `lane`: activations as int8
        with the zero point and the rounding constant folded into the bias, which is how a 20-bit vector
        lane sees them; `fits20` judges that one.
        """
        report = []
        for op in self.ops:
            if op.kind not in WEIGHTED:
                continue
            unsigned, lane = self._bounds(op)
            report.append({"op": op.output, "unsigned": unsigned, "lane": lane, "fits20": lane <= LANE_MAX})
        return report

    def _bounds(self, op: Op) -> tuple[int, int]:
        zero = self.tensors[op.inputs[0]].zero_point
        weights = op.weights.astype(np.int64)
        weights = weights.reshape(-1, weights.shape[-1])
        bias = op.bias.astype(np.int64)
        magnitude = np.abs(weights).sum(0)
        unsigned = magnitude * max(-128 - zero, 127 - zero, key=abs) + np.abs(bias)
        if isinstance(op.w_scale, np.ndarray):  # the bias is added behind the lanes
            return int(unsigned.max()), int((magnitude * 128).max())
        folded = bias - zero * weights.sum(0) + 2 ** (self.shift(op) - 1) + 1
        if self.tensors[op.output].zero_point == -128:
            folded -= 128 << self.shift(op)
        return int(unsigned.max()), int((magnitude * 128 + np.abs(folded)).max())

    def validate(self) -> None:
        """Raises GraphError for anything the runtime would have to round, guess or special-case."""
        image = self.tensors[self.input]
        _require(
            image.shape[2] in (1, PATCH * PATCH) and image.scale == 2.0**-8 and image.zero_point == -128,
            f"{image.name}: the input must be a grey image, or one in 4x4 patches, of scale 2**-8 and zero point -128",
        )
        known = {self.input}
        for op in self.ops:
            _require(op.kind in KINDS, f"{op.output}: unknown operator {op.kind}")
            _require(set(op.inputs) <= known, f"{op.output}: an input is used before it is made")
            _require(op.output not in known, f"{op.output}: made twice")
            _check_tensor(self.tensors[op.output])
            _CHECKS[op.kind](self, op)
            known.add(op.output)
        _require(
            bool(self.outputs) and set(self.outputs) <= known - {self.input},
            "an output that no operator makes",
        )
        unused = known - set(self.outputs) - {name for op in self.ops for name in op.inputs}
        _require(not unused, f"computed and never used: {sorted(unused)}")


def exponent(scale: float) -> int:
    """e where scale = 2**-e."""
    mantissa, power = math.frexp(scale)
    _require(mantissa == 0.5, f"scale {scale} is no power of two")
    return 1 - power


def fixed_point(factor: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """(m, e) with factor = m * 2**-31 * 2**-e, 2**30 <= m < 2**31, rounded as TFLite does."""
    fraction, power = np.frexp(factor)
    m = np.floor(fraction * 2**31 + 0.5).astype(np.int64)
    full = m == 2**31
    return np.where(full, m // 2, m), -(power + full)


def same_size(size: int, stride: int) -> int:
    return -(-size // stride)


def same_padding(size: int, stride: int) -> tuple[int, int]:
    """(before, after) for a window of 3, TensorFlow's SAME."""
    total = max((same_size(size, stride) - 1) * stride + 3 - size, 0)
    return total // 2, total - total // 2


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise GraphError(sentence)


def _check_tensor(tensor: Tensor) -> None:
    exponent(tensor.scale)
    _require(tensor.zero_point in (-128, 0), f"{tensor.name}: zero point {tensor.zero_point}")
    _require(len(tensor.shape) == 3 and min(tensor.shape) > 0, f"{tensor.name}: shape {tensor.shape}")


def _check_weighted(graph: Graph, op: Op, weight_shape: tuple[int, ...], out_shape: tuple[int, int, int]) -> None:
    out = graph.tensors[op.output]
    _require(len(op.inputs) == 1, f"{op.output}: one input expected")
    _require(out.shape == out_shape, f"{op.output}: shape {out.shape}, expected {out_shape}")
    _require(
        op.weights is not None and op.weights.shape == weight_shape and op.weights.dtype == np.int8,
        f"{op.output}: int8 weights of shape {weight_shape} expected",
    )
    _require(
        int(op.weights.min()) >= -127,
        f"{op.output}: a weight of -128; TFLite's symmetric range starts at -127",
    )
    _require(
        op.bias is not None and op.bias.shape == (out_shape[2],) and op.bias.dtype == np.int32,
        f"{op.output}: int32 bias of {out_shape[2]} expected",
    )
    _require(op.w_scale is not None, f"{op.output}: no weight scale")
    if isinstance(op.w_scale, np.ndarray):
        _check_scales(graph, op)
    else:
        shift = graph.shift(op)
        _require(MIN_SHIFT <= shift <= MAX_SHIFT, f"{op.output}: shift {shift}, allowed {MIN_SHIFT}..{MAX_SHIFT}")
    _require(not op.relu or out.zero_point == -128, f"{op.output}: ReLU wants zero point -128")
    unsigned, _ = graph._bounds(op)
    _require(unsigned < ACCUMULATOR_MAX, f"{op.output}: accumulators reach {unsigned}")


def _check_scales(graph: Graph, op: Op) -> None:
    scales = op.w_scale
    _require(
        scales.shape == op.bias.shape and scales.dtype == np.float32 and bool((scales > 0).all()),
        f"{op.output}: a positive float32 weight scale for each channel expected",
    )
    _, shifts = graph.multipliers(op)
    _require(
        int(shifts.min()) >= 1 and int(shifts.max()) <= MAX_SHIFT,
        f"{op.output}: multipliers between 2**-{shifts.max() + 1} and 2**-{shifts.min()}, "
        f"allowed 2**-{MAX_SHIFT + 1} to a half",
    )


def _check_window(graph: Graph, op: Op) -> None:
    height, width, channels = graph.tensors[op.inputs[0]].shape
    first = op.kind == "conv3x3"
    _require(op.stride in (1, 2), f"{op.output}: stride {op.stride}")
    _require(not first or channels == 1, f"{op.output}: conv3x3 is for the one-channel input")
    cout = graph.tensors[op.output].shape[2] if first else channels
    _check_weighted(
        graph,
        op,
        (3, 3, 1, cout) if first else (3, 3, channels),
        (same_size(height, op.stride), same_size(width, op.stride), cout),
    )


def _check_conv1x1(graph: Graph, op: Op) -> None:
    height, width, channels = graph.tensors[op.inputs[0]].shape
    cout = graph.tensors[op.output].shape[2]
    _require(op.stride == 1, f"{op.output}: stride {op.stride}")
    _check_weighted(graph, op, (channels, cout), (height, width, cout))


def _check_fc(graph: Graph, op: Op) -> None:
    source = graph.tensors[op.inputs[0]]
    cout = graph.tensors[op.output].shape[2]
    _require(source.size <= MAX_FC_INPUTS, f"{op.output}: {source.size} inputs")
    _check_weighted(graph, op, (source.size, cout), (1, 1, cout))


def _check_unweighted(graph: Graph, op: Op, count: int, out_shape: tuple[int, int, int]) -> None:
    out = graph.tensors[op.output]
    _require(len(op.inputs) == count, f"{op.output}: {count} inputs expected")
    _require(
        op.weights is None and op.bias is None and op.stride == 1,
        f"{op.output}: weights or stride on {op.kind}",
    )
    _require(out.shape == out_shape, f"{op.output}: shape {out.shape}, expected {out_shape}")
    for name in op.inputs:
        source = graph.tensors[name]
        _require(
            (source.scale, source.zero_point) == (out.scale, out.zero_point),
            f"{op.output}: {op.kind} changes the scale",
        )


def _check_add(graph: Graph, op: Op) -> None:
    shape = graph.tensors[op.inputs[0]].shape
    _require(all(graph.tensors[name].shape == shape for name in op.inputs), f"{op.output}: added shapes differ")
    _check_unweighted(graph, op, 2, shape)


def _check_avgpool(graph: Graph, op: Op) -> None:
    _check_unweighted(graph, op, 1, (1, 1, graph.tensors[op.inputs[0]].shape[2]))


_CHECKS = {
    "conv3x3": _check_window,
    "dw3x3": _check_window,
    "conv1x1": _check_conv1x1,
    "fc": _check_fc,
    "add": _check_add,
    "avgpool": _check_avgpool,
}
