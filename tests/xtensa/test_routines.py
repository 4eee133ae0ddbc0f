"""Routines one by one, on buffers at every alignment: moves, matching, the warp, pooling."""

from array import array

import numpy as np
import pytest

from firmware.biometrics.match import Gallery
from host_tools.vision.image import half2x2 as half_reference
from host_tools.vision.image import patches
from host_tools.vision.image import warp as warp_reference
from host_tools.xtensa_asm.mpy import read_mpy
from tests.xtensa.network import CALL_OVERHEAD, MACHINE
from tests.xtensa.sim.cpu import Call, Cpu
from tests.xtensa.sim.memory import Memory

ROUTINES = read_mpy(MACHINE.read_bytes())
FIELDS = (
    *("start", "pitch", "out", "out_pitch", "rows", "cols", "cin", "cout", "weights", "bias", "shift", "linear"),
    *("second", "second_pitch", "stride", "in_rows", "in_cols", "zero"),
)  # of a record (firmware/nn/model.py)


class Bench:
    def __init__(self) -> None:
        self.memory = Memory(2 << 20)
        self.cpu = Cpu(self.memory)

    def put(self, name: str, content, *, skew: int = 0, writable: bool = False) -> int:
        content = content if isinstance(content, bytes | int) else content.tobytes()
        return self.memory.place(name, content, skew=skew, writable=writable)

    def run(self, name: str, *arguments: int) -> Call:
        return self.cpu.call(ROUTINES[name], *arguments)


def record(**fields: int) -> array:
    return array("i", [fields.get(name, 0) for name in FIELDS])


@pytest.mark.parametrize("skew", [0, 1, 7])
@pytest.mark.parametrize(("start", "columns", "pitch"), [(16, 32, 48), (17, 32, 48), (16, 21, 32), (5, 9, 11)])
def test_load_flips_pixels_into_rows(skew: int, start: int, columns: int, pitch: int) -> None:
    bench = Bench()
    pixels = np.random.default_rng(0).integers(0, 256, (5, columns)).astype(np.uint8)
    arena = bench.put("arena", start + 4 * pitch + columns + (-columns - start) % 16, writable=True)
    table = record(start=start, pitch=pitch, in_rows=5, in_cols=columns)
    bench.run("load", arena, bench.put("pixels", pixels, skew=skew), bench.put("record", table))
    for row in range(5):
        got = np.frombuffer(bench.memory.read(arena + start + row * pitch, columns), np.int8)
        assert np.array_equal(got, pixels[row].astype(int) - 128)


@pytest.mark.parametrize("skew", [0, 4, 7])
@pytest.mark.parametrize(("columns", "pitch"), [(8, 128), (8, 160), (5, 80)])
def test_load_cuts_a_picture_into_patches(skew: int, columns: int, pitch: int) -> None:
    bench = Bench()
    picture = np.random.default_rng(0).integers(0, 256, (12, 4 * columns)).astype(np.uint8)
    arena = bench.put("arena", 16 + 3 * pitch, writable=True)
    table = record(start=16, pitch=pitch, cin=16, in_rows=3, in_cols=columns)
    bench.run("load", arena, bench.put("pixels", picture, skew=skew), bench.put("record", table))
    for row, expected in enumerate(patches(picture)):
        got = np.frombuffer(bench.memory.read(arena + 16 + row * pitch, 16 * columns), np.int8)
        assert np.array_equal(got, expected.ravel().astype(int) - 128)


@pytest.mark.parametrize("skew", [0, 3])
@pytest.mark.parametrize(("columns", "channels", "pitch"), [(3, 16, 80), (5, 7, 35), (1, 128, 128)])
def test_store_leaves_the_border_out(skew: int, columns: int, channels: int, pitch: int) -> None:
    bench = Bench()
    rows = np.random.default_rng(0).integers(-128, 128, (4, pitch)).astype(np.int8)
    out = bench.put("out", 4 * columns * channels, skew=skew, writable=True)
    table = record(out_pitch=pitch, rows=4, cols=columns, cout=channels)
    bench.run("store", bench.put("arena", rows), out, bench.put("record", table))
    expected = rows[:, : columns * channels].tobytes()
    assert bench.memory.read(out, 4 * columns * channels) == expected


