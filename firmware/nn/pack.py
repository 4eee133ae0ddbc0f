"""The model pack: one file that holds a network, its arena plan and its weights, used in place in the
buffer it was read into.

All integers little-endian, all offsets from the start of the pack. Format 1:

header (96 bytes)
    0  magic "MNNP"          4  u16 format     6  u16 header bytes (96)
    8  u32 total bytes      12  u32 arena bytes
   16  SHA-256 of bytes 0..15 and 48..total
   48  model id, 8 bytes: the head of a SHA-256 over operators, scales and weights, not over
       thresholds or other meta
   56  u16 tensors, u16 ops, u16 input tensor, u16 outputs
   64  u32 offsets of tensor table, op table, output list (u16 each), JSON meta; u32 meta bytes;
       u32 offset of the weights; 8 reserved
tensor record (20 bytes)
    u16 height, width, channels; u8 border above, left, below, right (pixels); i8 zero point;
    i8 exponent (scale = 2**-exponent); u32 arena offset of pixel (0, 0); u32 pitch (bytes a row)
op record (20 bytes)
    u8 kind, stride, shift (s_in * s_w / s_out = 2**-shift; 0: a multiplier for each channel), padding (how many of
    the output's channels, the last, are only there to make a multiple of 16);
    u16 input, second input (0xFFFF: none), output, reserved; u32 weights, u32 bias (0: none)
multipliers, behind the biases, for each output channel
    u32 m, u32 e - 1: s_in * s_w / s_out = m * 2**-31 * 2**-e, 2**30 <= m < 2**31, e 1..24; applied as TFLite does:
    sum * m * 2**-31 to nearest, halves up, then * 2**-e to nearest, halves away from zero
weights, each blob 16-byte aligned, signed int8; biases int32
    conv1x1 [Cout / 16][Cin][16]; fc the same with Cin = height * width * channels;
    conv3x3 [Cout / 16][9][16]; dw3x3 [9][C]

The input is a grey picture: of one channel, or of 16 for one that is four times as wide and as high, whose channel
4 * dy + dx at (x, y) is the pixel (4x + dx, 4y + dy).

A tensor starts at a multiple of 16, its border included, and so does each of its rows unless it has one channel.
A tensor that feeds a 3x3 operator is stored with a border of its zero point, so that kernels have no edge
cases (TensorFlow's SAME padding). The arena plan may let an operator's output lie over an input that dies
there; kernels must then keep this order: rows top to bottom, row y written only over input that neither row
y nor a later one reads (`add`: element by element). The border of an output is filled after its operator
has run.
"""

import hashlib
import json
import struct

from firmware.base.compat import const
from firmware.base.errors import PackError

MAGIC = b"MNNP"
FORMAT = const(1)
ALIGN = const(16)
HEADER = "<4sHHII32s8sHHHHIIIIII8x"
TENSOR = "<HHHBBBBbbII"
OP = "<BBBBHHHHII"
HEADER_BYTES = const(96)
RECORD_BYTES = const(20)
NONE = const(0xFFFF)
PATCH = const(4)  # side of the patches of an input of 16 channels
KINDS = ("conv3x3", "conv1x1", "dw3x3", "fc", "add", "avgpool")
_DIGEST_AT = const(16)
_DIGEST_END = const(48)
_MAX_BYTES = const(16 * 1024 * 1024)
_MAX_ARENA = const(1024 * 1024)


class Tensor:
    def __init__(self, fields):
        (
            self.height,
            self.width,
            self.channels,
            self.above,
            self.left,
            self.below,
            self.right,
            self.zero_point,
            self.exponent,
            self.offset,
            self.pitch,
        ) = fields

    def pixels(self) -> int:
        return self.height * self.width

    def is_contiguous(self) -> bool:
        return self.pitch == self.width * self.channels


class Op:
    def __init__(self, fields):
        kind, self.stride, self.shift, self.padding = fields[:4]
        self.input, self.second, self.output, _, self.weights, self.bias = fields[4:]
        if kind >= len(KINDS):
            raise PackError("the pack has an operator this runtime does not know")
        self.kind = KINDS[kind]


