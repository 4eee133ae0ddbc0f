"""QR codes (ISO/IEC 18004) for the panel's screen: bytes in, modules out; error correction level L, versions 1 to 15.

One mask for all: readers take any, and choosing the best of eight costs a panel a second.
"""

from firmware.base.compat import const

MASK = const(2)  # a module is turned when its column is a multiple of 3

_VERSIONS = const(15)
# Per version from 1 on: error correction codewords in a block, and blocks, at level L.
_ECC_BYTES = (7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22)
_BLOCKS = (1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6)
_FREE = const(2)  # a module that is not set yet


class Code:
    """`modules[row * size + column]` is 1 where dark. ValueError when `data` does not fit version 15."""

    def __init__(self, data):
        version = _version_for(len(data))
        self.size = 17 + 4 * version
        self.modules = bytearray(bytes([_FREE]) * (self.size * self.size))
        self._draw_patterns(version)
        self._place(_codewords(data, version))

    def dark(self, row: int, column: int) -> bool:
        return self.modules[row * self.size + column] == 1

    def _set(self, row: int, column: int, dark) -> None:
        self.modules[row * self.size + column] = 1 if dark else 0

    def _draw_patterns(self, version: int) -> None:
        size = self.size
        for row, column in ((0, 0), (0, size - 7), (size - 7, 0)):
            self._draw_finder(row, column)
        centres = _alignment_centres(version)
        for row in centres:
            for column in centres:
                if self.modules[row * size + column] == _FREE:
                    self._draw_rings(row, column, 2)
        for i in range(8, size - 8):
            self._set(6, i, not i & 1)
            self._set(i, 6, not i & 1)
        self._set(size - 8, 8, True)
        self._draw_format()
        if version >= 7:
            self._draw_version(version)

    def _draw_finder(self, row: int, column: int) -> None:
        for i in range(-1, 8):
            for j in range(-1, 8):
                if 0 <= row + i < self.size and 0 <= column + j < self.size:
                    self._set(row + i, column + j, False)
        self._draw_rings(row + 3, column + 3, 3)

    def _draw_rings(self, row: int, column: int, radius: int) -> None:
        for i in range(-radius, radius + 1):
            for j in range(-radius, radius + 1):
                ring = max(abs(i), abs(j))
                self._set(row + i, column + j, ring == radius or ring < radius - 1)

    def _draw_format(self) -> None:
        """Level L and the mask, in BCH (15, 5), twice."""
        value = 1 << 3 | MASK
        bits = (value << 10 | _bch(value << 10, 0x537, 10)) ^ 0x5412
        last = self.size - 1
        for i in range(15):
            bit = bits >> i & 1
            if i < 8:
                self._set(8, last - i, bit)
                self._set(i if i < 6 else i + 1, 8, bit)
            else:
                self._set(last - 14 + i, 8, bit)
                self._set(8, 7 if i == 8 else 14 - i, bit)

    def _draw_version(self, version: int) -> None:
        bits = version << 12 | _bch(version << 12, 0x1F25, 12)
        for i in range(18):
            near, far = i // 3, self.size - 11 + i % 3
            self._set(near, far, bits >> i & 1)
            self._set(far, near, bits >> i & 1)

    def _place(self, codewords) -> None:
        """In columns of two from the right, upwards and downwards in turn, masked."""
        size = self.size
        bit = 0
        total = len(codewords) * 8
        for right in range(size - 1, 0, -2):
            if right <= 6:
                right -= 1  # the timing pattern has a column of its own
            upwards = (right + 1) & 2 == 0
            for step in range(size):
                row = size - 1 - step if upwards else step
                for column in (right, right - 1):
                    if self.modules[row * size + column] != _FREE:
                        continue
                    dark = bit < total and codewords[bit >> 3] >> (7 - (bit & 7)) & 1
                    self._set(row, column, dark ^ (column % 3 == 0))
                    bit += 1


def _bch(value: int, polynomial: int, degree: int) -> int:
    """The remainder of `value` by `polynomial` over GF(2)."""
    for shift in range(17, degree - 1, -1):
        if value >> shift & 1:
            value ^= polynomial << (shift - degree)
    return value


def _alignment_centres(version: int) -> list:
    if version == 1:
        return []
    last = 17 + 4 * version - 7
    count = version // 7 + 2
    step = (last - 6 + (count - 1) * 2 - 1) // ((count - 1) * 2) * 2
    return [6] + [last - step * i for i in range(count - 2, -1, -1)]


