"""Int8 .tflite models on the host, by the kernels whose arithmetic the panel repeats."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from host_tools.vision.image import patches
from models.graph import fixed_point

try:
    from tflite_runtime import interpreter as _tflite

    _DENSE_AS_PANEL = True
except ImportError:
    from ai_edge_litert import interpreter as _tflite

    # LiteRT 2 rounds its reference fully connected kernel once, not twice as tflite-runtime, TFLite's specification
    # and the panel do; that operator is computed here instead.
    _DENSE_AS_PANEL = False


class Int8Model:
    """An int8 .tflite model under a named set of kernels.

    resolver: "BUILTIN_REF" (reference kernels: double rounding, what the panel equals bit for bit) or
    "BUILTIN" (optimised kernels with XNNPACK, which rounds once and differs by 1 in places; for speed
    comparisons only).
    """

    def __init__(self, model: str | Path | bytes, resolver: str = "BUILTIN_REF", keep_layers: bool = False):
        content = model if isinstance(model, bytes) else Path(model).read_bytes()
        self.resolver = resolver
        self._interpreter = _tflite.Interpreter(
            model_content=content,
            experimental_op_resolver_type=_tflite.OpResolverType[resolver],
            num_threads=1,
            experimental_preserve_all_tensors=keep_layers,
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()
        self.input_shape: tuple[int, ...] = tuple(int(n) for n in self._input["shape"])
        exact = _DENSE_AS_PANEL or resolver != "BUILTIN_REF"
        ops = [] if exact else self._interpreter._get_ops_details()
        self._dense = {int(op["outputs"][0]): op["inputs"] for op in ops if op["op_name"] == "FULLY_CONNECTED"}

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Outputs in the graph's order. `pixels`: a picture of the graph's `image_shape`, uint8 (encoded here) or
        int8 (pixel - 128).
        """
        if pixels.dtype == np.uint8:
            pixels = encode(pixels)
        if self.input_shape[-1] > 1:
            pixels = patches(pixels)
        self._interpreter.set_tensor(self._input["index"], pixels.reshape(self.input_shape))
        self._interpreter.invoke()
        return [self._result(detail["index"]) for detail in self._outputs]

    def _result(self, index: int) -> np.ndarray:
        found: np.ndarray = self._interpreter.get_tensor(index)
        return self._connected(index).reshape(found.shape) if index in self._dense else found

    def _connected(self, index: int) -> np.ndarray:
        """A fully connected operator from its input, by the arithmetic of this module's `rescale`."""
        details = {detail["index"]: detail for detail in self._interpreter.get_tensor_details()}
        data, weights, bias = (int(operand) for operand in self._dense[index])
        (in_scale, in_zero), (out_scale, out_zero) = (details[i]["quantization"] for i in (data, index))
        x = self._interpreter.get_tensor(data).reshape(-1).astype(np.int64) - in_zero
        sums = self._interpreter.get_tensor(weights).astype(np.int64) @ x + self._interpreter.get_tensor(bias)
        scale = in_scale * details[weights]["quantization"][0] / out_scale
        steps = rescale(sums, *fixed_point(scale))
        return np.clip(steps + out_zero, -128, 127).astype(np.int8)

    def layers(self) -> list[tuple[str, np.ndarray | None]]:
        """(operator, its result) of the last run, in order; needs `keep_layers`. None for what an ADD adds up:
        TFLite lets it overwrite one of the two.
        """
        ops = self._interpreter._get_ops_details()
        overwritten = {index for op in ops if op["op_name"] == "ADD" for index in op["inputs"]}
        return [
            (op["op_name"], None if index in overwritten else self._result(int(index)))
            for op in ops
            for index in op["outputs"][:1]
        ]


def encode(pixels: np.ndarray) -> np.ndarray:
    """8-bit grey as the network's int8 input: q = pixel - 128."""
    return (pixels.astype(np.int16) - 128).astype(np.int8)


def requantise(sums: np.ndarray, shift: int) -> np.ndarray:
    """TFLite's double rounding of sums * 2**-shift: halved, then to nearest, ties up, then away from zero."""
    halves = np.floor((sums + 1) * np.float32(0.5))
    steps = halves * np.float32(2.0 ** (1 - shift))
    return np.trunc(steps + np.copysign(np.float32(0.5), steps)).astype(np.float32, copy=False)


def rescale(sums: np.ndarray, m: np.ndarray, e: np.ndarray) -> np.ndarray:
    """The same for any factor, m * 2**-31 * 2**-e (`models.graph.fixed_point`), e > 0."""
    high = (sums.astype(np.int64) * m + 2**30) >> 31
    return ((high + (1 << (e - 1)) - (high < 0)) >> e).astype(np.float32)
