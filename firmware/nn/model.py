"""A network on the panel: open a pack, load an image, run, read the outputs.

    model = Model("/models/detector.pack")
    model.load(pixels)        # 8-bit grey, height x width of model.input_shape
    model.run()               # or `for _ in model.steps():` and let others work between operators
    scores = model.outputs[0]

An output is a memoryview of int8, channel fastest; its real value is that times 2**-output_exponents[i].
"""

import os
from array import array

import uctypes

from firmware.base.errors import PackError
from firmware.nn import kernels as kernel_sets
from firmware.nn.pack import ALIGN, HEADER_BYTES, NONE, Pack, arena_bytes, same_padding

_MAX_FILE = 16 * 1024 * 1024
# What `row_steps` moves in an operator's record (Model._compile).
_IN, _IN_PITCH, _OUT, _OUT_PITCH, _ROWS, _SECOND, _SECOND_PITCH, _STRIDE = 0, 1, 2, 3, 4, 12, 13, 14
_PADDING = 19


class Model:
    """All memory is allocated here; `load`, `run` and iterating over `steps` allocate nothing.

    `load` before every run: the arena plan reuses the input's place. Outputs keep their values until the
    next run ends.
    """

    def __init__(self, path: str, kernels=None, arena=None):
        """`arena`: an `aligned_buffer` to share with models that never run at the same time as this one."""
        self._kernels = kernels or kernel_sets.best()
        self._pack = _read(path)
        pack = Pack(self._pack)
        self.meta = pack.meta
        self.model_id = pack.model_id
        self.arena_bytes = pack.arena_bytes
        self.pack_bytes = len(self._pack)
        self._arena = aligned_buffer(pack.arena_bytes) if arena is None else arena
        if len(self._arena) < pack.arena_bytes or uctypes.addressof(self._arena) % ALIGN:
            raise PackError("the network needs an aligned arena of %d bytes" % pack.arena_bytes)
        # The pack's tables are gone after this: what runs are records, and the RAM is needed.
        image = pack.tensors[pack.input]
        self._input_record = _tensor_record(image)
        self._input_border = _border(image)
        self.input_shape = pack.input_shape
        self.op_count = len(pack.ops)
        self._plan = [self._compile(op, pack.tensors) for op in pack.ops]
        outputs = [pack.tensors[i] for i in pack.outputs]
        padding = {op.output: op.padding for op in pack.ops}
        self.output_shapes = [
            (t.height, t.width, t.channels - padding.get(i, 0)) for i, t in zip(pack.outputs, outputs)
        ]
        self.output_exponents = [t.exponent for t in outputs]
        self.outputs = [memoryview(array("b", bytes(h * w * c))) for h, w, c in self.output_shapes]
        self._exports = []
        for out, t, shape in zip(self.outputs, outputs, self.output_shapes):
            self._exports.extend(_exports(out, t.offset, t.pitch, t.height, t.width, t.channels, shape[2]))

    def load(self, pixels) -> None:
        height, width = self.input_shape
        if len(pixels) != height * width:
            raise ValueError("the network's input has %d x %d pixels" % (width, height))
        self._kernels.load(self._arena, pixels, self._input_record)
        if self._input_border is not None:
            self._kernels.fill(self._arena, self._input_border)

    def run(self) -> None:
        arena, pack, fill = self._arena, self._pack, self._kernels.fill
        for kernel, record, border in self._plan:
            kernel(arena, pack, 0, record)
            if border is not None:
                fill(arena, border)
        self._export()

    def steps(self):
        """Runs one operator per step and yields its index; the outputs are there when it is exhausted."""
        for i in range(self.op_count):
            kernel, record, border = self._plan[i]
            kernel(self._arena, self._pack, 0, record)
            if border is not None:
                self._kernels.fill(self._arena, border)
            yield i
        self._export()

    def row_steps(self):
        """As `steps`, but a row a step: for kernels so slow that others must work within an operator."""
        for kernel, record, border in self._plan:
            row = array("i", record)
            row[_ROWS] = 1
            for y in range(record[_ROWS]):
                for start, pitch in ((_IN, record[_IN_PITCH] * record[_STRIDE]), (_OUT, record[_OUT_PITCH])):
                    row[start] = record[start] + y * pitch
                row[_SECOND] = record[_SECOND] + y * record[_SECOND_PITCH]
                kernel(self._arena, self._pack, 0, row)
                yield y
            if border is not None:
                self._kernels.fill(self._arena, border)
        self._export()

    def wipe(self) -> None:
        """Zeroes every activation and output: nothing of the last image stays behind."""
        clear = self._kernels.clear
        clear(self._arena, len(self._arena))
        for out in self.outputs:
            clear(out, len(out))

    def read_op(self, i: int) -> bytearray:
        """What operator `i` made, as int8 without border. Valid between its step and the next; for tests
        and diagnosis.
        """
        record = self._plan[i][1]
        start, pitch, rows, columns, channels = record[2], record[3], record[4], record[5], record[7]
        kept = channels - record[_PADDING]
        out = bytearray(rows * columns * kept)
        for part, export in _exports(memoryview(out), start, pitch, rows, columns, channels, kept):
            self._kernels.store(self._arena, part, export)
        return out

    def _export(self) -> None:
        for out, record in self._exports:
            self._kernels.store(self._arena, out, record)

    def _compile(self, op, tensors: list) -> tuple:
        """(kernel, record, border of the output or None); rewrites the operator's weights for the kernels."""
        source, out = tensors[op.input], tensors[op.output]
        linear = 1 if out.zero_point == 0 else 0
        kind, start, rows, columns, cin = op.kind, source.offset, out.height, out.width, source.channels
        if kind == "fc":
            kind, cin = "conv1x1", source.pixels() * source.channels
        elif kind in ("dw3x3", "conv3x3"):
            above, left = same_padding(source.height, op.stride)[0], same_padding(source.width, op.stride)[0]
            start -= above * source.pitch + left * source.channels
        taps = cin if kind == "conv1x1" else 9
        if op.weights:
            group = out.channels if kind == "dw3x3" else 16
            self._kernels.prepare(
                self._pack, op.weights, op.bias, taps, out.channels, group, source.zero_point + 128, op.shift, linear
            )
        second = tensors[op.second] if op.second != NONE else source
        record = array(
            "i",
            (
                start,
                source.pitch,
                out.offset,
                out.pitch,
                rows,
                columns,
                cin,
                out.channels,
                op.weights,
                op.bias,
                op.shift,
                linear,
                second.offset,
                second.pitch,
                op.stride,
                source.height,
                source.width,
                out.zero_point + 128,
                0 if op.shift or not op.weights else op.bias + 4 * out.channels,
                op.padding,
                taps,
            ),
        )
        scaled = op.weights and not op.shift
        return getattr(self._kernels, "scaled" if scaled else kind), record, _border(out)