def _all_codewords(version: int) -> int:
    """Codewords that a symbol holds, data and error correction."""
    bits = (16 * version + 128) * version + 64
    if version >= 2:
        count = version // 7 + 2
        bits -= (25 * count - 10) * count - 55
    if version >= 7:
        bits -= 36
    return bits // 8


def _version_for(length: int) -> int:
    for version in range(1, _VERSIONS + 1):
        data = _all_codewords(version) - _ECC_BYTES[version - 1] * _BLOCKS[version - 1]
        if length + (2 if version < 10 else 3) <= data:
            return version
    raise ValueError("too much for a QR code on this screen")


def _codewords(data, version: int) -> bytearray:
    """Data in byte mode and its error correction, interleaved by blocks."""
    ecc_bytes, blocks = _ECC_BYTES[version - 1], _BLOCKS[version - 1]
    everything = _all_codewords(version)
    stream = _byte_mode(data, version, everything - ecc_bytes * blocks)
    divisor = _divisor(ecc_bytes)
    short = everything // blocks - ecc_bytes
    longer = everything % blocks  # so many blocks, the last ones, have one byte more
    parts, at = [], 0
    for block in range(blocks):
        end = at + short + (block >= blocks - longer)
        parts.append((stream[at:end], _remainder(stream[at:end], divisor)))
        at = end
    out = bytearray()
    for i in range(short + 1):
        for part, _ in parts:
            if i < len(part):
                out.append(part[i])
    for i in range(ecc_bytes):
        for _, ecc in parts:
            out.append(ecc[i])
    return out


def _byte_mode(data, version: int, capacity: int) -> bytearray:
    """Mode 4, count, data, terminator, padding: everything half a byte to the right."""
    head = bytes([len(data)]) if version < 10 else bytes([len(data) >> 8, len(data) & 255])
    out = bytearray()
    high = 4
    for byte in head + bytes(data):
        out.append(high << 4 | byte >> 4)
        high = byte & 15
    out.append(high << 4)
    pad = 0xEC
    while len(out) < capacity:
        out.append(pad)
        pad ^= 0xEC ^ 0x11
    return out


def _multiply(x: int, y: int) -> int:
    """In GF(256) modulo 0x11D."""
    z = 0
    for i in range(7, -1, -1):
        z = z << 1 ^ (z >> 7) * 0x11D
        z ^= (y >> i & 1) * x
    return z


def _divisor(degree: int) -> bytearray:
    """The Reed-Solomon generator without its leading 1."""
    result = bytearray(degree)
    result[-1] = 1
    root = 1
    for _ in range(degree):
        for j in range(degree):
            result[j] = _multiply(result[j], root)
            if j + 1 < degree:
                result[j] ^= result[j + 1]
        root = _multiply(root, 2)
    return result


def _remainder(data, divisor) -> bytearray:
    """By tables of logarithms: a panel has a few thousand products to form."""
    exp, log = _tables()
    degree = len(divisor)
    logs = [log[value] for value in divisor]  # a generator's coefficients are never 0
    result = bytearray(degree)
    for byte in data:
        factor = byte ^ result[0]
        for i in range(degree - 1):
            result[i] = result[i + 1]
        result[degree - 1] = 0
        if factor:
            at = log[factor]
            for i in range(degree):
                result[i] ^= exp[(at + logs[i]) % 255]
    return result


def _tables() -> tuple:
    exp, log = bytearray(255), bytearray(256)
    value = 1
    for i in range(255):
        exp[i] = value
        log[value] = i
        value = _multiply(value, 2)
    return exp, log


def draw(fb, code: Code, x: int, y: int, scale: int, dark: int, light: int) -> int:
    """Draws `code` with its quiet zone of four modules, top left corner at x, y; the side in pixels."""
    side = (code.size + 8) * scale
    fb.fill_rect(x, y, side, side, light)
    for row in range(code.size):
        top = y + (row + 4) * scale
        column = 0
        while column < code.size:
            run = column
            while run < code.size and code.dark(row, run):
                run += 1
            if run > column:
                fb.fill_rect(x + (column + 4) * scale, top, (run - column) * scale, scale, dark)
            column = run + 1
    return side
