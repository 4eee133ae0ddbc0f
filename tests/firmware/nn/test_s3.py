"""The ESP32-S3's set around its machine code: what it hands over, when it takes the general way, and that calls
allocate nothing. The routines themselves are proved in tests/xtensa.
"""

from array import array

import micropython
import uctypes

from firmware.biometrics.match import Gallery
from firmware.nn import kernels
from firmware.nn.s3 import Kernels
from firmware.nn.s3.match import Matcher
from firmware.nn.s3.prepare import prepare

_NAMES = ("conv1x1", "conv3x3", "dw3x3", "add", "avgpool", "load", "store", "fill", "clear")


class Machine:
    """Notes the addresses of the last call, without allocating; `fits`: what a 3x3 routine answers."""

    def __init__(self):
        self.last = [None] * 4
        self.fits = 1
        for name in _NAMES:
            setattr(self, name, self._routine)

    def _routine(self, *arguments):
        for i in range(len(arguments)):
            self.last[i] = arguments[i]
        return self.fits


def test_a_pc_has_no_vector_unit():
    assert kernels.machine() is None
    assert kernels.best().__name__ == "firmware.nn.kernels_viper"


class _Implementation:
    def __init__(self, architecture: int, machine: str):
        self._mpy, self._machine = 6 | 3 << 8 | architecture << 10, machine


def test_an_esp32s3_is_told_from_its_relatives():
    assert kernels.has_vector_unit(_Implementation(10, "Generic ESP32S3 module with Octal-SPIRAM with ESP32S3"))
    assert not kernels.has_vector_unit(_Implementation(10, "Generic ESP32 module with ESP32"))
    assert not kernels.has_vector_unit(_Implementation(0, "Generic ESP32S3 module with ESP32S3"))
    assert not kernels.has_vector_unit(object())


def test_buffers_are_handed_over_as_addresses():
    machine = Machine()
    kernel_set = Kernels(machine)
    arena, pack, record = bytearray(64), bytearray(64), array("i", [0] * 18)
    address = uctypes.addressof
    kernel_set.conv1x1(arena, pack, 0, record)
    assert machine.last[:3] == [address(arena), address(pack), address(record)]
    kernel_set.add(arena, pack, 0, record)
    assert machine.last[:2] == [address(arena), address(record)]
    part = memoryview(arena)[16:]
    kernel_set.clear(part, 48)
    assert machine.last[:2] == [address(arena) + 16, 48]
    kernel_set.load(arena, pack, record)
    assert machine.last[:3] == [address(arena), address(pack), address(record)]
    kernel_set.fill(arena, record)
    assert machine.last[:2] == [address(arena), address(record)]


def test_what_a_routine_declines_goes_the_general_way():
    """A mean of a 2 x 1 map: 1.5 and -1.5, to 2 and -2."""
    machine = Machine()
    kernel_set = Kernels(machine)
    arena = bytearray(48)
    arena[0], arena[16], arena[1], arena[17] = 1, 2, 255, 254
    record = array("i", [0, 32, 32, 16, 1, 1, 16, 16, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0])
    kernel_set.avgpool(arena, arena, 0, record)
    assert arena[32] == 0
    machine.fits = 0
    kernel_set.avgpool(arena, arena, 0, record)
    assert (arena[32], arena[33]) == (2, 254)


def test_calls_allocate_nothing():
    @micropython.viper
    def routine(a, b):
        pass

    @micropython.viper
    def routine3(a, b, c) -> int:
        return 1

    class Quiet:
        conv1x1 = conv3x3 = dw3x3 = load = store = staticmethod(routine3)
        add = avgpool = fill = clear = staticmethod(routine)

    kernel_set = Kernels(Quiet)
    arena, record = bytearray(64), array("i", [0] * 18)
    if uctypes.addressof(arena) >> 30 and not uctypes.addressof(arena) >> 32:
        return  # a 32-bit PC's addresses are no small ints; those of the ESP32-S3's memories are
    micropython.heap_lock()
    try:
        kernel_set.conv1x1(arena, arena, 0, record)
        kernel_set.dw3x3(arena, arena, 0, record)
        kernel_set.load(arena, arena, record)
        kernel_set.fill(arena, record)
        kernel_set.clear(arena, 64)
    finally:
        micropython.heap_unlock()


