# scaled1x1(arena, pack, record): conv1x1 with a multiplier for each channel. Weights [Cout][Cin], biases words.

.equ AT_ROWS, 0
.equ AT_BIAS, 4
.equ AT_WEIGHTS, 8
.equ AT_SCALES, 12
.equ AT_OUT, 16

# a2 input row   a3 input, running, and scratch   a4 record   a5 biases   a6 Cin / 16 - 1   a7 scales   a8 weights
# a9 output      a10 zero point   a11 columns   a12 sum   a13 input   a14 channels   a15 scratch
    entry a1, 64
    argument a2, 0
    argument a3, 1
    argument a4, 2
    l32i a6, a4, CIN
    srli a6, a6, 4
    addi a6, a6, -1
    l32i a8, a4, ROWS
    s32i a8, a1, AT_ROWS
    l32i a8, a4, BIAS
    add.n a8, a8, a3
    s32i a8, a1, AT_BIAS
    l32i a8, a4, WEIGHTS
    add.n a8, a8, a3
    s32i a8, a1, AT_WEIGHTS
    l32i a8, a4, SCALES
    add.n a8, a8, a3
    s32i a8, a1, AT_SCALES
    l32i a8, a4, OUT
    add.n a8, a8, a2
    s32i a8, a1, AT_OUT
    l32i a8, a4, IN
    add.n a2, a2, a8
    zero_point a10

row:
    mov.n a13, a2
    l32i a9, a1, AT_OUT
    l32i a11, a4, COLS
pixel:
    l32i a5, a1, AT_BIAS
    l32i a7, a1, AT_SCALES
    l32i a8, a1, AT_WEIGHTS
    l32i a14, a4, COUT
channel:
    ee.zero.accx
    mov.n a3, a13
    ee.vld.128.ip q0, a3, 16
    ee.vld.128.ip q1, a8, 16
    loopnez a6, summed
    ee.vmulas.s8.accx.ld.ip q0, a3, 16, q0, q1
    ee.vld.128.ip q1, a8, 16
summed:
    l32i a15, a5, 0
    ee.vmulas.s8.accx q0, q1
    addi.n a5, a5, 4
    rur.accx_0 a12
    add.n a12, a12, a15
    scale a12, a7, a10, a15, a3
    addi.n a7, a7, 8
    s8i a12, a9, 0
    addi.n a9, a9, 1
    addi.n a14, a14, -1
    bnez a14, channel
    addi.n a15, a6, 1
    slli a15, a15, 4
    add.n a13, a13, a15
    addi.n a11, a11, -1
    bnez a11, pixel
    l32i a8, a4, IN_PITCH
    add.n a2, a2, a8
    l32i a8, a1, AT_OUT
    l32i a9, a4, OUT_PITCH
    add.n a8, a8, a9
    s32i a8, a1, AT_OUT
    l32i a8, a1, AT_ROWS
    addi.n a8, a8, -1
    s32i a8, a1, AT_ROWS
    bnez a8, row
    leave 1