@pytest.mark.parametrize(("start", "length", "gap"), [(0, 48, 64), (16, 33, 64), (3, 5, 20), (1, 1, 7)])
def test_fill_writes_its_runs_and_nothing_else(start: int, length: int, gap: int) -> None:
    bench = Bench()
    arena = bench.put("arena", 300, writable=True)
    border = array("i", [200, 2, start, length, gap, 3, 290, 4, 1, 1])
    bench.run("fill", arena, bench.put("border", border))
    expected = bytearray(300)
    for i in range(3):
        expected[start + i * gap : start + i * gap + length] = bytes([72]) * length
    expected[290:294] = bytes([72]) * 4
    assert bench.memory.read(arena, 300) == expected


@pytest.mark.parametrize("skew", [0, 1, 9, 15])
@pytest.mark.parametrize("length", [0, 1, 7, 16, 40, 100])
def test_clear_at_any_address(skew: int, length: int) -> None:
    bench = Bench()
    buffer = bench.put("buffer", b"\xff" * length, skew=skew, writable=True)
    bench.run("clear", buffer, length)
    assert bench.memory.read(buffer, length) == bytes(length)


@pytest.mark.parametrize(("height", "width", "channels"), [(6, 6, 64), (1, 1, 16), (7, 5, 48), (63, 65, 16)])
def test_avgpool_rounds_halves_away_from_zero(height: int, width: int, channels: int) -> None:
    bench = Bench()
    rng = np.random.default_rng(2)
    centre = rng.integers(-128, 128, channels)
    x = np.clip(centre + rng.integers(-3, 4, (height, width, channels)), -128, 127).astype(np.int8)
    x[..., 0], x[..., 1], x[..., 2] = -128, 127, np.arange(height * width).reshape(height, width) % 2
    size = height * width * channels
    arena = bench.put("arena", x.tobytes() + bytes(channels), writable=True)
    table = record(pitch=width * channels, out=size, cout=channels, in_rows=height, in_cols=width)
    assert bench.run("avgpool", arena, bench.put("record", table)).small_int == 1
    total, count = x.astype(int).sum((0, 1)), height * width
    expected = np.sign(total) * ((abs(total) + count // 2) // count)
    assert np.array_equal(np.frombuffer(bench.memory.read(arena + size, channels), np.int8), expected)


def test_avgpool_leaves_large_maps_alone() -> None:
    bench = Bench()
    table = record(in_rows=64, in_cols=64, cout=16)
    assert bench.run("avgpool", bench.put("arena", 16), bench.put("record", table)).small_int == 0


@pytest.mark.parametrize(("probe_skew", "table_skew"), [(0, 0), (5, 0), (0, 1), (3, 9)])
def test_dots(probe_skew: int, table_skew: int) -> None:
    bench = Bench()
    rng = np.random.default_rng(3)
    probe = rng.integers(-128, 128, 128).astype(np.int8)
    table = rng.integers(-128, 128, (5, 128)).astype(np.int8)
    table[3], table[4] = np.where(probe < 0, -128, 127), -128
    at = bench.put("probe", probe, skew=probe_skew)
    out = bench.put("out", 20, writable=True)
    bench.run("dots", at, bench.put("table", table, skew=table_skew), 5, out)
    assert np.array_equal(np.frombuffer(bench.memory.read(out, 20), np.int32), table.astype(int) @ probe)


class Scan:
    """firmware/nn/s3/match.py's two calls, simulated."""

    def __init__(self) -> None:
        self.instructions = 0

    def __call__(self, probe, table, scales, counts, per_row: int, margin: int, out) -> int:
        bench = Bench()
        rows = len(counts)
        scores = bench.put("scores", 4 * rows, writable=True)
        places = [bench.put(*item) for item in (("table", bytes(table)), ("scales", scales), ("counts", bytes(counts)))]
        done = bench.run("scan", bench.put("probe", bytes(probe), skew=3), *places, rows, per_row, scores)
        found = bench.put("found", 4 * len(out), writable=True)
        picked = bench.run("pick", scores, rows, done.small_int - margin, found, len(out))
        out[:] = array("i", bench.memory.read(found, 4 * len(out)))
        self.instructions = done.instructions + picked.instructions + 2 * CALL_OVERHEAD
        return picked.small_int


def plain_dots(probe, table, start: int, count: int, out) -> None:
    vector = np.frombuffer(bytes(probe), np.int8).astype(int)
    for i in range(count):
        row = bytes(table[start + 128 * i : start + 128 * i + 128])
        out[i] = int(np.frombuffer(row, np.int8).astype(int) @ vector)


@pytest.mark.parametrize(("residents", "spread"), [(512, 40), (100, 3), (37, 127), (2, 40), (1, 40)])
def test_the_gallery_finds_the_same_two_with_and_without_scan(residents: int, spread: int) -> None:
    """Scores equal, of every length of vectors, probes like a template and unlike all; removed rows are not found."""
    rng = np.random.default_rng(residents)
    scan = Scan()
    galleries = [Gallery(b"m", plain_dots), Gallery(b"m", plain_dots, scan=scan)]
    vectors = np.clip(rng.normal(0, spread, (residents, 4, 128)).round(), -128, 127).astype(np.int8)
    vectors[:, :, 0] |= 1
    for i in range(residents):
        templates = [vectors[i, k].tobytes() for k in range(1 + i % 4 if residents < 512 else 4)]
        for gallery in galleries:
            gallery.add(i.to_bytes(2, "big"), b"m", templates)
    for i in range(0, residents - 2, 7):
        for gallery in galleries:
            gallery.remove(i.to_bytes(2, "big"))
    probes = [
        rng.integers(-128, 128, 128),
        vectors[-1, 0],
        vectors[-1, 0] // 2 + rng.integers(-3, 4, 128),
        -vectors[0, 0],
    ]
    for probe in probes:
        probe = np.clip(probe, -127, 127).astype(np.int8)
        probe[5] |= 1
        plain, fast = (gallery.match(probe.tobytes(), b"m") for gallery in galleries)
        assert plain[1::2] == fast[1::2]
        assert plain == fast or plain[1] == plain[3]
    assert residents < 512 or scan.instructions < 100_000


def test_a_tie_of_many_takes_the_plain_way() -> None:
    template = bytes(range(1, 129))
    gallery = Gallery(b"m", plain_dots, scan=Scan())
    for i in range(40):
        gallery.add(bytes([i]), b"m", [template])
    assert gallery.match(template, b"m")[1] == 16384


@pytest.mark.parametrize(
    "transform",
    [
        (65536, 0, 0, 0),
        (40000, 30000, 5 << 16, -(3 << 16)),
        (-70000, 20000, 30 << 16, 20 << 16),
        (90000, -90000, -(9 << 16) - 77, (12 << 16) + 123),
        (65536, 0, 100 << 16, -(100 << 16)),
    ],
)
def test_warp_equals_its_numpy_twin(transform: tuple) -> None:
    """Inside, across all four edges and wholly outside."""
    bench = Bench()
    image = np.random.default_rng(1).integers(0, 256, (30, 41)).astype(np.uint8)
    out = bench.put("out", 32 * 32, skew=1, writable=True)
    bench.run("warp", bench.put("image", image, skew=5), 41, 30, out, 32, *transform)
    got = np.frombuffer(bench.memory.read(out, 32 * 32), np.uint8).reshape(32, 32)
    assert np.array_equal(got, warp_reference(image, transform, 32))


@pytest.mark.parametrize(
    ("width", "src_skew", "dst_skew"), [(320, 0, 0), (32, 0, 0), (48, 0, 0), (64, 1, 0), (64, 0, 4)]
)
def test_half2x2_equals_its_numpy_twin(width: int, src_skew: int, dst_skew: int) -> None:
    bench = Bench()
    image = np.random.default_rng(1).choice([0, 1, 2, 3, 127, 128, 254, 255], (10, width)).astype(np.uint8)
    out = bench.put("out", 5 * width // 2, skew=dst_skew, writable=True)
    done = bench.run("half2x2", bench.put("image", image, skew=src_skew), out, width, 10).small_int
    assert done == (width % 32 == 0 and not src_skew and not dst_skew)
    expected = half_reference(image) if done else np.zeros((5, width // 2), np.uint8)
    assert bench.memory.read(out, 5 * width // 2) == expected.tobytes()
