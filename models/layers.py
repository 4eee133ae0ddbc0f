"""Torch layers that the panel's int8 runtime can carry out exactly.

A net of `Conv`, `Residual`, `Chain` and `Linear` is trained in float with batch normalisation, then folded,
equalised, calibrated and fine-tuned with power-of-two fake quantisation. Every module offers

    link(source: ActQuant) -> ActQuant   say whose scale the input has; once, in the net's constructor
    emit(builder, name) -> name          add its operators to a graph

Quantised float32 inference equals the TFLite reference kernels: all values lie on power-of-two grids, so
accumulators below 2**24 grid steps are exact, and `requantise` repeats TFLite's double rounding.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from models.graph import LANE_MAX, MIN_SHIFT

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_KEEP = 8192  # activation values kept per observed batch and layer
_WEIGHT_EXPONENTS = range(0, 15)
_ACT_EXPONENTS = range(-4, 12)


def pad_same(x: torch.Tensor, stride: int) -> tuple[torch.Tensor, int]:
    """TensorFlow's SAME padding of a 3x3 window: the input, and what the convolution pads itself (faster).

    At stride 2 an even size is padded at the far edge only.
    """
    top, left = (stride == 1 or x.shape[2] % 2), (stride == 1 or x.shape[3] % 2)
    return (x, 1) if top and left else (F.pad(x, (int(left), 1, int(top), 1)), 0)


def requantise(y: torch.Tensor, tick: float | None, exponent: int) -> torch.Tensor:
    """Accumulators `y` (multiples of `tick`) as integers at scale 2**-exponent, rounded twice as in TFLite.

    Without a tick, `y` is on the output's grid already (an add of equal scales).
    """
    if tick is None:
        return (y * 2.0**exponent).round()
    halves = torch.floor((y / tick + 1) / 2)
    steps = halves * (2 * tick * 2.0**exponent)
    return torch.sign(steps) * torch.floor(steps.abs() + 0.5)


class _Snap(torch.autograd.Function):
    """To the grid in few passes over memory, for training: only ties differ from `requantise`.

    Gradients pass inside the limits.
    """

    @staticmethod
    def forward(ctx, y: torch.Tensor, scale: float, low: int, high: int) -> torch.Tensor:
        steps = torch.mul(y, 1 / scale).round_()
        ctx.save_for_backward((steps >= low) & (steps <= high))
        return steps.clamp_(low, high).mul_(scale)

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        (inside,) = ctx.saved_tensors
        return grad * inside, None, None, None


class ActQuant(nn.Module):
    """The quantisation of one activation tensor: scale 2**-exponent; unsigned (after ReLU) or signed.

    mode is "float" (identity), "observe" (identity, keeps samples for `calibrate`) or "quant".
    """

    def __init__(self, signed: bool = False, exponent: int = 8):
        super().__init__()
        self.signed = signed
        self.register_buffer("exponent", torch.tensor(exponent))
        self.mode = "float"
        self.samples: list[torch.Tensor] = []

    @property
    def scale(self) -> float:
        return 2.0 ** -int(self.exponent)

    @property
    def zero_point(self) -> int:
        return 0 if self.signed else -128

    @property
    def limits(self) -> tuple[int, int]:
        return (-128, 127) if self.signed else (0, 255)

    def forward(self, y: torch.Tensor, tick: float | None) -> torch.Tensor:
        if self.mode == "observe":
            values = y.detach().float().flatten()
            self.samples.append(values[torch.randint(values.numel(), (_KEEP,), device=values.device)])
        if self.mode != "quant":
            return y
        low, high = self.limits
        if y.requires_grad:
            return _Snap.apply(y, self.scale, low, high)
        return requantise(y, tick, int(self.exponent)).clamp(low, high) * self.scale

    def choose(self) -> None:
        """Set the exponent with the least squared error on the observed samples, then forget them."""
        if not self.samples:
            return
        values, self.samples = torch.cat(self.samples), []
        low, high = self.limits

        def error(exponent: int) -> float:
            steps = (values * 2.0**exponent).round().clamp(low, high)
            return float((steps * 2.0**-exponent - values).square().sum())

        self.exponent.fill_(min(_ACT_EXPONENTS, key=error))


def image_quant() -> ActQuant:
    """The network input: real = pixel / 256."""
    return ActQuant(exponent=8)


class _Weighted(nn.Module):
    """A layer with weights and bias, per-tensor symmetric int8 weights, and its output's quantisation."""

    kind: str
    weight: nn.Parameter
    bias: nn.Parameter
    relu: bool
    stride = 1

    def _init_quant(self) -> None:
        self.out = ActQuant(signed=not self.relu)
        self.register_buffer("w_exponent", torch.tensor(7))
        self.quant = False
        self._source: tuple[ActQuant, ...] = ()

    def link(self, source: ActQuant) -> ActQuant:
        self._source = (source,)  # a tuple: a plain reference, not a submodule
        return self.out

    @property
    def source(self) -> ActQuant:
        return self._source[0]

    @property
    def tick(self) -> float:
        """The real value of one accumulator step."""
        return self.source.scale * 2.0 ** -int(self.w_exponent)

    @property
    def shift(self) -> int:
        return int(self.source.exponent) + int(self.w_exponent) - int(self.out.exponent)

    def quantised_weight(self) -> torch.Tensor:
        return _steps(self.weight, int(self.w_exponent), 127)

    def quantised_bias(self) -> torch.Tensor:
        return (self.bias / self.tick).round()

    def _parameters_now(self) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.quant:
            return self.weight, self.bias
        scale = 2.0 ** -int(self.w_exponent)
        limit = 127 * scale
        weight = self.weight.clamp(-limit, limit)
        with torch.no_grad():
            weight_error = self.quantised_weight() * scale - weight
            bias_error = self.quantised_bias() * self.tick - self.bias
        return weight + weight_error, self.bias + bias_error

    def choose_weight_exponent(self) -> None:
        def error(exponent: int) -> float:
            return float((_steps(self.weight, exponent, 127) * 2.0**-exponent - self.weight).square().sum())

        with torch.no_grad():
            self.w_exponent.fill_(min(_WEIGHT_EXPONENTS, key=error))

    def lane_bound(self) -> int:
        """The largest magnitude a vector lane can reach, zero point and rounding folded into the bias."""
        with torch.no_grad():
            weight = self.quantised_weight().flatten(1)
            folded = self.quantised_bias() - self.source.zero_point * weight.sum(1) + 2 ** (self.shift - 1) + 1
            if self.relu:
                folded = folded - (128 << self.shift)
            return int((weight.abs().sum(1) * 128 + folded.abs()).max())

    def emit(self, builder: GraphBuilder, name: str) -> str:
        if self.shift < MIN_SHIFT:
            raise ValueError(f"{self.kind} layer shifts by {self.shift}, less than {MIN_SHIFT}; calibrate again")
        bias = self.quantised_bias().detach().cpu().numpy().astype(np.int32)
        weights = self.graph_weights(self.quantised_weight().detach().cpu().numpy().astype(np.int8))
        return builder.add(
            self.kind,
            [name],
            self.out,
            self.out_channels,
            weights=np.ascontiguousarray(weights),
            bias=bias,
            stride=self.stride,
            relu=self.relu,
            w_scale=2.0 ** -int(self.w_exponent),
        )


