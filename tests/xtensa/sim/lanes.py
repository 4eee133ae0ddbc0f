"""What the vector unit's registers do, lane by lane.

A q register is 16 bytes. The accumulator QACC in its 8-bit shape is 16 lanes of 20 bits; here it is one integer with a
field of 32 bits a lane, each holding the lane + 2**19, so that a whole multiply-accumulate is one multiplication and
a field that leaves its 20 bits shows.
"""

import struct
from operator import mul

LOW, HIGH = -(1 << 19), (1 << 19) - 1
FIELDS = sum(1 << 32 * i for i in range(16))
ZERO = FIELDS << 19  # every lane 0
SPILL = FIELDS * 0xFFF00000  # bits that are set when a lane has left its range
_LIFT = FIELDS << 30
_SIGNS = FIELDS << 31
SIGNED = tuple(i - 256 if i > 127 else i for i in range(256))
_WORDS = struct.Struct("<16I")
_INTS = struct.Struct("<16i")
_BYTES = struct.Struct("16b")
_SHAPES = {8: _BYTES, 16: struct.Struct("<8h"), 32: struct.Struct("<4i")}


class Memo(dict):
    """Remembers `function` of what it is asked for."""

    def __init__(self, function):
        self._function = function

    def __missing__(self, key):
        value = self[key] = self._function(key)
        return value


signed = Memo(_BYTES.unpack)


def _sum_of_fields(values) -> int:
    """The values, signed, added up in their fields."""
    return (int.from_bytes(_INTS.pack(*values), "little") ^ _SIGNS) - _SIGNS


spread = Memo(lambda q: _sum_of_fields(signed[q]))


def products(x: bytes, y: bytes) -> int:
    return _sum_of_fields(map(mul, signed[x], signed[y]))


def dot(x: bytes, y: bytes) -> int:
    return sum(map(mul, signed[x], signed[y]))


def saturate(acc: int) -> int:
    """Brings fields back into 20 bits; those that were never out stay."""
    fields = _WORDS.unpack((acc + _LIFT).to_bytes(64, "little"))
    return int.from_bytes(_WORDS.pack(*[min(max(f - (1 << 30), 0), (1 << 20) - 1) for f in fields]), "little")


def saturate40(value: int) -> int:
    return min(max(value, -(1 << 39)), (1 << 39) - 1)


def unpack(acc: int) -> list[int]:
    return [field - (1 << 19) for field in _WORDS.unpack(acc.to_bytes(64, "little"))]


def pack(lanes) -> int:
    return int.from_bytes(_WORDS.pack(*[lane + (1 << 19) for lane in lanes]), "little")


def shift_out(acc: int, shift: int) -> tuple[bytes, int]:
    """ee.srcmb.s8.qacc: (the q register, QACC after it)."""
    lanes = [lane >> shift for lane in unpack(acc)]
    return _BYTES.pack(*[min(max(lane, -128), 127) for lane in lanes]), pack(lanes)


def from_raw(low: int, high: int) -> int:
    """QACC from its two registers of 160 bits."""
    fields = [half >> 20 * i & 0xFFFFF for half in (low, high) for i in range(8)]
    return pack([f - (1 << 20) if f >> 19 else f for f in fields])


def to_raw(acc: int) -> tuple[int, int]:
    fields = [lane & 0xFFFFF for lane in unpack(acc)]
    return tuple(sum(f << 20 * i for i, f in enumerate(part)) for part in (fields[:8], fields[8:]))


def from_bytes(q: bytes) -> int:
    return pack(signed[q])


def lanewise(operation: str, bits: int, x: bytes, y: bytes) -> bytes:
    """vadds, vsubs, vmax, vmin, vcmp.eq/gt/lt of lanes of 8, 16 or 32 bits."""
    shape = _SHAPES[bits]
    top = (1 << bits - 1) - 1
    function = _LANEWISE[operation]
    pairs = zip(shape.unpack(x), shape.unpack(y), strict=True)
    return shape.pack(*[min(max(function(a, b), -top - 1), top) for a, b in pairs])


_LANEWISE = {
    "vadds": lambda a, b: a + b,
    "vsubs": lambda a, b: a - b,
    "vmax": max,
    "vmin": min,
    "vcmp.eq": lambda a, b: -(a == b),
    "vcmp.gt": lambda a, b: -(a > b),
    "vcmp.lt": lambda a, b: -(a < b),
}


def bitwise(operation: str, x: bytes, y: bytes) -> bytes:
    a, b = int.from_bytes(x, "little"), int.from_bytes(y, "little")
    return {"andq": a & b, "orq": a | b, "xorq": a ^ b}[operation].to_bytes(16, "little")


def interleave(x: bytes, y: bytes, width: int) -> tuple[bytes, bytes]:
    """ee.vzip: the lanes of x and y in turn, in two registers."""
    parts = [r[i : i + width] for i in range(0, 16, width) for r in (x, y)]
    whole = b"".join(parts)
    return whole[:16], whole[16:]


def separate(x: bytes, y: bytes, width: int) -> tuple[bytes, bytes]:
    """ee.vunzip: the even and the odd lanes of x followed by y."""
    lanes = [(x + y)[i : i + width] for i in range(0, 32, width)]
    return b"".join(lanes[::2]), b"".join(lanes[1::2])