def test_a_window_that_fits_nowhere_goes_to_the_scaled_routine():
    """All weights and inputs at their limits: the sums leave 20 bits."""
    weights, bias = 0, 144
    pack = bytearray(144 + 64)
    for i in range(144):
        pack[i] = 127 if i % 16 % 2 else 129
    prepare(pack, weights, bias, 9, 16, 16, 0, 13, 0)
    assert pack[bias + 63] >> 6 == 0
    machine = Machine()
    called = []
    machine.fits = 0
    machine.scaled3x3 = lambda *arguments: called.append(arguments)
    kernel_set = Kernels(machine)
    arena, record = bytearray(160), array("i", [0] * 21)
    kernel_set.dw3x3(arena, pack, 0, record)
    kernel_set.conv3x3(arena, pack, 0, record)
    assert called == [(uctypes.addressof(arena), uctypes.addressof(pack), uctypes.addressof(record))] * 2


def test_scaled_operators_go_where_their_windows_belong():
    machine = Machine()
    called = []
    machine.scaled1x1 = lambda *_: called.append(1)
    machine.scaled3x3 = lambda *_: called.append(3)
    kernel_set = Kernels(machine)
    arena, record = bytearray(64), array("i", [0] * 21)
    for record[20] in (9, 16):
        kernel_set.scaled(arena, arena, 0, record)
    assert called == [3, 1]


class Scanner:
    """scan, pick and dots in plain Python, on memory by address."""

    def dots(self, probe, templates, count, out):
        a, results = uctypes.bytearray_at(probe, 128), uctypes.bytearray_at(out, 4 * count)
        for i in range(count):
            b = uctypes.bytearray_at(templates + 128 * i, 128)
            total = sum(((x ^ 128) - 128) * ((y ^ 128) - 128) for x, y in zip(a, b))
            results[4 * i : 4 * i + 4] = bytes(array("i", [total]))

    def scan(self, probe, table, scales, counts, rows, per_row, scores):
        used, factors = uctypes.bytearray_at(counts, rows), _words(scales, rows * per_row)
        found, dot = [], array("i", [0])
        for row in range(rows):
            best = -(1 << 31)
            for i in range(row * per_row, row * per_row + used[row]):
                self.dots(probe, table + 128 * i, 1, uctypes.addressof(dot))
                best = max(best, (dot[0] << 9) * factors[i] >> 32)
            found.append(best)
        uctypes.bytearray_at(scores, 4 * rows)[:] = bytes(array("i", found))
        return max(sorted(found)[-2], -(1 << 20))

    def pick(self, scores, rows, least, out, room):
        found = [row for row, score in enumerate(_words(scores, rows)) if score >= least]
        uctypes.bytearray_at(out, 4 * min(room, len(found)))[:] = bytes(array("i", found[:room]))
        return len(found)


def _words(at: int, count: int) -> array:
    return array("i", bytes(uctypes.bytearray_at(at, 4 * count)))


def test_the_gallery_over_the_vector_unit_finds_what_the_plain_one_finds():
    from firmware.biometrics.dot import dots

    matcher = Matcher(Scanner())
    plain, fast = Gallery(b"m", dots, 12, 2), Gallery(b"m", matcher.dots, 12, 2, scan=matcher.scan)
    seed = 1
    vectors = []
    for _ in range(20):
        vector = bytearray(128)
        for i in range(128):
            seed = seed * 1103515245 + 12345 & 0x7FFFFFFF
            vector[i] = seed >> 16 & 255
        vectors.append(bytes(vector))
    for i in range(10):
        for gallery in (plain, fast):
            gallery.add(bytes([i]), b"m", [vectors[i]] + [vectors[i + 10]] * (i % 2))
    for gallery in (plain, fast):
        gallery.remove(b"\3")
    for probe in vectors:
        assert plain.match(probe, b"m") == fast.match(probe, b"m")
        assert plain.match(probe, b"m", [b"\1", b"\4"]) == fast.match(probe, b"m", [b"\1", b"\4"])
