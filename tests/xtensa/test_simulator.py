"""The simulator: what instructions do, by hand-worked values, and what it refuses."""

import numpy as np
import pytest

from host_tools.xtensa_asm import assemble
from tests.xtensa.sim.cpu import Call, Cpu
from tests.xtensa.sim.memory import Fault, Memory

START = """
entry a1, 32
l32i a2, a5, 0
srai a2, a2, 1
l32i a3, a5, 4
srai a3, a3, 1
"""
RETURN_A2 = "\nslli a2, a2, 1\naddi a2, a2, 1\nretw\n"


class Bench:
    def __init__(self) -> None:
        self.memory = Memory(1 << 18)
        self.cpu = Cpu(self.memory)

    def run(self, body: str, a: int = 0, b: int = 0) -> Call:
        return self.cpu.call(assemble(START + body + RETURN_A2), a, b)


@pytest.mark.parametrize(
    ("body", "a", "b", "result"),
    [
        ("sub a2, a2, a3", 3, 5, -2),
        ("addx4 a2, a2, a3", -3, 5, -7),
        ("subx8 a2, a2, a3", 3, 5, 19),
        ("mulsh a2, a2, a3", -(1 << 29), 1 << 20, -(1 << 17)),
        ("muluh a2, a2, a3", -1, 2, 1),
        ("mul16s a2, a2, a3", 0x1FFFF, 7, -7),
        ("quos a2, a2, a3", -7, 2, -3),
        ("extui a2, a2, 4, 5", 0x2FF, 0, 15),
        ("sext a2, a2, 7", 0x1FF, 0, -1),
        ("clamps a2, a2, 7", 300, 0, 127),
        ("clamps a2, a2, 7", -300, 0, -128),
        ("min a2, a2, a3", -1, 1, -1),
        ("minu a2, a2, a3", -1, 1, 1),
        ("ssr a3\nsra a2, a2", -256, 4, -16),
        ("ssl a3\nsll a2, a2", 3, 4, 48),
        ("ssai 8\nsrc a2, a2, a3", 1, 0x200, (1 << 24) + 2),
        ("nsau a2, a2", 255, 0, 24),
        ("movi a4, 9\nmoveqz a2, a4, a3", 5, 0, 9),
        ("movi a4, 9\nmovltz a2, a4, a3", 5, 0, 5),
        ("movi a2, 0\nloop a3, end\naddi a2, a2, 3\nend:", 0, 7, 21),
        ("movi a2, 0\nloopnez a3, end\naddi a2, a2, 3\nend:", 0, 0, 0),
        ("movi a2, 0\nloopgtz a3, end\naddi a2, a2, 3\nend:", 0, -5, 0),
        ("movi a4, 0\nloop a3, end\nbbci a4, 0, even\naddi a2, a2, 10\neven: addi a4, a4, 1\nend:", 0, 5, 20),
        ("blt a2, a3, yes\nmovi a2, 0\nj on\nyes: movi a2, 1\non:", -1, 0, 1),
        ("bltu a2, a3, yes\nmovi a2, 0\nj on\nyes: movi a2, 1\non:", -1, 0, 0),
    ],
)
def test_core_instructions(body: str, a: int, b: int, result: int) -> None:
    assert Bench().run(body, a, b).small_int == result


def test_vector_loads_ignore_low_address_bits_and_src_q_puts_them_back() -> None:
    bench = Bench()
    source = bench.memory.place("source", bytes(range(48)))
    to = bench.memory.place("to", 32, writable=True)
    body = """
    mov a4, a2
    ee.vld.128.ip q0, a4, 0
    ee.vst.128.ip q0, a3, 16
    ee.ld.128.usar.ip q0, a2, 16
    ee.vld.128.ip q1, a2, 16
    ee.src.q q2, q0, q1
    ee.vst.128.ip q2, a3, 16
    """
    bench.run(body, source + 5, to + 3)
    assert bench.memory.read(to, 32) == bytes([*range(16), *range(5, 21)])


def lanes20(values: np.ndarray) -> bytes:
    """QACC as four loads take it: 20-bit lanes, 8 to a half, each half in 20 of 32 bytes."""
    halves = [sum((int(v) & 0xFFFFF) << 20 * i for i, v in enumerate(half)) for half in (values[:8], values[8:])]
    return b"".join(half.to_bytes(32, "little") for half in halves)


