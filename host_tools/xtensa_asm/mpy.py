"""MicroPython modules (`.mpy` 6.3) whose functions are machine code.

Layout: magic, version, architecture and small-int bits; names; then the module's bytecode, which makes and stores each
function, with the functions as its children. A function is a raw code of kind viper: stock images without an inline
assembler load it, and they do not where the same code calls itself assembler. It is called with (self, n_args, n_kw,
pointer to the argument objects) and returns an object.
"""

from __future__ import annotations

XTENSAWIN = 10
_VERSION, _SUB_VERSION, _SMALL_INT_BITS = 6, 3, 31
_MODULE_QSTR = 7  # "<module>" among the names that every build knows
_BYTECODE, _VIPER = 0, 2
_MAKE_FUNCTION, _STORE_NAME, _LOAD_NONE, _RETURN = 0x32, 0x16, 0x51, 0x63


def write_mpy(source: str, functions: dict[str, bytes], architecture: int = XTENSAWIN) -> bytes:
    """`source`: the file name that a traceback would show."""
    names = [source, None, *functions]
    body = bytes([0x00, 0x02, 1])  # one stack slot; one byte about the source: which name the code has
    for i in range(len(functions)):
        body += bytes([_MAKE_FUNCTION, *_varuint(i), _STORE_NAME, *_varuint(i + 2)])
    body += bytes([_LOAD_NONE, _RETURN])
    parts = [bytes([ord("M"), _VERSION, architecture << 2 | _SUB_VERSION, _SMALL_INT_BITS])]
    parts += [_varuint(len(names)), _varuint(0)]
    parts += [_varuint(_MODULE_QSTR << 1 | 1) if name is None else _name(name) for name in names]
    parts += [_varuint(len(body) << 3 | 1 << 2 | _BYTECODE), body, _varuint(len(functions))]
    for code in functions.values():
        parts += [_varuint(len(code) << 3 | _VIPER), code, _varuint(0)]
    return b"".join(parts)


def read_mpy(data: bytes) -> dict[str, bytes]:
    """The functions of a file that `write_mpy` wrote."""
    reader = _Reader(data)
    if reader.take(4) != bytes([ord("M"), _VERSION, XTENSAWIN << 2 | _SUB_VERSION, _SMALL_INT_BITS]):
        raise ValueError("no .mpy 6.3 for xtensawin")
    count = reader.varuint()
    if reader.varuint():
        raise ValueError("a module with constant objects")
    names = [reader.name() for _ in range(count)]
    kind, _ = reader.raw_code()
    if kind != _BYTECODE:
        raise ValueError("a module that is no bytecode")
    functions = {}
    for i in range(reader.varuint()):
        kind, code = reader.raw_code()
        if kind != _VIPER or reader.varuint():
            raise ValueError(f"{names[i + 2]} is no plain viper code")
        functions[names[i + 2]] = code
    if reader.at != len(data):
        raise ValueError("bytes after the end")
    return functions


def _varuint(value: int) -> bytes:
    """Seven bits a byte, the most significant first."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.insert(0, value & 0x7F | 0x80)
    return bytes(parts)


def _name(text: str) -> bytes:
    encoded = text.encode()
    return _varuint(len(encoded) << 1) + encoded + b"\0"


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def varuint(self) -> int:
        value = 0
        while True:
            byte = self.take(1)[0]
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                return value

    def name(self) -> str:
        tag = self.varuint()
        return "<module>" if tag & 1 else self.take((tag >> 1) + 1)[:-1].decode()

    def raw_code(self) -> tuple[int, bytes]:
        tag = self.varuint()
        return tag & 3, self.take(tag >> 3)
