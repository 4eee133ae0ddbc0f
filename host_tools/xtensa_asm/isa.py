"""The instructions of the ESP32-S3's core (Xtensa LX7) and of its vector unit (PIE) that kernels use: words, operands,
ranges, in both directions.

Sources: Xtensa Instruction Set Architecture reference manual, chapters 4 and 6; ESP32-S3 Technical Reference Manual,
chapter "Processor Instruction Extensions".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


class OperandError(ValueError):
    """An operand that the instruction cannot hold."""


@dataclass(frozen=True)
class Field:
    """One operand: its code's bit i lies in the word's bit `bits[i]`, XORed into the instruction's base word.

    The code of a number v is (v - bias) // step, or its place in `values` where those are listed. A label's number is
    its distance from the instruction's own address.
    """

    kind: str  # "a" and "q" registers, "imm" numbers, "label" places
    name: str
    bits: tuple[int, ...]
    low: int
    high: int
    step: int = 1
    bias: int = 0
    values: tuple[int, ...] = ()

    def encode(self, value: int) -> int:
        """The bits to XOR into the base word."""
        if self.values:
            if value not in self.values:
                raise OperandError(f"{value}; allowed are {', '.join(map(str, self.values))}")
            code = self.values.index(value)
        elif not self.low <= value <= self.high or (value - self.low) % self.step:
            steps = f" in steps of {self.step}" if self.step > 1 else ""
            prefix = self.kind if self.kind in "aq" else ""
            raise OperandError(f"{prefix}{value}; the range is {prefix}{self.low}..{prefix}{self.high}{steps}")
        else:
            code = (value - self.bias) // self.step
        return sum(1 << bit for i, bit in enumerate(self.bits) if code >> i & 1)

    def decode(self, word: int) -> int:
        """The number in the bits of `word`, a word XOR its base word."""
        code = sum(1 << i for i, bit in enumerate(self.bits) if word >> bit & 1)
        if self.values:
            return self.values[code]
        value = code * self.step + self.bias
        return value - (self.step << len(self.bits)) if value > self.high else value


@dataclass(frozen=True)
class Instruction:
    name: str
    base: int
    length: int  # bytes
    fields: tuple[Field, ...]

    @cached_property
    def fixed(self) -> int:
        """The bits of the word that no operand touches."""
        return ((1 << 8 * self.length) - 1) & ~sum(1 << bit for field in self.fields for bit in field.bits)

    def encode(self, values: list[int]) -> int:
        word = self.base
        for field, value in zip(self.fields, values, strict=True):
            word ^= field.encode(value)
        return word


def _span(*parts: str) -> tuple[int, ...]:
    """Bit numbers from "8-14" and "22", low bit of the code first."""
    bits: list[int] = []
    for part in parts:
        first, _, last = part.partition("-")
        bits.extend(range(int(first), int(last or first) + 1))
    return tuple(bits)


def _number(name: str, bits: str, low: int, high: int, step: int = 1, bias: int = 0) -> Field:
    return Field("imm", name, _span(*bits.split()), low, high, step, bias)


def _label(name: str, bits: str, low: int, high: int) -> Field:
    return Field("label", name, _span(*bits.split()), low, high, 1, 4)


_B4 = (-1, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64, 128, 256)
_B4U = (32768, 65536, *_B4[2:])

# The places an operand can have, by the names that the table below uses. aN, qN: a register whose lowest code bit is N.
FIELDS: dict[str, Field] = {
    **{f"a{at}": Field("a", "a register", _span(f"{at}-{at + 3}"), 0, 15) for at in (4, 8, 12)},
    **{
        name: Field("q", "q register", _span(*bits.split()), 0, 7)
        for name, bits in {
            "q4": "4-6",
            "q46": "4 6 7",
            "q5": "5 10 11",
            "q8": "8-10",
            "q11": "11 12 14",
            "q12": "12-14",
            "q13": "13 15 20",
            "q14": "14 15 0",
            "q15": "15 20 21",
            "q16": "16-18",
            "q19": "19 24 25",
            "q20": "20-22",
            "q23": "23 12 13",
        }.items()
    },
    "off1": _number("imm1", "8-14", 0, 127),
    "off2": _number("imm2", "8-14", 0, 254, 2),
    "off4": _number("imm4", "8-14 22", -512, 508, 4),
    "off8": _number("imm8", "8-14 22", -1024, 1016, 8),
    "off16": _number("imm16", "8-14 22", -2048, 2032, 16),
    "off16mac": _number("imm16", "8-11 26 27", -512, 496, 16),
    "off16src": _number("imm16", "8 9 23 12 13 19 24 25", -2048, 2032, 16),
    "bit10": _number("sel2", "10", 0, 1),
    "bit14": _number("sel2", "14", 0, 1),
    "word": _number("sel4", "10 11", 0, 3),
    "lane15": _number("sel8", "15 20 21", 0, 7),
    "lane16": _number("sel8", "16-18", 0, 7),
    "lane4": _number("sel16", "4 15 20 21", 0, 15),
    "lane20": _number("sel16", "20 16-18", 0, 15),
    "sar16": _number("sar16", "4-7", 0, 15),
    "sae": _number("shift", "8-11 16", 0, 31),
    "mask": _number("width", "20-23", 1, 16, bias=1),
    "sar": _number("shift", "8-11 20", 0, 31),
    "sa15": _number("shift", "8-11", 0, 15),
    "sal": _number("shift", "4-7 20", 1, 32, bias=1),
    "ssai": _number("shift", "8-11 4", 0, 31),
    "tp7": _number("bit", "4-7", 7, 22, bias=7),
    "bbi": _number("bit", "4-7 12", 0, 31),
    "uimm8": _number("offset", "16-23", 0, 255),
    "uimm8x2": _number("offset", "16-23", 0, 510, 2),
    "uimm8x4": _number("offset", "16-23", 0, 1020, 4),
    "uimm4x4": _number("offset", "12-15", 0, 60, 4),
    "simm8": _number("immediate", "16-23", -128, 127),
    "simm8x256": _number("immediate", "16-23", -32768, 32512, 256),
    "simm12": _number("immediate", "16-23 8-11", -2048, 2047),
    "simm7": _number("immediate", "12-15 4-6", -32, 95),
    "frame": _number("frame", "12-23", 0, 32760, 8),
    "narrow": Field("imm", "immediate", _span("4-7"), -1, 15, values=(-1, *range(1, 16))),
    "b4": Field("imm", "immediate", _span("12-15"), -1, 256, values=_B4),
    "b4u": Field("imm", "immediate", _span("12-15"), 2, 65536, values=_B4U),
    "loopend": _label("label", "16-23", 4, 259),
    "to8": _label("label", "16-23", -124, 131),
    "to12": _label("label", "12-23", -2044, 2051),
    "to18": _label("label", "6-23", -131068, 131075),
}

# Base word (every operand code 0), mnemonic, operands in the order of assembly. The low four bits of the word tell its
# length: 14 and 15 are four bytes, 8 to 13 two, the others three.
_CORE = """
800000 add      a12 a8 a4
c00000 sub      a12 a8 a4
900000 addx2    a12 a8 a4
a00000 addx4    a12 a8 a4
b00000 addx8    a12 a8 a4
d00000 subx2    a12 a8 a4
e00000 subx4    a12 a8 a4
f00000 subx8    a12 a8 a4
100000 and      a12 a8 a4
200000 or       a12 a8 a4
300000 xor      a12 a8 a4
600000 neg      a12 a4
600100 abs      a12 a4
00c002 addi     a4 a8 simm8
00d002 addmi    a4 a8 simm8x256
00a002 movi     a4 simm12
1100f0 slli     a12 a8 sal
210000 srai     a12 a4 sar
410000 srli     a12 a4 sa15
810000 src      a12 a8 a4
910000 srl      a12 a4
a10000 sll      a12 a8
b10000 sra      a12 a4
400000 ssr      a8
401000 ssl      a8
402000 ssa8l    a8
403000 ssa8b    a8
404000 ssai     ssai
040000 extui    a12 a4 sae mask
230000 sext     a12 a8 tp7
330000 clamps   a12 a8 tp7
430000 min      a12 a8 a4
530000 max      a12 a8 a4
630000 minu     a12 a8 a4
730000 maxu     a12 a8 a4
40e000 nsa      a4 a8
40f000 nsau     a4 a8
c10000 mul16u   a12 a8 a4
d10000 mul16s   a12 a8 a4
820000 mull     a12 a8 a4
a20000 muluh    a12 a8 a4
b20000 mulsh    a12 a8 a4
c20000 quou     a12 a8 a4
d20000 quos     a12 a8 a4
e20000 remu     a12 a8 a4
f20000 rems     a12 a8 a4
830000 moveqz   a12 a8 a4
930000 movnez   a12 a8 a4
a30000 movltz   a12 a8 a4
b30000 movgez   a12 a8 a4
000002 l8ui     a4 a8 uimm8
001002 l16ui    a4 a8 uimm8x2
009002 l16si    a4 a8 uimm8x2
002002 l32i     a4 a8 uimm8x4
004002 s8i      a4 a8 uimm8
005002 s16i     a4 a8 uimm8x2
006002 s32i     a4 a8 uimm8x4
000016 beqz     a8 to12
000056 bnez     a8 to12
000096 bltz     a8 to12
0000d6 bgez     a8 to12
001007 beq      a8 a4 to8
009007 bne      a8 a4 to8
002007 blt      a8 a4 to8
00a007 bge      a8 a4 to8
003007 bltu     a8 a4 to8
00b007 bgeu     a8 a4 to8
000007 bnone    a8 a4 to8
008007 bany     a8 a4 to8
004007 ball     a8 a4 to8
00c007 bnall    a8 a4 to8
005007 bbc      a8 a4 to8
00d007 bbs      a8 a4 to8
006007 bbci     a8 bbi to8
00e007 bbsi     a8 bbi to8
000026 beqi     a8 b4 to8
000066 bnei     a8 b4 to8
0000a6 blti     a8 b4 to8
0000e6 bgei     a8 b4 to8
0000b6 bltui    a8 b4u to8
0000f6 bgeui    a8 b4u to8
000006 j        to18
0000a0 jx       a8
008076 loop     a8 loopend
009076 loopnez  a8 loopend
00a076 loopgtz  a8 loopend
000036 entry    a8 frame
000080 ret
000090 retw
0020f0 nop
0020c0 memw
000a   add.n    a12 a8 a4
000b   addi.n   a12 a8 narrow
0008   l32i.n   a4 a8 uimm4x4
0009   s32i.n   a4 a8 uimm4x4
000c   movi.n   a8 simm7
000d   mov.n    a4 a8
f00d   ret.n
f01d   retw.n
f03d   nop.n
e30000 rur.accx_0    a12
e30010 rur.accx_1    a12
e300d0 rur.sar_byte  a12
f30000 wur.accx_0    a4
f30100 wur.accx_1    a4
f30d00 wur.sar_byte  a4
e30020 rur.qacc_h_0  a12
e30030 rur.qacc_h_1  a12
e30040 rur.qacc_h_2  a12
e30050 rur.qacc_h_3  a12
e30060 rur.qacc_h_4  a12
e30070 rur.qacc_l_0  a12
e30080 rur.qacc_l_1  a12
e30090 rur.qacc_l_2  a12
e300a0 rur.qacc_l_3  a12
e300b0 rur.qacc_l_4  a12
f30200 wur.qacc_h_0  a4
f30300 wur.qacc_h_1  a4
f30400 wur.qacc_h_2  a4
f30500 wur.qacc_h_3  a4
f30600 wur.qacc_h_4  a4
f30700 wur.qacc_l_0  a4
f30800 wur.qacc_l_1  a4
f30900 wur.qacc_l_2  a4
f30a00 wur.qacc_l_3  a4
f30b00 wur.qacc_l_4  a4
"""

_PIE = """
830004 ee.vld.128.ip                    q15 a4 off16
8d2004 ee.vld.128.xp                    q15 a4 a8
850004 ee.vldbc.16.ip                   q15 a4 off2
cd7304 ee.vldbc.16                      q15 a4
8d4004 ee.vldbc.16.xp                   q15 a4 a8
820004 ee.vldbc.32.ip                   q15 a4 off4
cd7704 ee.vldbc.32                      q15 a4
8d1004 ee.vldbc.32.xp                   q15 a4 a8
c50004 ee.vldbc.8.ip                    q15 a4 off1
cd3b04 ee.vldbc.8                       q15 a4
8d5004 ee.vldbc.8.xp                    q15 a4 a8
810004 ee.ld.128.usar.ip                q15 a4 off16
8d0004 ee.ld.128.usar.xp                q15 a4 a8
010004 ee.ldqa.s16.128.ip               a4 off16
7e4004 ee.ldqa.s16.128.xp               a4 a8
110004 ee.ldqa.s8.128.ip                a4 off16
714004 ee.ldqa.s8.128.xp                a4 a8
150004 ee.ldqa.u8.128.ip                a4 off16
704004 ee.ldqa.u8.128.xp                a4 a8
1e0004 ee.ld.qacc_h.h.32.ip             a4 off4
060004 ee.ld.qacc_h.l.128.ip            a4 off16
160004 ee.ld.qacc_l.h.32.ip             a4 off4
000004 ee.ld.qacc_l.l.128.ip            a4 off16
0e0004 ee.ld.accx.ip                    a4 off8
8a0004 ee.vst.128.ip                    q15 a4 off16
8d7004 ee.vst.128.xp                    q15 a4 a8
120004 ee.st.qacc_h.h.32.ip             a4 off4
0d0004 ee.st.qacc_h.l.128.ip            a4 off16
1d0004 ee.st.qacc_l.h.32.ip             a4 off4
0c0004 ee.st.qacc_l.l.128.ip            a4 off16
020004 ee.st.accx.ip                    a4 off8
cd7104 ee.movi.32.a                     q15 a4 word
cd3204 ee.movi.32.q                     q15 a4 word
cc03b4 ee.vzip.16                       q12 q15
cc03c4 ee.vzip.32                       q12 q15
cc03d4 ee.vzip.8                        q12 q15
cc0384 ee.vunzip.16                     q12 q15
cc0394 ee.vunzip.32                     q12 q15
cc03a4 ee.vunzip.8                      q12 q15
250804 ee.zero.accx
250844 ee.zero.qacc
cd7fa4 ee.zero.q                        q15
cd7f24 ee.mov.s16.qacc                  q15
cd7f34 ee.mov.s8.qacc                   q15
cd7f74 ee.mov.u8.qacc                   q15
e0200d0e ee.vadds.s16.ld.incp             q19 a4 q16 q14 q23
e408000e ee.vadds.s16.st.incp             q20 a4 q16 q14 q23
8e0064 ee.vadds.s16                     q15 q8 q11
e0300d0e ee.vadds.s32.ld.incp             q19 a4 q16 q14 q23
e408010e ee.vadds.s32.st.incp             q20 a4 q16 q14 q23
8e0074 ee.vadds.s32                     q15 q8 q11
e0100c0e ee.vadds.s8.ld.incp              q19 a4 q16 q14 q23
e408020e ee.vadds.s8.st.incp              q20 a4 q16 q14 q23
8e0084 ee.vadds.s8                      q15 q8 q11
e0400d0e ee.vsubs.s16.ld.incp             q19 a4 q16 q14 q23
e808010e ee.vsubs.s16.st.incp             q20 a4 q16 q14 q23
8e20d4 ee.vsubs.s16                     q15 q8 q11
e0500d0e ee.vsubs.s32.ld.incp             q19 a4 q16 q14 q23
e808020e ee.vsubs.s32.st.incp             q20 a4 q16 q14 q23
8e20e4 ee.vsubs.s32                     q15 q8 q11
e0600d0e ee.vsubs.s8.ld.incp              q19 a4 q16 q14 q23
e808030e ee.vsubs.s8.st.incp              q20 a4 q16 q14 q23
8e20f4 ee.vsubs.s8                      q15 q8 q11
e0300f0e ee.vmul.s16.ld.incp              q19 a4 q16 q14 q23
e508020e ee.vmul.s16.st.incp              q20 a4 q16 q14 q23
8e2084 ee.vmul.s16                      q15 q8 q11
e0400c0e ee.vmul.s8.ld.incp               q19 a4 q16 q14 q23
e500030e ee.vmul.s8.st.incp               q20 a4 q16 q14 q23
8e2094 ee.vmul.s8                       q15 q8 q11
e0600c0e ee.vmul.u8.ld.incp               q19 a4 q16 q14 q23
e808000e ee.vmul.u8.st.incp               q20 a4 q16 q14 q23
8e20b4 ee.vmul.u8                       q15 q8 q11
0000000e ee.vmulas.s16.accx.ld.ip.qup     q19 a4 off16mac q14 q23 q20 q16
f000000e ee.vmulas.s16.accx.ld.ip         q19 a4 off16mac q14 q23
b000000e ee.vmulas.s16.accx.ld.xp.qup     q19 a4 a8 q14 q23 q20 q16
f010000e ee.vmulas.s16.accx.ld.xp         q19 a4 a8 q14 q23
1a0084 ee.vmulas.s16.accx               q8 q11
2000000e ee.vmulas.s8.accx.ld.ip.qup      q19 a4 off16mac q14 q23 q20 q16
f002000e ee.vmulas.s8.accx.ld.ip          q19 a4 off16mac q14 q23
b800000e ee.vmulas.s8.accx.ld.xp.qup      q19 a4 a8 q14 q23 q20 q16
f012000e ee.vmulas.s8.accx.ld.xp          q19 a4 a8 q14 q23
1a00c4 ee.vmulas.s8.accx                q8 q11
6000000e ee.vmulas.u8.accx.ld.ip.qup      q19 a4 off16mac q14 q23 q20 q16
f006000e ee.vmulas.u8.accx.ld.ip          q19 a4 off16mac q14 q23
c800000e ee.vmulas.u8.accx.ld.xp.qup      q19 a4 a8 q14 q23 q20 q16
f016000e ee.vmulas.u8.accx.ld.xp          q19 a4 a8 q14 q23
0a00c4 ee.vmulas.u8.accx                q8 q11
e000080e ee.vmulas.s16.qacc.ldbc.incp.qup q19 a4 q14 q23 q20 q16
870004 ee.vmulas.s16.qacc.ldbc.incp     q13 a4 q8 q11
1000000e ee.vmulas.s16.qacc.ld.ip.qup     q19 a4 off16mac q14 q23 q20 q16
f001000e ee.vmulas.s16.qacc.ld.ip         q19 a4 off16mac q14 q23
b400000e ee.vmulas.s16.qacc.ld.xp.qup     q19 a4 a8 q14 q23 q20 q16
f011000e ee.vmulas.s16.qacc.ld.xp         q19 a4 a8 q14 q23
1a2084 ee.vmulas.s16.qacc               q8 q11
e000090e ee.vmulas.s8.qacc.ldbc.incp.qup  q19 a4 q14 q23 q20 q16
a70004 ee.vmulas.s8.qacc.ldbc.incp      q13 a4 q8 q11
3000000e ee.vmulas.s8.qacc.ld.ip.qup      q19 a4 off16mac q14 q23 q20 q16
f003000e ee.vmulas.s8.qacc.ld.ip          q19 a4 off16mac q14 q23
bc00000e ee.vmulas.s8.qacc.ld.xp.qup      q19 a4 a8 q14 q23 q20 q16
f013000e ee.vmulas.s8.qacc.ld.xp          q19 a4 a8 q14 q23
1a20c4 ee.vmulas.s8.qacc                q8 q11
e0000b0e ee.vmulas.u8.qacc.ldbc.incp.qup  q19 a4 q14 q23 q20 q16
e70004 ee.vmulas.u8.qacc.ldbc.incp      q13 a4 q8 q11
7000000e ee.vmulas.u8.qacc.ld.ip.qup      q19 a4 off16mac q14 q23 q20 q16
f007000e ee.vmulas.u8.qacc.ld.ip          q19 a4 off16mac q14 q23
cc00000e ee.vmulas.u8.qacc.ld.xp.qup      q19 a4 a8 q14 q23 q20 q16
f017000e ee.vmulas.u8.qacc.ld.xp          q19 a4 a8 q14 q23
0a20c4 ee.vmulas.u8.qacc                q8 q11
e0700c0e ee.vsmulas.s16.qacc.ld.incp      q19 a4 q14 q23 lane16
8e20c4 ee.vsmulas.s16.qacc              q8 q11 lane15
e0200c0e ee.vsmulas.s8.qacc.ld.incp       q19 a4 q14 q23 lane20
8e0044 ee.vsmulas.s8.qacc               q8 q11 lane4
cd7204 ee.srcmb.s16.qacc                q15 a4 bit10
cd7a04 ee.srcmb.s8.qacc                 q15 a4 bit10
7e1004 ee.srs.accx                      a8 a4 bit14
cd1004 ee.vrelu.s16                     q15 a8 a4
cd5004 ee.vrelu.s8                      q15 a8 a4
8c0004 ee.vprelu.s16                    q15 q8 q11 a4
8c2004 ee.vprelu.s8                     q15 q8 q11 a4
e0100d0e ee.vmax.s16.ld.incp              q19 a4 q16 q14 q23
e408030e ee.vmax.s16.st.incp              q20 a4 q16 q14 q23
8e2024 ee.vmax.s16                      q15 q8 q11
e0100e0e ee.vmax.s32.ld.incp              q19 a4 q16 q14 q23
e500000e ee.vmax.s32.st.incp              q20 a4 q16 q14 q23
8e2034 ee.vmax.s32                      q15 q8 q11
e0100f0e ee.vmax.s8.ld.incp               q19 a4 q16 q14 q23
e508000e ee.vmax.s8.st.incp               q20 a4 q16 q14 q23
8e2044 ee.vmax.s8                       q15 q8 q11
e0200e0e ee.vmin.s16.ld.incp              q19 a4 q16 q14 q23
e500010e ee.vmin.s16.st.incp              q20 a4 q16 q14 q23
8e2054 ee.vmin.s16                      q15 q8 q11
e0300e0e ee.vmin.s32.ld.incp              q19 a4 q16 q14 q23
e508010e ee.vmin.s32.st.incp              q20 a4 q16 q14 q23
8e2064 ee.vmin.s32                      q15 q8 q11
e0200f0e ee.vmin.s8.ld.incp               q19 a4 q16 q14 q23
e500020e ee.vmin.s8.st.incp               q20 a4 q16 q14 q23
8e2074 ee.vmin.s8                       q15 q8 q11
8e0094 ee.vcmp.eq.s16                   q15 q8 q11
8e00a4 ee.vcmp.eq.s32                   q15 q8 q11
8e00b4 ee.vcmp.eq.s8                    q15 q8 q11
8e00c4 ee.vcmp.gt.s16                   q15 q8 q11
8e00d4 ee.vcmp.gt.s32                   q15 q8 q11
8e00e4 ee.vcmp.gt.s8                    q15 q8 q11
8e00f4 ee.vcmp.lt.s16                   q15 q8 q11
8e2004 ee.vcmp.lt.s32                   q15 q8 q11
8e2014 ee.vcmp.lt.s8                    q15 q8 q11
cd3004 ee.andq                          q15 q46 q5
cd7f04 ee.notq                          q15 q46
cd7004 ee.orq                           q15 q46 q5
cd3104 ee.xorq                          q15 q46 q5
cc0604 ee.slci.2q                       q15 q12 sar16
860004 ee.slcxxp.2q                     q15 q12 a4 a8
cc0a04 ee.srci.2q                       q15 q12 sar16
cc0e04 ee.srcq.128.st.incp              q12 q15 a4
e000000e ee.src.q.ld.ip                   q16 a4 off16src q14 q20
e800000e ee.src.q.ld.xp                   q16 a4 a8 q14 q20
cc0704 ee.src.q.qup                     q4 q12 q15
cc0304 ee.src.q                         q4 q12 q15
c60004 ee.srcxxp.2q                     q15 q12 a4 a8
cd3f04 ee.vsl.32                        q4 q15
cd3f84 ee.vsr.32                        q4 q15
cd7b04 ee.bitrev                        q15 a4
"""

ALIASES = {"mov": ("or", (0, 1, 1))}  # name: instruction, which operand goes where


def _read(table: str) -> dict[str, Instruction]:
    found = {}
    for line in table.strip().splitlines():
        word, name, *operands = line.split()
        base = int(word, 16)
        length = {14: 4, 15: 4}.get(base & 15, 2 if base & 15 >= 8 else 3)
        found[name] = Instruction(name, base, length, tuple(FIELDS[operand] for operand in operands))
    return found


INSTRUCTIONS = {**_read(_CORE), **_read(_PIE)}


def _index() -> dict[int, dict[tuple[int, int], Instruction]]:
    """By length, then by (fixed bits, what they hold)."""
    by_length: dict[int, dict[tuple[int, int], Instruction]] = {2: {}, 3: {}, 4: {}}
    for entry in INSTRUCTIONS.values():
        by_length[entry.length][entry.fixed, entry.base & entry.fixed] = entry
    return by_length


_INDEX = _index()
_MASKS = {
    length: sorted({mask for mask, _ in entries}, key=lambda m: -m.bit_count()) for length, entries in _INDEX.items()
}


def decode(code: bytes, at: int) -> tuple[Instruction, list[int]]:
    """The instruction at `code[at]` and its operands; ValueError for bytes that are none of the table's."""
    low = code[at] & 15
    length = 4 if low >= 14 else 2 if low >= 8 else 3
    word = int.from_bytes(code[at : at + length], "little")
    for mask in _MASKS[length]:
        entry = _INDEX[length].get((mask, word & mask))
        if entry is not None and at + length <= len(code):
            return entry, [field.decode(word ^ entry.base) for field in entry.fields]
    raise ValueError(f"no known instruction at {at}: {code[at : at + 4].hex()}")
