"""Flat memory in which only the bytes of given buffers may be touched."""

from tests.xtensa.sim.lanes import Memo

_FIRST = 0x10000  # nothing lies below, so that a stray small number is no address
_GAP = 48
READ, WRITE = 1, 3


class Fault(Exception):
    """The machine code did what it must not."""


class Memory:
    def __init__(self, size: int = 4 << 20):
        self.bytes = bytearray(size)
        self.may = bytearray(size)
        self._next = _FIRST
        self._buffers: list[tuple[str, int, int]] = []
        self.line = _Lines(self)

    def place(self, name: str, content: bytes | int, *, writable: bool = False, skew: int = 0) -> int:
        """A buffer at `skew` past a multiple of 16; `content` is its length or what it holds. Its address."""
        length = content if isinstance(content, int) else len(content)
        at = self._next + _GAP + skew
        self._next = -(-(at + length) // 16) * 16
        if self._next + _GAP > len(self.bytes):
            raise MemoryError
        if not isinstance(content, int):
            self.write(at, content)
        self.allow(at, length, WRITE if writable else READ)
        self._buffers.append((name, at, length))
        return at

    def allow(self, at: int, length: int, rights: int) -> None:
        self.may[at : at + length] = bytes([rights]) * length
        for line in range(at & -16, at + length, 16):
            self.line.pop(line, None)

    def write(self, at: int, content: bytes) -> None:
        """From outside, whatever the machine code may do."""
        self.bytes[at : at + len(content)] = content
        for line in range(at & -16, at + len(content), 16):
            self.line.pop(line, None)

    def read(self, at: int, length: int) -> bytes:
        return bytes(self.bytes[at : at + length])

    def check(self, at: int, length: int, rights: int) -> None:
        span = self.may[at : at + length]
        if len(span) < length or min(span) < rights:
            raise Fault(f"{'store to' if rights == WRITE else 'load of'} {length} bytes at {self.where(at)}")

    def where(self, at: int) -> str:
        """An address in terms of the nearest buffer."""
        if not self._buffers:
            return hex(at)
        name, start, length = min(self._buffers, key=lambda b: 0 if b[1] <= at < b[1] + b[2] else abs(b[1] - at))
        return f"{name}[{at - start}] of {length}"

    def load(self, at: int, length: int) -> int:
        """A core load: unaligned addresses trap."""
        if at % length:
            raise Fault(f"unaligned load at {self.where(at)}")
        self.check(at, length, READ)
        return int.from_bytes(self.bytes[at : at + length], "little")

    def store(self, at: int, value: int, length: int) -> None:
        if at % length:
            raise Fault(f"unaligned store at {self.where(at)}")
        self.check(at, length, WRITE)
        self.bytes[at : at + length] = (value & (1 << 8 * length) - 1).to_bytes(length, "little")

    def load_vector(self, at: int, length: int) -> int:
        """A vector-unit load of 4, 8 or 16 bytes: low address bits are ignored."""
        at &= -length
        self.check(at, length, READ)
        return int.from_bytes(self.bytes[at : at + length], "little")

    def store_line(self, at: int, q: bytes) -> None:
        at &= -16
        self.check(at, 16, WRITE)
        self.bytes[at : at + 16] = q


class _Lines(Memo):
    """16 bytes by their aligned address; those that nobody may write are remembered."""

    def __init__(self, memory: Memory):
        super().__init__(None)
        self._memory = memory

    def __missing__(self, at: int) -> bytes:
        memory = self._memory
        span = memory.may[at : at + 16]
        if len(span) < 16 or 0 in span:
            raise Fault(f"load of 16 bytes at {memory.where(at)}")
        q = bytes(memory.bytes[at : at + 16])
        if WRITE not in span:
            self[at] = q
        return q
