"""Writes a graph as an ordinary int8 .tflite file. Needs ai-edge-litert for the schema (`train` extra)."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from models.graph import Graph, Op, Tensor

_FILE_IDENTIFIER = b"TFL3"
_BUILTINS = {
    "conv3x3": ("CONV_2D", 3),
    "conv1x1": ("CONV_2D", 3),
    "dw3x3": ("DEPTHWISE_CONV_2D", 3),
    "fc": ("FULLY_CONNECTED", 4),
    "add": ("ADD", 2),
    "avgpool": ("AVERAGE_POOL_2D", 2),
}


def write_tflite(graph: Graph) -> bytes:
    graph.validate()
    model = _Writer(graph).model()
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


class _Writer:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.buffers = [schema.BufferT()]
        self.tensors: list = []
        self.codes: list[tuple[str, int]] = []
        self.index = {name: self._activation(tensor) for name, tensor in graph.tensors.items()}

    def model(self) -> schema.ModelT:
        sub = schema.SubGraphT()
        sub.name = self.graph.name
        sub.operators = [self._operator(op) for op in self.graph.ops]
        sub.tensors = self.tensors
        sub.inputs = [self.index[self.graph.input]]
        sub.outputs = [self.index[name] for name in self.graph.outputs]
        model = schema.ModelT()
        model.version = 3
        model.description = self.graph.name
        model.operatorCodes = [_operator_code(*code) for code in self.codes]
        model.subgraphs = [sub]
        model.buffers = self.buffers
        return model

    def _activation(self, tensor: Tensor) -> int:
        return self._tensor(
            tensor.name, (1, *tensor.shape), schema.TensorType.INT8, [tensor.scale], [tensor.zero_point]
        )

    def _tensor(
        self,
        name: str,
        shape,
        kind: int,
        scales: list[float],
        zeros: list[int],
        data: np.ndarray | None = None,
        axis: int = 0,
    ) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, [int(n) for n in shape], kind
        quant = schema.QuantizationParametersT()
        quant.scale, quant.zeroPoint, quant.quantizedDimension = scales, zeros, axis
        tensor.quantization = quant
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.buffers.append(buffer)
            tensor.buffer = len(self.buffers) - 1
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _operator(self, op: Op) -> schema.OperatorT:
        code = _BUILTINS[op.kind]
        if code not in self.codes:
            self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.index(code)
        operator.inputs = [self.index[name] for name in op.inputs]
        if op.weights is not None:
            operator.inputs += self._parameters(op)
        operator.outputs = [self.index[op.output]]
        kind, operator.builtinOptions = _options(op, self.graph)
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        return operator

    def _parameters(self, op: Op) -> list[int]:
        weights, axis = _weights(op)
        channels = 1 if op.kind == "fc" else op.bias.size  # convolutions read a scale for each channel
        scales = np.broadcast_to(np.asarray(op.w_scale, np.float32), op.bias.shape)[:channels]
        bias_scales = scales * np.float32(self.graph.tensors[op.inputs[0]].scale)
        return [
            self._tensor(
                op.output + "/weights",
                weights.shape,
                schema.TensorType.INT8,
                scales.tolist(),
                [0] * channels,
                weights,
                axis,
            ),
            self._tensor(
                op.output + "/bias",
                op.bias.shape,
                schema.TensorType.INT32,
                bias_scales.tolist(),
                [0] * channels,
                op.bias.astype("<i4"),
            ),
        ]


def _weights(op: Op) -> tuple[np.ndarray, int]:
    """The weights in TFLite's order, and the axis of the output channel."""
    if op.kind == "dw3x3":
        return op.weights[None], 3
    if op.kind == "conv3x3":
        return op.weights.transpose(3, 0, 1, 2), 0
    return (op.weights.T[:, None, None, :] if op.kind == "conv1x1" else op.weights.T), 0


def _options(op: Op, graph: Graph):
    activation = schema.ActivationFunctionType.RELU if op.relu else schema.ActivationFunctionType.NONE
    if op.kind == "avgpool":
        options = schema.Pool2DOptionsT()
        options.filterHeight, options.filterWidth = graph.tensors[op.inputs[0]].shape[:2]
        options.strideH = options.strideW = 1
        options.padding = schema.Padding.VALID
        return "Pool2DOptions", options
    if op.kind == "add":
        options = schema.AddOptionsT()
        options.fusedActivationFunction = activation
        return "AddOptions", options
    if op.kind == "fc":
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = activation
        options.keepNumDims = False
        return "FullyConnectedOptions", options
    options = schema.DepthwiseConv2DOptionsT() if op.kind == "dw3x3" else schema.Conv2DOptionsT()
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = op.stride
    options.fusedActivationFunction = activation
    if op.kind == "dw3x3":
        options.depthMultiplier = 1
        return "DepthwiseConv2DOptions", options
    return "Conv2DOptions", options


def _operator_code(name: str, version: int) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = code.builtinCode
    code.version = version
    return code
