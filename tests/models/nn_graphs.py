"""Random small networks for the exactness tests: every operator, odd sizes, strides, residuals, saturation,
exact ties.
"""

from __future__ import annotations

import numpy as np

from models.graph import Graph, Op, Tensor, exponent, same_size


class GraphMaker:
    def __init__(self, seed: int, height: int, width: int, channels: int = 1):
        self.rng = np.random.default_rng(seed)
        self.tensors = {"input": Tensor("input", (height, width, channels), 2.0**-8, -128)}
        self.ops: list[Op] = []

    def layer(
        self,
        kind: str,
        source: str,
        cout: int = 16,
        *,
        shift: int = 8,
        stride: int = 1,
        linear: bool = False,
        like: str | None = None,
        gain: float = 1.0,
        scaled: bool = False,
    ) -> str:
        """Weights drawn so that outputs spread over the int8 range at gain 1; `like` names a tensor whose
        scale to share; `scaled`: a weight scale for each channel (for a fully connected layer, one that is no
        power of two).
        """
        height, width, channels = self.tensors[source].shape
        cout = channels if kind == "dw3x3" else cout
        shape = (1, 1, cout) if kind == "fc" else (same_size(height, stride), same_size(width, stride), cout)
        weight_shape = {
            "conv3x3": (3, 3, 1, cout),
            "conv1x1": (channels, cout),
            "dw3x3": (3, 3, channels),
            "fc": (height * width * channels, cout),
        }[kind]
        taps = 9 if kind in ("conv3x3", "dw3x3") else weight_shape[0]
        largest = int(np.clip(gain * 2**shift / np.sqrt(taps), 1, 127))
        weights = self.rng.integers(-largest, largest + 1, weight_shape).astype(np.int8)
        bias = self.rng.integers(-(40 << shift), (40 << shift) + 1, cout).astype(np.int32)
        out_exponent = exponent(self.tensors[like].scale) if like else 4
        w_scale: float | np.ndarray = 2.0 ** -(shift + out_exponent - exponent(self.tensors[source].scale))
        if scaled:
            factors = self.rng.uniform(0.51, 1.9, 1 if kind == "fc" else cout)
            factors[: len(factors) // 8] = 1  # powers of two among them
            w_scale = np.broadcast_to((w_scale * factors).astype(np.float32), (cout,)).copy()
        return self._emit(
            Op(kind, [source], "", weights, bias, stride, not linear, w_scale),
            shape,
            2.0**-out_exponent,
            0 if linear else -128,
        )

    def add(self, first: str, second: str) -> str:
        source = self.tensors[first]
        return self._emit(Op("add", [first, second], ""), source.shape, source.scale, source.zero_point)

    def avgpool(self, source: str) -> str:
        tensor = self.tensors[source]
        return self._emit(Op("avgpool", [source], ""), (1, 1, tensor.shape[2]), tensor.scale, tensor.zero_point)

    def finish(self, *outputs: str) -> Graph:
        graph = Graph("random", "input", list(outputs), self.tensors, self.ops, {"threshold": 1})
        graph.validate()
        return graph

    def _emit(self, op: Op, shape: tuple[int, int, int], scale: float, zero_point: int) -> str:
        op.output = f"{len(self.ops):02d}_{op.kind}"
        self.tensors[op.output] = Tensor(op.output, shape, scale, zero_point)
        self.ops.append(op)
        return op.output


def mixed(seed: int) -> Graph:
    """Everything once or more: both strides, ReLU and linear results of each operator, an output that is
    read again.
    """
    make = GraphMaker(seed, *[(13, 12), (12, 13), (16, 9), (7, 7)][seed % 4])
    shifts = make.rng.permutation([2, 3, 5, 7, 9, 11])
    x = make.layer("conv3x3", "input", 32, stride=1 + seed % 2, shift=int(shifts[0]))
    x = make.layer("dw3x3", x, stride=2 - seed % 2, shift=int(shifts[1]))
    body = make.layer("conv1x1", x, 48, shift=int(shifts[2]))
    body = make.layer("dw3x3", body, shift=int(shifts[3]))
    body = make.layer("conv1x1", body, 32, shift=int(shifts[4]), like=x)
    x = make.add(x, body)
    head = make.layer("conv1x1", x, 16, linear=True, shift=int(shifts[5]))
    x = make.layer("dw3x3", x, stride=2, shift=int(shifts[0]), linear=True)
    other = make.layer("conv1x1", x, 32, shift=int(shifts[1]), linear=True, like=x)
    x = make.add(other, x)
    x = make.layer("dw3x3", x, stride=1, shift=int(shifts[2]), linear=seed % 3 == 0)
    flat = make.layer("fc", x, 48, shift=int(shifts[3]), linear=True)
    return make.finish(make.avgpool(x), head, flat)


def narrow(seed: int) -> Graph:
    """Channel counts that are no multiples of 16; heads of one, three and 17."""
    make = GraphMaker(seed, *[(13, 12), (9, 11)][seed % 2])
    x = make.layer("conv3x3", "input", 5 + 12 * seed, stride=1 + seed % 2, shift=4)
    x = make.layer("dw3x3", x, stride=2 - seed % 2, shift=6)
    body = make.layer("conv1x1", x, 33, shift=7)
    body = make.layer("dw3x3", body, shift=5)
    body = make.layer("conv1x1", body, 5 + 12 * seed, shift=8, like=x)
    x = make.add(x, body)
    score = make.layer("conv1x1", x, 1, linear=True, shift=6)
    boxes = make.layer("dw3x3", make.layer("conv1x1", x, 3, shift=5), linear=True, shift=6)
    flat = make.layer("fc", x, 17, linear=True, shift=9)
    return make.finish(score, boxes, make.avgpool(x), flat)


def patched(seed: int) -> Graph:
    """The picture in 4x4 patches, read without a border or with one."""
    make = GraphMaker(40 + seed, *[(5, 8), (4, 7)][seed % 2], channels=16)
    x = make.layer("conv1x1", "input", 32, shift=9) if seed % 2 else make.layer("dw3x3", "input", shift=6)
    x = make.layer("conv1x1", make.layer("dw3x3", x, stride=2, shift=7), 32, shift=8)
    return make.finish(make.layer("conv1x1", x, 16, linear=True, shift=8))


def scaled(seed: int) -> Graph:
    """A multiplier for each channel in every operator that has weights, both strides, ReLU and linear, narrow and wide
    shifts, biases beyond 20 bits.
    """
    make = GraphMaker(20 + seed, *[(13, 12), (12, 13)][seed % 2])
    x = make.layer("conv3x3", "input", 32 - 5 * seed, stride=1 + seed % 2, shift=4, scaled=True)
    x = make.layer("dw3x3", x, stride=2 - seed % 2, shift=13, scaled=True)
    body = make.layer("conv1x1", x, 40, shift=7, scaled=True)
    body = make.layer("dw3x3", body, shift=3, linear=True, scaled=True)
    body = make.layer("conv1x1", body, 32 - 5 * seed, shift=14, like=x, scaled=True)
    x = make.add(x, body)
    head = make.layer("conv1x1", x, 19, linear=True, shift=2, gain=3, scaled=True)
    return make.finish(head, make.layer("fc", x, 24, linear=True, shift=9, scaled=True), make.avgpool(x))


def scaled_ties() -> Graph:
    """Multipliers of exactly 2**-n given channel by channel, and tiny weights: halves of both signs all the time."""
    make = GraphMaker(31, 10, 10)
    x = make.layer("conv3x3", "input", 16, shift=3, linear=True)
    x = make.layer("dw3x3", x, shift=3, linear=True)
    x = make.layer("conv1x1", x, 32, shift=3, linear=True, gain=0.5)
    for op in make.ops:
        powers = 2.0 ** np.random.default_rng(7).integers(-1, 2, op.bias.size)
        op.w_scale = (op.w_scale * powers).astype(np.float32)
    return make.finish(x)


def scaled_extremes() -> Graph:
    """Everything at its limits: sums of 2**26, both kinds of saturation, multipliers from just below a half down."""
    make = GraphMaker(32, 9, 9)
    x = make.layer("conv3x3", "input", 17, shift=4, gain=99, scaled=True)
    x = make.layer("dw3x3", x, shift=10, gain=99, linear=True, scaled=True)
    x = make.layer("conv1x1", x, 48, shift=12, gain=99, scaled=True)
    z = make.layer("conv1x1", x, 24, shift=20, gain=99, linear=True, scaled=True)
    for op in make.ops:
        op.weights[..., ::3] = 127
        op.weights[..., 1::3] = -127
        op.bias[::5] = 2**26
        op.bias[1::5] = -(2**26)
    make.ops[0].w_scale[:4] = np.float32(0.4999999 * 2.0**4)  # s_in / s_out is 2**-4
    return make.finish(z, make.layer("fc", x, 16, shift=13, linear=True, gain=99, scaled=True))


def ties() -> Graph:
    """Shifts of 2 with tiny weights: linear results land on exact halves of both signs all the time."""
    make = GraphMaker(5, 10, 10)
    x = make.layer("conv3x3", "input", 16, shift=2, linear=True)
    x = make.layer("dw3x3", x, shift=2, linear=True)
    x = make.layer("conv1x1", x, 32, shift=3, linear=True, gain=0.5)
    return make.finish(x, make.layer("fc", x, 16, shift=7, linear=True))


def saturating() -> Graph:
    """Extreme weights: results pile up at both ends, accumulators far beyond 20 bits."""
    make = GraphMaker(6, 16, 16)
    x = make.layer("conv3x3", "input", 64, shift=4, gain=99)
    x = make.layer("dw3x3", x, shift=4, gain=99)
    y = make.layer("conv1x1", x, 64, shift=8, gain=99, like=x)
    x = make.add(x, y)
    z = make.layer("conv1x1", x, 16, shift=6, gain=99, linear=True)
    x = make.layer("dw3x3", x, stride=2, shift=19)
    x = make.layer("conv1x1", x, 48, shift=2, gain=99)
    for op in make.ops[2::3]:
        if op.weights is not None:
            op.weights[..., ::3] = 127
            op.weights[..., 1::3] = -127
    return make.finish(z, make.layer("fc", x, 16, shift=13, linear=True, gain=99))


def images(graph: Graph, count: int = 3) -> np.ndarray:
    """uint8 [count, h, w]: noise, then black, white and a chequerboard."""
    height, width = graph.image_shape
    noise = np.random.default_rng(9).integers(0, 256, (max(count - 3, 1), height, width))
    board = (np.indices((height, width)).sum(0) % 2) * 255
    return np.stack([*noise, board, np.zeros((height, width)), np.full((height, width), 255)])[:count].astype(np.uint8)
