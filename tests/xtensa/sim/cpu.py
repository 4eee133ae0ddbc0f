"""Calls routines as MicroPython calls machine code of kind VIPER, and watches what they do."""

from dataclasses import dataclass

from tests.xtensa.sim import lanes
from tests.xtensa.sim.memory import WRITE, Fault, Memory
from tests.xtensa.sim.translate import NAMES, translate

_RETURN = 0x40080123
_STACK = 2048
_SAVE_AREA = 32  # the top of a frame belongs to the window handlers


@dataclass
class Call:
    """A call's result (the object in a2) and its cost."""

    result: int
    instructions: int
    cycles: int

    @property
    def small_int(self) -> int:
        value = self.result - (1 << 32) if self.result >> 31 else self.result
        if not value & 1:
            raise Fault(f"the routine returned {value:#x}, which is no small int")
        return value >> 1


class Cpu:
    def __init__(self, memory: Memory):
        self.memory = memory
        self._stack = memory.place("stack", _STACK, writable=True) + _STACK // 2
        memory.allow(self._stack - _STACK // 2, _STACK, 0)
        self._arguments = memory.place("arguments", 64)
        self._routines = lanes.Memo(self._compile)

    def call(self, code: bytes, *arguments: int) -> Call:
        """`arguments`: integers, passed as small ints."""
        if not all(-(1 << 30) <= value < 1 << 30 for value in arguments):
            raise Fault("an argument that is no small int")
        encoded = b"".join(((value << 1 | 1) & 0xFFFFFFFF).to_bytes(4, "little") for value in arguments)
        memory = self.memory
        memory.bytes[self._arguments : self._arguments + len(encoded)] = encoded
        run = self._routines[code]
        return run(_RETURN, self._stack, 0x3FFF0000, len(arguments), 0, self._arguments)

    def _compile(self, code: bytes):
        memory, stack = self.memory, self._stack
        frames: list[int] = []

        def enter(sp: int, size: int) -> int:
            if size < _SAVE_AREA or size % 16:
                raise Fault(f"a frame of {size} bytes")
            frames.append(sp - size)
            if size > _SAVE_AREA:
                memory.allow(sp - size, size - _SAVE_AREA, WRITE)
            return sp - size

        def leave(a0: int, a1: int, a2: int, n: int, cycles: int) -> Call:
            if not frames or a1 != frames[-1] or a0 != _RETURN:
                raise Fault("a0 or a1 were not kept")
            if frames.pop() < stack - _SAVE_AREA:
                memory.allow(a1, stack - a1, 0)
            return Call(a2, n, cycles)

        def load_qacc(at: int) -> int:
            for start, length in ((at, 16), (at + 16, 4), (at + 32, 16), (at + 48, 4)):
                memory.check(start & -length, length, 1)
            return qacc[bytes(memory.bytes[at & -16 : (at & -16) + 52])]

        def load_part(acc: int, index: int, shift: int, value: int, width: int) -> int:
            raw = list(lanes.to_raw(acc))
            raw[index] = raw[index] & ~(((1 << 8 * width) - 1) << shift) | value << shift
            return lanes.from_raw(*raw)

        def store_part(at: int, value: int, width: int) -> None:
            at &= -width
            memory.check(at, width, WRITE)
            memory.bytes[at : at + width] = value.to_bytes(width, "little")

        names = NAMES | {
            "enter": enter, "leave": leave, "load_qacc": load_qacc, "load_part": load_part, "store_part": store_part,
            "line": memory.line, "load": memory.load, "store": memory.store, "store_line": memory.store_line,
            "load_vector": memory.load_vector, "fault": _fault, "sg": _sg, "sx": _sx, "quos": _quos,
        }  # fmt: skip
        exec(translate(code), names)
        return names["run"]


def _qacc_of(image: bytes) -> int:
    """QACC from 16 + 4 bytes and, 32 bytes on, 16 + 4 more."""
    return lanes.from_raw(int.from_bytes(image[:20], "little"), int.from_bytes(image[32:52], "little"))


qacc = lanes.Memo(_qacc_of)


def _fault(sentence: str) -> None:
    raise Fault(sentence)


def _sg(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def _sx(value: int, bit: int) -> int:
    value &= (2 << bit) - 1
    return value - (2 << bit) if value >> bit else value


def _quos(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return -quotient if (a < 0) != (b < 0) else quotient
