"""Int8 .tflite models on the host, by the kernels whose arithmetic the panel repeats."""

from __future__ import annotations

from pathlib import Path

import numpy as np

try:
    from tflite_runtime import interpreter as _tflite
except ImportError:
    from ai_edge_litert import interpreter as _tflite


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

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Outputs in the graph's order. `pixels`: uint8 (an image, encoded here) or int8 (as the network
        reads it), height x width.
        """
        if pixels.dtype == np.uint8:
            pixels = encode(pixels)
        self._interpreter.set_tensor(self._input["index"], pixels.reshape(self.input_shape))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(detail["index"]) for detail in self._outputs]

    def layers(self) -> list[tuple[str, np.ndarray | None]]:
        """(operator, its result) of the last run, in order; needs `keep_layers`. None for what an ADD adds up:
        TFLite lets it overwrite one of the two.
        """
        ops = self._interpreter._get_ops_details()
        overwritten = {index for op in ops if op["op_name"] == "ADD" for index in op["inputs"]}
        return [
            (op["op_name"], None if index in overwritten else self._interpreter.get_tensor(index))
            for op in ops
            for index in op["outputs"][:1]
        ]


def encode(pixels: np.ndarray) -> np.ndarray:
    """8-bit grey as the network's int8 input: q = pixel - 128."""
    return (pixels.astype(np.int16) - 128).astype(np.int8)