def test_a_lane_of_qacc_saturates_at_every_step() -> None:
    """Against numpy with a clip after each product, both multiply-accumulate forms."""
    rng = np.random.default_rng(1)
    for trial in range(20):
        bench = Bench()
        first = rng.integers(-(1 << 19), 1 << 19, 16)
        vectors = rng.choice([-128, -127, -3, 0, 5, 126, 127], (8, 16)).astype(np.int8)
        start = bench.memory.place("start", lanes20(first))
        data = bench.memory.place("data", vectors.tobytes())
        out = bench.memory.place("out", 16, writable=True)
        body = f"""
        ee.ld.qacc_l.l.128.ip a2, 16
        ee.ld.qacc_l.h.32.ip a2, 16
        ee.ld.qacc_h.l.128.ip a2, 16
        ee.ld.qacc_h.h.32.ip a2, 16
        .rept 8, i
        ee.vld.128.ip q\\i, a3, 16
        .endr
        {"".join(f"ee.vsmulas.s8.qacc q{i}, q7, {i + 2}" + chr(10) for i in range(7))}
        {"".join(f"ee.vmulas.s8.qacc q{i}, q{i + 1}" + chr(10) for i in range(7))}
        movi a4, 11
        ee.srcmb.s8.qacc q0, a4, 0
        addi a3, a3, {out - data - 128}
        ee.vst.128.ip q0, a3, 0
        """
        bench.run(body, start, data)
        lanes, wide = first.copy(), vectors.astype(int)
        for i in range(7):
            lanes = np.clip(lanes + wide[i] * wide[7][i + 2], -(1 << 19), (1 << 19) - 1)
        for i in range(7):
            lanes = np.clip(lanes + wide[i] * wide[i + 1], -(1 << 19), (1 << 19) - 1)
        expected = np.clip(lanes >> 11, -128, 127).astype(np.int8)
        assert bench.memory.read(out, 16) == expected.tobytes(), trial


def test_accx_adds_sixteen_products() -> None:
    bench = Bench()
    data = bench.memory.place("data", np.r_[np.full(16, -128), np.arange(16)].astype(np.int8).tobytes())
    body = """
    ee.zero.accx
    ee.vld.128.ip q0, a2, 16
    ee.vld.128.ip q1, a2, 16
    ee.vmulas.s8.accx q0, q1
    ee.vmulas.s8.accx q0, q0
    movi a4, 2
    ee.srs.accx a2, a4, 0
    """
    assert bench.run(body, data).small_int == (-128 * 120 + 16 * 128 * 128) >> 2


def test_lanewise_and_bitwise() -> None:
    bench = Bench()
    x = np.array([-128, 127, 100, -100, 0, 1, -1, 5] * 2, np.int8)
    y = np.array([-1, 1, 100, -100, 0, 2, -1, -5] * 2, np.int8)
    data = bench.memory.place("data", x.tobytes() + y.tobytes())
    out = bench.memory.place("out", 80, writable=True)
    body = """
    ee.vld.128.ip q0, a2, 16
    ee.vld.128.ip q1, a2, 16
    ee.vadds.s8 q2, q0, q1
    ee.vst.128.ip q2, a3, 16
    ee.vsubs.s8 q2, q0, q1
    ee.vst.128.ip q2, a3, 16
    ee.vmax.s8 q2, q0, q1
    ee.vst.128.ip q2, a3, 16
    ee.vcmp.lt.s8 q2, q0, q1
    ee.vst.128.ip q2, a3, 16
    ee.xorq q2, q0, q1
    ee.vst.128.ip q2, a3, 16
    """
    bench.run(body, data, out)
    wide, other = x.astype(int), y.astype(int)
    rows = [
        np.clip(wide + other, -128, 127),
        np.clip(wide - other, -128, 127),
        np.maximum(x, y),
        -(x < y).astype(int),
        x ^ y,
    ]
    assert bench.memory.read(out, 80) == b"".join(row.astype(np.int8).tobytes() for row in rows)