class Pack:
    """The checked tables of a pack. `data` stays the caller's; nothing is copied but the records."""

    def __init__(self, data):
        data = memoryview(data)
        fields = _header(data)
        self.arena_bytes, self.model_id = fields[4], fields[6]
        n_tensors, n_ops, self.input, n_outputs = fields[7:11]
        at_tensors, at_ops, at_outputs, at_meta, n_meta, self.weights_at = fields[11:17]
        self.total = len(data)
        _require(0 < self.arena_bytes <= _MAX_ARENA)
        for start, length in (
            (at_tensors, n_tensors * RECORD_BYTES),
            (at_ops, n_ops * RECORD_BYTES),
            (at_outputs, 2 * n_outputs),
            (at_meta, n_meta),
        ):
            _require(start >= HEADER_BYTES and start + length <= self.total)
        self.tensors = [
            Tensor(struct.unpack_from(TENSOR, data, at_tensors + i * RECORD_BYTES)) for i in range(n_tensors)
        ]
        self.ops = [Op(struct.unpack_from(OP, data, at_ops + i * RECORD_BYTES)) for i in range(n_ops)]
        self.outputs = struct.unpack_from("<%dH" % n_outputs, data, at_outputs)
        _require(self.input < n_tensors and n_outputs > 0 and max(self.outputs) < n_tensors)
        _require(self.tensors[self.input].channels in (1, PATCH * PATCH))
        try:
            self.meta = json.loads(bytes(data[at_meta : at_meta + n_meta]).decode())
        except ValueError:
            raise PackError("the pack's description is no JSON") from None
        for tensor in self.tensors:
            self._check_tensor(tensor)
        for op in self.ops:
            self._check_op(data, op)

    @property
    def input_shape(self) -> tuple:
        """Height and width of the picture."""
        image = self.tensors[self.input]
        return picture_shape(image.height, image.width, image.channels)

    def _check_tensor(self, t) -> None:
        start = t.offset - t.above * t.pitch - t.left * t.channels
        end = t.offset + (t.height + t.below - 1) * t.pitch + (t.width + t.right) * t.channels
        _require(t.height > 0 and t.width > 0 and t.channels > 0 and t.zero_point in (-128, 0))
        _require(t.pitch >= (t.left + t.width + t.right) * t.channels)
        _require(start >= 0 and end <= self.arena_bytes and start % ALIGN == 0)
        _require(t.channels == 1 or t.pitch % ALIGN == 0)

    def _check_op(self, data, op) -> None:
        """Everything by which a kernel addresses memory."""
        _require(op.input < len(self.tensors) and op.output < len(self.tensors))
        source, out = self.tensors[op.input], self.tensors[op.output]
        _require(out.channels % 16 == 0 and op.stride in (1, 2) and op.padding < 16)
        if op.kind in ("add", "avgpool"):
            _require(source.channels == out.channels and source.zero_point == out.zero_point)
            if op.kind == "add":
                _require(op.second < len(self.tensors) and _same_shape(source, out))
                _require(_same_shape(self.tensors[op.second], out))
            else:
                _require(out.pixels() == 1)
            return
        _require(op.shift == 0 or 2 <= op.shift <= 24)
        taps = self._check_geometry(op, source, out)
        _require(op.weights % ALIGN == 0 and op.bias % ALIGN == 0 and min(op.weights, op.bias) >= self.weights_at)
        words = out.channels if op.shift else 3 * out.channels
        _require(op.weights + taps * out.channels <= self.total and op.bias + 4 * words <= self.total)
        if not op.shift:
            for at in range(op.bias + 4 * out.channels, op.bias + 12 * out.channels, 8):
                m, less = struct.unpack_from("<II", data, at)
                _require(m >> 30 == 1 and less < 24)

    def _check_geometry(self, op, source, out) -> int:
        """Weights per output channel."""
        if op.kind == "fc":
            _require(source.is_contiguous() and out.pixels() == 1)
            taps = source.pixels() * source.channels
            _require(taps % 16 == 0)
            return taps
        if op.kind == "conv1x1":
            _require(source.height == out.height and source.width == out.width and source.channels % 16 == 0)
            return source.channels
        above, below = same_padding(source.height, op.stride)
        left, right = same_padding(source.width, op.stride)
        _require(source.above >= above and source.below >= below and source.left >= left and source.right >= right)
        _require(out.height == -(-source.height // op.stride) and out.width == -(-source.width // op.stride))
        _require(source.channels == (1 if op.kind == "conv3x3" else out.channels))
        return 9


def picture_shape(height: int, width: int, channels: int) -> tuple:
    """Height and width of the picture that an input tensor of this shape holds."""
    side = 1 if channels == 1 else PATCH
    return side * height, side * width


def same_padding(size: int, stride: int) -> tuple:
    """(before, after) for a window of 3, TensorFlow's SAME."""
    total = max((-(-size // stride) - 1) * stride + 3 - size, 0)
    return total // 2, total - total // 2


def digest(data) -> bytes:
    data = memoryview(data)
    sha = hashlib.sha256(data[:_DIGEST_AT])
    sha.update(data[_DIGEST_END:])
    return sha.digest()


def arena_bytes(head) -> int:
    """What a pack's header says that its network needs, before the whole pack is read and checked."""
    if len(head) < HEADER_BYTES or bytes(head[:4]) != MAGIC:
        raise PackError("this is no model pack")
    needed = struct.unpack_from("<I", head, 12)[0]
    _require(0 < needed <= _MAX_ARENA)
    return needed


def _header(data) -> tuple:
    if len(data) < HEADER_BYTES:
        raise PackError("the pack is truncated")
    fields = struct.unpack_from(HEADER, data, 0)
    if fields[0] != MAGIC:
        raise PackError("this is no model pack")
    if fields[1] != FORMAT:
        raise PackError("the pack has format %d, this runtime reads %d" % (fields[1], FORMAT))
    if fields[3] != len(data) or len(data) > _MAX_BYTES:
        raise PackError("the pack is truncated: %d of %d bytes" % (len(data), fields[3]))
    if fields[2] != HEADER_BYTES or fields[5] != digest(data):
        raise PackError("the pack is damaged: its SHA-256 does not hold")
    return fields


def _same_shape(a, b) -> bool:
    return a.height == b.height and a.width == b.width and a.channels == b.channels and a.zero_point == b.zero_point


def _require(condition) -> None:
    if not condition:
        raise PackError("the pack's tables contradict each other")
