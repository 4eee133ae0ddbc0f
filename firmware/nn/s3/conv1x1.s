# conv1x1(arena, pack, record): every pixel times a matrix. Weights [Cout / 16][Cin][16], but [Cout / 16][16][Cin] in
# blocks whose sums could leave QACC's 20 bits: those go through ACCX, one channel at a time.
#
# QACC: one instruction multiplies an input channel with 16 weights and loads the weights after next, so that no load
# feeds the next instruction.

# Locals in the frame.
.equ AT_ROWS, 0
.equ AT_BIAS, 4
.equ AT_WEIGHTS, 8
.equ AT_OUT, 12
.equ AT_BLOCKS, 16
.equ AT_BLOCK_OUT, 20

# a2 input row   a4 record     a5 bias block      a6 Cin / 16 - 1   a7 shift      a8 weights, running   a9 output
# a10 Cout       a11 columns   a12 weights block  a13 input         a14 blocks    a15 output row of the block
    entry a1, 64
    argument a2, 0
    argument a3, 1
    argument a4, 2
    l32i a14, a4, ROWS
    s32i a14, a1, AT_ROWS
    l32i a7, a4, SHIFT
    l32i a10, a4, COUT
    l32i a6, a4, CIN
    srli a6, a6, 4
    addi a6, a6, -1
    l32i a8, a4, BIAS
    add a8, a8, a3
    s32i a8, a1, AT_BIAS
    l32i a8, a4, WEIGHTS
    add a8, a8, a3
    s32i a8, a1, AT_WEIGHTS
    l32i a15, a4, OUT
    add a15, a15, a2
    l32i a8, a4, IN
    add a2, a2, a8

row:
    srli a14, a10, 4
    l32i a5, a1, AT_BIAS
    l32i a12, a1, AT_WEIGHTS
    s32i a15, a1, AT_OUT
block:
    mov.n a13, a2
    mov.n a9, a15
    l32i a11, a4, COLS
    unless_qacc a5, a8, accx

.macro tap lane, now, later
    ee.vsmulas.s8.qacc.ld.incp q\later, a8, q\now, q4, \lane
.endm
.macro four_taps lane
    tap \lane, 0, 2
    tap (\lane + 1), 1, 3
    tap (\lane + 2), 2, 0
    tap (\lane + 3), 3, 1
.endm
# All input channels of a pixel; q0 and q1 hold the first weights, before and after.
.macro sums end
    start_from a5
    loopnez a6, \end
    ee.vld.128.ip q4, a13, 16
    .rept 4, i
    four_taps (4 * \i)
    .endr
\end:
    ee.vld.128.ip q4, a13, 16
    .rept 3, i
    four_taps (4 * \i)
    .endr
    tap 12, 0, 2
    tap 13, 1, 3
    mov.n a8, a12
    tap 14, 2, 0
    tap 15, 3, 1
.endm

    mov.n a8, a12
    ee.vld.128.ip q0, a8, 16
    ee.vld.128.ip q1, a8, 16
    l32i a3, a4, LINEAR
    bnez a3, linear
pixel:
    sums last
    ee.srcmb.s8.qacc q6, a7, 0
    ee.vst.128.xp q6, a9, a10
    addi.n a11, a11, -1
    bnez a11, pixel
    j next
linear:
    sums linear_last
    round_away a5, a3, a7
    ee.vst.128.xp q6, a9, a10
    addi.n a11, a11, -1
    bnez a11, linear

next:
    addi a5, a5, 64
    addi.n a8, a6, 1
    slli a8, a8, 8
    add.n a12, a12, a8
    addi a15, a15, 16
    addi.n a14, a14, -1
    bnez a14, block
    l32i a15, a1, AT_OUT
    l32i a8, a4, OUT_PITCH
    add.n a15, a15, a8
    l32i a8, a4, IN_PITCH
    add.n a2, a2, a8
    l32i a8, a1, AT_ROWS
    addi.n a8, a8, -1
    s32i a8, a1, AT_ROWS
    bnez a8, row
    leave 1

# a3 input, running, and scratch   a14 channels   a15 sum
accx:
    s32i a14, a1, AT_BLOCKS
    s32i a15, a1, AT_BLOCK_OUT
    ssr a7
accx_pixel:
    mov.n a8, a12
    movi.n a14, 16
channel:
    ee.zero.accx
    mov.n a3, a13
    ee.vld.128.ip q0, a3, 16
    ee.vld.128.ip q1, a8, 16
    loopnez a6, channel_end
    ee.vmulas.s8.accx.ld.ip q0, a3, 16, q0, q1
    ee.vld.128.ip q1, a8, 16
channel_end:
    ee.vmulas.s8.accx q0, q1
    movi.n a3, 0
    ee.srs.accx a15, a3, 0
    l32i a3, a5, 0
    add.n a15, a15, a3
    l32i a3, a4, LINEAR
    beqz a3, relu
    srai a3, a15, 31
    addx2 a15, a3, a15
    movi.n a3, 1
    ssl a7
    sll a3, a3
    srli a3, a3, 1
    add.n a15, a15, a3
    addi.n a15, a15, 1
    ssr a7
    sra a15, a15
    j clamp
relu:
    sra a15, a15
    addi a15, a15, -128
clamp:
    clamps a15, a15, 7
    s8i a15, a9, 0
    addi.n a9, a9, 1
    addi.n a5, a5, 4
    addi.n a14, a14, -1
    bnez a14, channel
    addi a5, a5, -64
    add.n a9, a9, a10
    addi a9, a9, -16
    addi.n a3, a6, 1
    slli a3, a3, 4
    add.n a13, a13, a3
    addi.n a11, a11, -1
    bnez a11, accx_pixel
    l32i a14, a1, AT_BLOCKS
    l32i a15, a1, AT_BLOCK_OUT
    j next