def test_lanes_in_turn_and_apart() -> None:
    bench = Bench()
    data = bench.memory.place("data", bytes(range(32)))
    out = bench.memory.place("out", 64, writable=True)
    body = """
    ee.vld.128.ip q0, a2, 16
    ee.vld.128.ip q1, a2, 16
    ee.vzip.8 q0, q1
    ee.vst.128.ip q0, a3, 16
    ee.vst.128.ip q1, a3, 16
    ee.vunzip.8 q0, q1
    ee.vunzip.16 q0, q1
    ee.vst.128.ip q0, a3, 16
    ee.movi.32.a q1, a4, 1
    ee.movi.32.q q0, a4, 3
    ee.notq q0, q0
    ee.vst.128.ip q0, a3, 16
    """
    bench.run(body, data, out)
    zipped = bytes(i // 2 + 16 * (i % 2) for i in range(32))
    words = np.arange(32, dtype=np.uint8).view("<u2")
    even, odd = words[::2].tobytes(), words[1::2].tobytes()
    inverted = bytes(255 - b for b in even[:12] + odd[4:8])
    assert bench.memory.read(out, 64) == zipped + even + inverted


def test_qacc_out_of_bytes_and_out_by_words() -> None:
    """Sign-extended bytes in, 20-bit lanes out: as memory, and word by word into core registers."""
    bench = Bench()
    values = np.array([-128, 127, -1, 0, 1, 2, -3, 100] * 2, np.int8)
    data = bench.memory.place("data", values.tobytes())
    out = bench.memory.place("out", 64, writable=True)
    body = """
    ee.ldqa.s8.128.ip a2, 16
    ee.st.qacc_l.l.128.ip a3, 16
    ee.st.qacc_l.h.32.ip a3, 16
    ee.st.qacc_h.l.128.ip a3, 16
    ee.st.qacc_h.h.32.ip a3, 0
    rur.qacc_h_4 a2
    srai a2, a2, 12
    """
    assert bench.run(body, data, out).small_int == values[15]
    stored, expected = bench.memory.read(out, 64), lanes20(values)
    assert stored[:20] + stored[32:52] == expected[:20] + expected[32:52]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("l32i a4, a2, 32", "load of 4 bytes at buffer[32] of 32"),
        ("addi a2, a2, 2\nl32i a4, a2, 0", "unaligned load"),
        ("s8i a3, a2, 0", "store to 1 bytes at buffer[0]"),
        ("addi a2, a2, 31\nee.vld.128.ip q0, a2, 16\nee.vld.128.ip q0, a2, 0", "load of 16 bytes"),
        ("ee.zero.q q0\nee.vst.128.ip q0, a2, 0", "store to 16 bytes"),
        ("s32i a3, a1, 0", "store to 4 bytes"),
        ("movi a0, 0", "a0 or a1"),
        ("addi a1, a1, 16", "a0 or a1"),
        ("movi a4, 0\nloop a4, end\nnop\nend:", "2**32 turns"),
    ],
)
def test_what_a_routine_must_not_do(body: str, says: str) -> None:
    bench = Bench()
    buffer = bench.memory.place("buffer", bytes(32))
    with pytest.raises(Fault, match=says.replace("*", r"\*").replace("[", r"\[")):
        bench.run(body, buffer)


@pytest.mark.parametrize("body", ["add a2, a2, a9", "ee.vadds.s8 q0, q0, q1", "ee.zero.q q0\nee.vmulas.s8.qacc q0, q0"])
def test_a_register_is_written_before_it_is_read(body: str) -> None:
    with pytest.raises(NameError):
        Bench().run(body)


def test_aligned_loads_may_not_reach_beyond_a_buffer_that_ends_inside_16_bytes() -> None:
    bench = Bench()
    short = bench.memory.place("short", bytes(20))
    with pytest.raises(Fault, match="short"):
        bench.run("ee.vld.128.ip q0, a2, 16\nee.vld.128.ip q0, a2, 16", short)


def test_instructions_and_cycles_are_counted() -> None:
    """5 to start, 3 to return; a loop of 3 turns with a load that feeds the next instruction in each; a jump."""
    bench = Bench()
    data = bench.memory.place("data", bytes(64))
    done = bench.run("movi a4, 3\nloop a4, end\nl32i a6, a2, 0\nadd a3, a3, a6\nend: j on\non: movi a2, 0", data)
    assert done.instructions == 5 + 1 + 1 + 3 * 2 + 1 + 1 + 3
    assert done.cycles == done.instructions + 2 + 3 + 2  # a2 and a3 feed srai right after l32i
