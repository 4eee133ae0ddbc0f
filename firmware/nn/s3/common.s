# What the routines share. A routine is called as MicroPython calls machine code of kind VIPER: a5 points at its
# arguments, small ints; the result, a small int too, goes into a2. It may use a2..a15 and everything of the vector unit.

# The operator's record (firmware/nn/model.py), byte offsets.
.equ IN, 0
.equ IN_PITCH, 4
.equ OUT, 8
.equ OUT_PITCH, 12
.equ ROWS, 16
.equ COLS, 20
.equ CIN, 24
.equ COUT, 28
.equ WEIGHTS, 32
.equ BIAS, 36
.equ SHIFT, 40
.equ LINEAR, 44
.equ SECOND, 48
.equ SECOND_PITCH, 52
.equ STRIDE, 56
.equ IN_ROWS, 60
.equ IN_COLS, 64
.equ ZERO, 68
.equ SCALES, 72

# 64 bytes of bias for 16 channels, as firmware/nn/s3/prepare.py writes them. For QACC:
#    0  16 bytes and 16..19: lanes 0 to 7, 20 bits each      32  16 bytes and 48..51: lanes 8 to 15
#   24  bytes 1, h1, h2 with h1 * h2 = 2**(shift - 1)        60  the mark that this is for QACC
# For ACCX and for the scaled routines: 16 words.
.equ MARK_AT, 60
.equ MARK, 1
.equ TIES_AT, 24

.macro argument register, index
    l32i \register, a5, 4 * \index
    srai \register, \register, 1
.endm

.macro leave value
    movi.n a2, 2 * \value + 1
    retw.n
.endm

# QACC = the 16 biases at `bias`.
.macro start_from bias
    ee.ld.qacc_l.l.128.ip \bias, 16
    ee.ld.qacc_l.h.32.ip \bias, 16
    ee.ld.qacc_h.l.128.ip \bias, 16
    ee.ld.qacc_h.h.32.ip \bias, -48
.endm

# Branches to `other` unless the block at `bias` is for QACC. (A word of an ACCX block has equal top bits.)
.macro unless_qacc bias, scratch, other
    l32i \scratch, \bias, MARK_AT
    extui \scratch, \scratch, 30, 2
    addi \scratch, \scratch, -MARK
    bnez \scratch, \other
.endm

# q6 = QACC / 2**shift, halves away from zero, saturated: what TFLite does to a linear output. QACC shifted by nothing
# shows the sign; a lane then gets +1, or -1 below zero, and half a unit. Uses q6 and q7.
.macro round_away bias, scratch, shift
    movi.n \scratch, 0
    ee.srcmb.s8.qacc q6, \scratch, 0
    addi \scratch, \bias, TIES_AT
    ee.zero.q q7
    ee.vcmp.lt.s8 q6, q6, q7
    ee.vldbc.8.ip q7, \scratch, 1
    ee.orq q6, q6, q7
    ee.vmulas.s8.qacc q6, q7
    ee.vldbc.8.ip q6, \scratch, 1
    ee.vldbc.8.ip q7, \scratch, 1
    ee.vmulas.s8.qacc q6, q7
    ee.srcmb.s8.qacc q6, \shift, 0
.endm

# QACC's 16 lanes as words to \at, an address aligned to 4.
.macro spill_lanes at, x, y
    spill_half l, 0, \at, \x, \y
    spill_half h, 32, \at, \x, \y
.endm
.macro spill_half half, to, at, x, y
    rur.qacc_\half_0 \x
    slli \y, \x, 12
    spill \y, \at, (\to)
    rur.qacc_\half_1 \y
    ssai 20
    src \x, \y, \x
    slli \x, \x, 12
    spill \x, \at, (\to + 4)
    slli \x, \y, 4
    spill \x, \at, (\to + 8)
    rur.qacc_\half_2 \x
    ssai 28
    src \y, \x, \y
    slli \y, \y, 12
    spill \y, \at, (\to + 12)
    rur.qacc_\half_3 \y
    ssai 16
    src \x, \y, \x
    slli \x, \x, 12
    spill \x, \at, (\to + 16)
    slli \x, \y, 8
    spill \x, \at, (\to + 20)
    rur.qacc_\half_4 \x
    ssai 24
    src \y, \x, \y
    slli \y, \y, 12
    spill \y, \at, (\to + 24)
    spill \x, \at, (\to + 28)
.endm
# The lane in the top 20 bits of \x.
.macro spill x, at, to
    srai \x, \x, 12
    s32i \x, \at, \to
.endm

# \to = an output's zero point: 0 for a linear output, -128 after a ReLU.
.macro zero_point to
    l32i \to, a4, LINEAR
    addi \to, \to, -1
    slli \to, \to, 7
.endm

# \sum times its multiplier at \table, the zero point added, saturated: TFLite's double rounding. The table's words are
# m and e - 1: first sum * m / 2**31 to nearest, halves up; then / 2**e to nearest, halves away from zero.
.macro scale sum, table, zero, x, y
    l32i \x, \table, 0
    ssai 30
    mulsh \y, \sum, \x
    mull \x, \sum, \x
    src \sum, \y, \x
    l32i \x, \table, 4
    addi.n \sum, \sum, 1
    srai \sum, \sum, 1
    ssr \x
    srai \y, \sum, 31
    add.n \sum, \sum, \y
    sra \sum, \sum
    addi.n \sum, \sum, 1
    srai \sum, \sum, 1
    add.n \sum, \sum, \zero
    clamps \sum, \sum, 7
.endm