def _steps(weight: torch.Tensor, exponent: int, limit: int) -> torch.Tensor:
    return (weight * 2.0**exponent).round().clamp(-limit, limit)


class Conv(_Weighted):
    """Convolution, batch normalisation and (by default) ReLU. kind: conv3x3, conv1x1 or dw3x3."""

    def __init__(self, kind: str, cin: int, cout: int, stride: int = 1, relu: bool = True):
        super().__init__()
        self.kind, self.stride, self.relu, self.out_channels = kind, stride, relu, cout
        self.groups = cin if kind == "dw3x3" else 1
        side = 1 if kind == "conv1x1" else 3
        self.weight = nn.Parameter(torch.empty(cout, cin // self.groups, side, side))
        nn.init.kaiming_normal_(self.weight, mode="fan_in")
        self.bias = nn.Parameter(torch.zeros(cout), requires_grad=False)
        self.bn: nn.BatchNorm2d | None = nn.BatchNorm2d(cout)
        self._init_quant()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self._parameters_now()
        y = self._convolve(x, weight, None if self.bn is not None else bias)
        if self.bn is not None:
            y = self.bn(y)
        return self.out(F.relu(y) if self.relu else y, self.tick)

    def _convolve(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        if self.kind == "conv1x1":
            return F.conv2d(x, weight, bias)
        if self.training and self.kind == "dw3x3" and self.stride == 2 and not (x.shape[2] % 2 or x.shape[3] % 2):
            whole = F.conv2d(x, weight, bias, 1, 1, 1, self.groups)  # the same sums; the CPU's strided gradient is slow
            return whole[:, :, 1::2, 1::2].contiguous(memory_format=torch.channels_last)
        x, padding = pad_same(x, self.stride)
        return F.conv2d(x, weight, bias, self.stride, padding, 1, self.groups)

    def fold(self) -> None:
        """Fold the batch normalisation into weight and bias, which then train directly."""
        if self.bn is None:
            return
        bn, self.bn = self.bn, None
        with torch.no_grad():
            gain = bn.weight / torch.sqrt(bn.running_var + bn.eps)
            self.weight.mul_(gain[:, None, None, None])
            self.bias.copy_(bn.bias - bn.running_mean * gain)
        self.bias.requires_grad_(True)

    def graph_weights(self, steps: np.ndarray) -> np.ndarray:
        if self.kind == "conv1x1":
            return steps[:, :, 0, 0].T
        if self.kind == "dw3x3":
            return steps[:, 0].transpose(1, 2, 0)
        return steps.transpose(2, 3, 1, 0)

    @torch.no_grad()
    def load(self, weights: np.ndarray, bias: np.ndarray) -> None:
        """Real values in the order of `graph_weights`, into a folded layer."""
        if self.kind == "conv1x1":
            weights = weights.T[:, :, None, None]
        elif self.kind == "dw3x3":
            weights = weights.transpose(2, 0, 1)[:, None]
        else:
            weights = weights.transpose(3, 2, 0, 1)
        self.weight.copy_(torch.from_numpy(np.ascontiguousarray(weights)))
        self.bias.copy_(torch.from_numpy(bias))


class Linear(_Weighted):
    """Fully connected over the whole map (flattened height, width, channel), linear output."""

    kind = "fc"
    relu = False

    def __init__(self, channels: int, height: int, width: int, cout: int):
        super().__init__()
        self.shape, self.out_channels = (channels, height, width), cout
        self.weight = nn.Parameter(torch.empty(cout, channels * height * width))
        nn.init.normal_(self.weight, std=(channels * height * width) ** -0.5)
        self.bias = nn.Parameter(torch.zeros(cout))
        self._init_quant()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self._parameters_now()
        return self.out(F.linear(x.permute(0, 2, 3, 1).flatten(1), weight, bias), self.tick)

    def graph_weights(self, steps: np.ndarray) -> np.ndarray:
        return steps.T

    @torch.no_grad()
    def load(self, weights: np.ndarray, bias: np.ndarray) -> None:
        """As `Conv.load`."""
        self.weight.copy_(torch.from_numpy(np.ascontiguousarray(weights.T)))
        self.bias.copy_(torch.from_numpy(bias))


class Chain(nn.Sequential):
    """Layers one after the other."""

    def link(self, source: ActQuant) -> ActQuant:
        for layer in self:
            source = layer.link(source)
        return source

    def emit(self, builder: GraphBuilder, name: str) -> str:
        for layer in self:
            name = layer.emit(builder, name)
        return name


class Residual(nn.Module):
    """x + body(x): input, branch and sum share one scale, and all three are ReLU outputs or all three linear."""

    def __init__(self, *layers: Conv):
        super().__init__()
        self.body = Chain(*layers)

    def link(self, source: ActQuant) -> ActQuant:
        self.body[-1].out = source
        return self.body.link(source)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shared = self.body[-1].out
        return shared(x + self.body(x), None)

    def emit(self, builder: GraphBuilder, name: str) -> str:
        branch = self.body.emit(builder, name)
        return builder.add("add", [name, branch], self.body[-1].out, builder.channels(name))


def weighted(net: nn.Module) -> Iterator[_Weighted]:
    return (m for m in net.modules() if isinstance(m, _Weighted))


def fold(net: nn.Module) -> None:
    for module in weighted(net):
        if isinstance(module, Conv):
            module.fold()


def load_tflite(net: nn.Module, file: Path) -> None:
    """Folds the net and gives it the weights of an int8 .tflite of the same net, in float."""
    from models.simulate import read_tflite

    fold(net)
    graph = read_tflite(file)
    for layer, op in zip(weighted(net), (op for op in graph.ops if op.weights is not None), strict=True):
        layer.load(op.weights * op.w_scale, op.bias * (op.w_scale * graph.tensors[op.inputs[0]].scale))


def keep_memory() -> None:
    """Let glibc keep what is freed: a step's large tensors otherwise get new pages each time, a third of its time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


@torch.no_grad()
def equalise(net: nn.Module, rounds: int = 4) -> None:
    """Give the channels between two convolutions like weight ranges; a folded net's function stays the same.

    ReLU(a x) = a ReLU(x) lets a channel's gain move into the next layer (Nagel et al., Data-Free
    Quantization, 2019, section 4.1); per-tensor scales of depthwise weights need it.
    """
    for _ in range(rounds):
        for chain in net.modules():
            layers = list(chain) if isinstance(chain, Chain) else []
            for first, second in itertools.pairwise(layers):
                if isinstance(first, Conv) and isinstance(second, Conv) and first.relu:
                    _equalise_pair(first, second)


def _equalise_pair(first: Conv, second: Conv) -> None:
    after = second.weight if second.kind == "dw3x3" else second.weight.transpose(0, 1)  # a view: input channel first
    gain = (after.abs().amax((1, 2, 3)) / first.weight.abs().amax((1, 2, 3)).clamp_min(1e-6)).clamp(1e-4, 1e4).sqrt()
    gain = gain.clamp(1 / 8, 8)[:, None, None, None]
    first.weight.mul_(gain)
    first.bias.mul_(gain.flatten())
    after.div_(gain)


def set_mode(net: nn.Module, mode: str) -> None:
    """Switch the whole net to "float", "observe" or "quant"."""
    for module in net.modules():
        if isinstance(module, ActQuant):
            module.mode = mode
        if isinstance(module, _Weighted):
            module.quant = mode == "quant"


@torch.no_grad()
def calibrate(net: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Choose all exponents of a folded net by least squared error; leaves it in quantised mode."""
    net.eval()
    for layer in weighted(net):
        layer.choose_weight_exponent()
    set_mode(net, "observe")
    for batch in batches:
        net(batch)
    for module in net.modules():
        if isinstance(module, ActQuant):
            module.choose()
    for layer in weighted(net):  # a large bias or narrow output may leave too small a shift
        while layer.shift < MIN_SHIFT and int(layer.w_exponent) < max(_WEIGHT_EXPONENTS):
            layer.w_exponent.add_(1)
    fit_lanes(net)
    set_mode(net, "quant")


def fit_lanes(net: nn.Module) -> list[str]:
    """Coarsen the weights of convolutions whose sums could leave a 20-bit vector lane; returns which."""
    coarsened = []
    for place, layer in enumerate(weighted(net)):
        while isinstance(layer, Conv) and layer.lane_bound() > LANE_MAX and layer.shift > MIN_SHIFT:
            layer.w_exponent.sub_(1)
            coarsened.append(f"{place:02d}_{layer.kind}")
    return coarsened


class GraphBuilder:
    """Collects emitted operators into a `models.graph.Graph`."""

    def __init__(self, name: str, height: int, width: int, channels: int = 1):
        from models.graph import Tensor

        quant = image_quant()
        self.name, self.input = name, "input"
        self.tensors = {"input": Tensor("input", (height, width, channels), quant.scale, quant.zero_point)}
        self.ops: list = []

    def channels(self, name: str) -> int:
        return self.tensors[name].shape[2]

    def add(
        self,
        kind: str,
        inputs: list[str],
        out: ActQuant,
        channels: int,
        *,
        weights: np.ndarray | None = None,
        bias: np.ndarray | None = None,
        stride: int = 1,
        relu: bool = False,
        w_scale: float | None = None,
    ) -> str:
        from models.graph import Op, Tensor

        height, width, _ = self.tensors[inputs[0]].shape
        shape = (1, 1, channels) if kind == "fc" else (-(-height // stride), -(-width // stride), channels)
        name = f"{len(self.ops):02d}_{kind}"
        self.tensors[name] = Tensor(name, shape, out.scale, out.zero_point)
        self.ops.append(Op(kind, inputs, name, weights, bias, stride, relu, w_scale))
        return name

    def finish(self, outputs: list[str], meta: dict):
        from models.graph import Graph

        return Graph(self.name, self.input, outputs, self.tensors, self.ops, meta)