def _exports(out, start, pitch, rows, columns, channels, kept) -> list:
    """What `store` must be called with to copy a tensor without border, and without its channels beyond `kept`."""
    if kept == channels:
        return [(out, _record(start, pitch, rows, columns, channels, 0))]
    if pitch == columns * channels:
        return [(out, _record(start, channels, rows * columns, 1, kept, 0))]
    row = columns * kept
    return [
        (out[y * row : y * row + row], _record(start + y * pitch, channels, columns, 1, kept, 0)) for y in range(rows)
    ]


def _tensor_record(t) -> array:
    return _record(t.offset, t.pitch, t.height, t.width, t.channels, t.zero_point + 128)


def _record(start, pitch, rows, columns, channels, zero) -> array:
    """Names a tensor both as input and as output, for `load` and `store`."""
    head = (start, pitch, start, pitch, rows, columns, channels, channels)
    return array("i", head + (0, 0, 0, 0, 0, 0, 1, rows, columns, zero))


def _border(t):
    """The runs that `fill` writes: rows above and below, columns left and right; None without a border."""
    if not (t.above or t.below or t.left or t.right):
        return None
    c = t.channels
    row = (t.left + t.width + t.right) * c
    first = t.offset - t.left * c
    runs = []
    for start, length, repeats in (
        (first - t.above * t.pitch, row, t.above),
        (first + t.height * t.pitch, row, t.below),
        (first, t.left * c, t.height),
        (t.offset + t.width * c, t.right * c, t.height),
    ):
        if length and repeats:
            runs.extend((start, length, t.pitch, repeats))
    return array("i", [t.zero_point + 128, len(runs) // 4] + runs)


def _read(path: str) -> memoryview:
    try:
        size = os.stat(path)[6]
    except OSError:
        raise PackError("no model pack at " + path) from None
    if size > _MAX_FILE:
        raise PackError("the pack is too large: " + path)
    buffer = aligned_buffer(size)
    with open(path, "rb") as file:
        if file.readinto(buffer) != size:
            raise PackError("the pack is truncated: " + path)
    return buffer


def shared_arena(*paths) -> memoryview:
    """An arena for any of these packs, which never run at the same time; PackError when one cannot be read."""
    most = 0
    for path in paths:
        try:
            with open(path, "rb") as file:
                head = file.read(HEADER_BYTES)
        except OSError:
            raise PackError("no model pack at " + path) from None
        most = max(most, arena_bytes(head))
    return aligned_buffer(most)


def aligned_buffer(size: int) -> memoryview:
    """A new zeroed buffer whose address is a multiple of 16."""
    buffer = bytearray(size + ALIGN - 1)
    skip = -uctypes.addressof(buffer) % ALIGN
    return memoryview(buffer)[skip : skip + size]
