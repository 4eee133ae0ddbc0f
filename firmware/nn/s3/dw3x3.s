# dw3x3(arena, pack, record): 3x3 depthwise, 16 channels at a time. Weights [C / 16][9][16]. Returns 0, nothing done,
# when a block of biases is not for QACC.
#
# Five of the nine weights stay in registers for a row. The input of the next pixel's first tap is loaded with the last:
# it lies within this row's window.

.equ AT_ROWS, 0
.equ AT_BIAS, 4
.equ AT_WEIGHTS, 8
.equ AT_OUT, 12

# a2 input row   a4 record     a5 bias block   a6 C          a7 to the next row of a window   a8 weights 5..8   a9 output
# a10 offset of the block      a11 columns     a12 blocks    a13 input   a14 to the next window       a15 shift
    entry a1, 64
    argument a2, 0
    argument a3, 1
    argument a4, 2
    l32i a6, a4, COUT
    l32i a15, a4, SHIFT
    l32i a8, a4, BIAS
    add.n a8, a8, a3
    s32i a8, a1, AT_BIAS
    srli a12, a6, 4
check:
    unless_qacc a8, a9, unfit
    addi a8, a8, 64
    addi.n a12, a12, -1
    bnez a12, check
    l32i a8, a4, WEIGHTS
    add.n a8, a8, a3
    s32i a8, a1, AT_WEIGHTS
    l32i a8, a4, ROWS
    s32i a8, a1, AT_ROWS
    l32i a8, a4, OUT
    add.n a8, a8, a2
    s32i a8, a1, AT_OUT
    l32i a8, a4, IN_PITCH
    slli a9, a6, 1
    sub a7, a8, a9
    l32i a14, a4, STRIDE
    mull a14, a14, a6
    sub a14, a14, a9
    sub a14, a14, a8
    sub a14, a14, a8
    l32i a8, a4, IN
    add.n a2, a2, a8

row:
    srli a12, a6, 4
    l32i a5, a1, AT_BIAS
    l32i a8, a1, AT_WEIGHTS
    movi.n a10, 0
block:
    add.n a13, a2, a10
    l32i a9, a1, AT_OUT
    add.n a9, a9, a10
    l32i a11, a4, COLS
    l32i a3, a4, LINEAR
    ee.vld.128.ip q0, a8, 16
    ee.vld.128.ip q1, a8, 16
    ee.vld.128.ip q2, a8, 16
    ee.vld.128.ip q3, a8, 16
    ee.vld.128.ip q4, a8, 16
    ee.vld.128.xp q5, a13, a6
    bnez a3, linear

# The nine taps; q5 holds the first tap's input, before and after.
.macro taps
    ee.vld.128.xp q6, a13, a6
    start_from a5
    ee.vmulas.s8.qacc.ld.xp q5, a13, a7, q5, q0
    ee.vmulas.s8.qacc.ld.xp q6, a13, a6, q6, q1
    ee.vmulas.s8.qacc.ld.xp q5, a13, a6, q5, q2
    ee.vmulas.s8.qacc.ld.xp q6, a13, a7, q6, q3
    ee.vld.128.ip q7, a8, 16
    ee.vmulas.s8.qacc.ld.xp q5, a13, a6, q5, q4
    ee.vmulas.s8.qacc.ld.ip q7, a8, 16, q6, q7
    ee.vld.128.xp q6, a13, a6
    ee.vmulas.s8.qacc.ld.ip q7, a8, 16, q5, q7
    ee.vld.128.xp q5, a13, a14
    ee.vmulas.s8.qacc.ld.ip q7, a8, -48, q6, q7
    ee.vmulas.s8.qacc.ld.xp q5, a13, a6, q5, q7
.endm

    loop a11, next
    taps
    ee.srcmb.s8.qacc q6, a15, 0
    ee.vst.128.xp q6, a9, a6
next:
    addi a5, a5, 64
    addi a8, a8, 64
    addi a10, a10, 16
    addi.n a12, a12, -1
    bnez a12, block
    l32i a8, a4, OUT_PITCH
    l32i a9, a1, AT_OUT
    add.n a9, a9, a8
    s32i a9, a1, AT_OUT
    l32i a8, a4, IN_PITCH
    l32i a9, a4, STRIDE
    mull a8, a8, a9
    add.n a2, a2, a8
    l32i a8, a1, AT_ROWS
    addi.n a8, a8, -1
    s32i a8, a1, AT_ROWS
    bnez a8, row
    leave 1

linear:
    loop a11, linear_end
    taps
    round_away a5, a3, a15
    ee.vst.128.xp q6, a9, a6
linear_end:
    j next
unfit:
    leave 0
