# scaled3x3(arena, pack, record): conv3x3 over the grey image and dw3x3 with a multiplier for each channel; without
# SCALES, where a shift serves all channels, for biases that QACC cannot hold. Weights [C / 16][9][16], biases words.
#
# Nine products of int8 cannot leave a lane of 20 bits. The lanes go to the stack; the rest is scalar.

.equ AT_UNIFORM, 64
.equ AT_SCALES, 72
.equ AT_STEP, 76
.equ AT_BIAS, 80
.equ AT_WEIGHTS, 84
.equ AT_ROW, 88
.equ AT_OUT, 92
.equ AT_ROWS, 96
.equ AT_COLS, 100
.equ AT_PIXEL, 104
.equ AT_BLOCK, 108
.equ AT_DOWN, 112

# a2 blocks   a3 lanes   a4 record   a5 biases   a6 depth: C, or 1 of the image   a7 scales   a8 weights   a9 output
# a10 bytes to the next channel's scale   a11 zero point   a12 sum   a13 input   a14, a15 scratch
    entry a1, 160
    argument a2, 0
    argument a3, 1
    argument a4, 2
    l32i a6, a4, CIN
    l32i a8, a4, ROWS
    s32i a8, a1, AT_ROWS
    l32i a8, a4, BIAS
    add.n a8, a8, a3
    s32i a8, a1, AT_BIAS
    l32i a8, a4, WEIGHTS
    add.n a8, a8, a3
    s32i a8, a1, AT_WEIGHTS
    l32i a8, a4, OUT
    add.n a8, a8, a2
    s32i a8, a1, AT_OUT
    l32i a8, a4, IN
    add.n a8, a8, a2
    s32i a8, a1, AT_ROW
    slli a9, a6, 1
    l32i a8, a4, IN_PITCH
    sub a8, a8, a9
    s32i a8, a1, AT_DOWN
    zero_point a11
    movi.n a10, 8
    l32i a8, a4, SCALES
    add.n a7, a8, a3
    bnez a8, ready
# 2**-shift as a multiplier: 2**30 * 2**-31 * 2**-(shift - 1)
    movi.n a8, 1
    slli a8, a8, 30
    s32i a8, a1, AT_UNIFORM
    l32i a8, a4, SHIFT
    addi a8, a8, -2
    s32i a8, a1, AT_UNIFORM + 4
    addi a7, a1, AT_UNIFORM
    movi.n a10, 0
ready:
    s32i a7, a1, AT_SCALES

row:
    l32i a8, a1, AT_ROW
    s32i a8, a1, AT_PIXEL
    l32i a9, a1, AT_OUT
    l32i a8, a4, COLS
    s32i a8, a1, AT_COLS
pixel:
    l32i a2, a4, COUT
    srli a2, a2, 4
    l32i a5, a1, AT_BIAS
    l32i a7, a1, AT_SCALES
    l32i a8, a1, AT_WEIGHTS
    l32i a13, a1, AT_PIXEL
    l32i a12, a1, AT_DOWN
block:
    s32i a13, a1, AT_BLOCK
    ee.zero.qacc
    beqi a6, 1, image

.macro tap_of_map step
    ee.vld.128.xp q0, a13, \step
    ee.vld.128.ip q1, a8, 16
    ee.vmulas.s8.qacc q0, q1
.endm
.macro tap_of_image
    ee.vldbc.8.ip q0, a13, 1
    ee.vld.128.ip q1, a8, 16
    ee.vmulas.s8.qacc q0, q1
.endm
.macro end_row_of_image
    ee.vldbc.8.xp q0, a13, a12
    ee.vld.128.ip q1, a8, 16
    ee.vmulas.s8.qacc q0, q1
.endm
    .rept 3, y
    tap_of_map a6
    tap_of_map a6
    tap_of_map a12
    .endr
    j summed
image:
    .rept 3, y
    tap_of_image
    tap_of_image
    end_row_of_image
    .endr
summed:
    spill_lanes a1, a14, a15
    mov.n a3, a1
    movi.n a12, 16
    loop a12, block_end
    l32i a12, a3, 0
    l32i a14, a5, 0
    addi.n a3, a3, 4
    addi.n a5, a5, 4
    add.n a12, a12, a14
    scale a12, a7, a11, a14, a15
    add.n a7, a7, a10
    s8i a12, a9, 0
    addi.n a9, a9, 1
block_end:
    l32i a13, a1, AT_BLOCK
    l32i a12, a1, AT_DOWN
    beqi a6, 1, same_input
    addi a13, a13, 16
same_input:
    addi.n a2, a2, -1
    bnez a2, block
    l32i a8, a4, STRIDE
    mull a8, a8, a6
    l32i a13, a1, AT_PIXEL
    add.n a13, a13, a8
    s32i a13, a1, AT_PIXEL
    l32i a8, a1, AT_COLS
    addi.n a8, a8, -1
    s32i a8, a1, AT_COLS
    bnez a8, pixel
    l32i a8, a4, OUT_PITCH
    l32i a9, a1, AT_OUT
    add.n a9, a9, a8
    s32i a9, a1, AT_OUT
    l32i a8, a4, IN_PITCH
    l32i a9, a4, STRIDE
    mull a8, a8, a9
    l32i a9, a1, AT_ROW
    add.n a9, a9, a8
    s32i a9, a1, AT_ROW
    l32i a8, a1, AT_ROWS
    addi.n a8, a8, -1
    s32i a8, a1, AT_ROWS
    bnez a8, row
    leave 1
