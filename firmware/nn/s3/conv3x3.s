# conv3x3(arena, pack, record): 3x3 over the grey image, whose bytes may lie anywhere. Weights [Cout / 16][9][16].
# Returns 0, nothing done, when a block of biases is not for QACC.

.equ AT_ROWS, 0
.equ AT_BIAS, 4
.equ AT_WEIGHTS, 8
.equ AT_OUT, 12

# a2 input row   a4 record     a5 bias block   a6 Cout       a7 to the next row of a window   a8 weights        a9 output
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
    addi.n a7, a8, -1
    addi.n a7, a7, -1
    l32i a14, a4, STRIDE
    addi a14, a14, -2
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
    mov.n a13, a2
    l32i a9, a1, AT_OUT
    add.n a9, a9, a10
    l32i a11, a4, COLS
    l32i a3, a4, LINEAR
    ee.vld.128.ip q0, a8, 16
    ee.vld.128.ip q1, a8, 16
    bnez a3, linear

# The nine taps, each a byte in all lanes; q0 and q1 hold the first weights, before and after.
.macro taps
    ee.vldbc.8.ip q4, a13, 1
    ee.vldbc.8.ip q5, a13, 1
    start_from a5
    ee.vmulas.s8.qacc.ld.ip q2, a8, 16, q4, q0
    ee.vldbc.8.xp q4, a13, a7
    ee.vmulas.s8.qacc.ld.ip q0, a8, 16, q5, q1
    ee.vldbc.8.ip q5, a13, 1
    ee.vmulas.s8.qacc.ld.ip q1, a8, 16, q4, q2
    ee.vldbc.8.ip q4, a13, 1
    ee.vmulas.s8.qacc.ld.ip q2, a8, 16, q5, q0
    ee.vldbc.8.xp q5, a13, a7
    ee.vmulas.s8.qacc.ld.ip q0, a8, 16, q4, q1
    ee.vldbc.8.ip q4, a13, 1
    ee.vmulas.s8.qacc.ld.ip q1, a8, 16, q5, q2
    ee.vldbc.8.ip q5, a13, 1
    ee.vmulas.s8.qacc.ld.ip q2, a8, -128, q4, q0
    ee.vldbc.8.xp q4, a13, a14
    ee.vmulas.s8.qacc.ld.ip q0, a8, 16, q5, q1
    ee.vmulas.s8.qacc.ld.ip q1, a8, 16, q4, q2
.endm

    loop a11, next
    taps
    ee.srcmb.s8.qacc q6, a15, 0
    ee.vst.128.xp q6, a9, a6
next:
    addi a5, a5, 64
    addi a8, a8, 112
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
