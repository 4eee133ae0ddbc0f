# avgpool(arena, record): the mean over the whole map, halves away from zero; 16 channels at a time. Returns 0, nothing
# done, for maps of more than 4095 pixels, whose sums could leave QACC.

# a2 arena, then input   a4 record   a6 channels   a7 row bytes   a8 input   a9 output   a10 rows   a11 columns
# a12 row's start   a13 pixels   a14 half of them   a15 to the next row
    entry a1, 32
    argument a2, 0
    argument a4, 1
    l32i a10, a4, IN_ROWS
    l32i a11, a4, IN_COLS
    mull a13, a10, a11
    srli a14, a13, 12
    bnez a14, unfit
    srli a14, a13, 1
    l32i a6, a4, COUT
    l32i a15, a4, IN_PITCH
    l32i a9, a4, OUT
    add.n a9, a9, a2
    l32i a8, a4, IN
    add.n a2, a2, a8
    mov.n a7, a6
    ee.zero.q q1
    movi.n a8, 1
    slli a12, a8, 8
    or a8, a8, a12
    slli a12, a8, 16
    or a8, a8, a12
    .rept 4, i
    ee.movi.32.q q1, a8, \i
    .endr
block:
    ee.zero.qacc
    mov.n a12, a2
    l32i a10, a4, IN_ROWS
row:
    mov.n a8, a12
    loop a11, row_end
    ee.vld.128.xp q0, a8, a7
    ee.vmulas.s8.qacc q0, q1
row_end:
    add.n a12, a12, a15
    addi.n a10, a10, -1
    bnez a10, row

# The mean of the sum in a8's top 20 bits, into byte `to`.
.macro divide to
    srai a8, a8, 12
    srai a10, a8, 31
    xor a8, a8, a10
    sub a8, a8, a10
    add.n a8, a8, a14
    quou a8, a8, a13
    xor a8, a8, a10
    sub a8, a8, a10
    s8i a8, a9, \to
.endm
# A lane whose low bits end the word `low` and whose rest starts the word `high`; it starts at bit `right`.
.macro lane_over low, high, right, to
    rur.\low a8
    rur.\high a10
    ssai \right
    src a8, a10, a8
    slli a8, a8, 12
    divide \to
.endm
.macro half half, to
    rur.qacc_\half_0 a8
    slli a8, a8, 12
    divide \to
    lane_over qacc_\half_0, qacc_\half_1, 20, (\to + 1)
    rur.qacc_\half_1 a8
    slli a8, a8, 4
    divide (\to + 2)
    lane_over qacc_\half_1, qacc_\half_2, 28, (\to + 3)
    lane_over qacc_\half_2, qacc_\half_3, 16, (\to + 4)
    rur.qacc_\half_3 a8
    slli a8, a8, 8
    divide (\to + 5)
    lane_over qacc_\half_3, qacc_\half_4, 24, (\to + 6)
    rur.qacc_\half_4 a8
    divide (\to + 7)
.endm
    half l, 0
    half h, 8
    addi a9, a9, 16
    addi a2, a2, 16
    addi a6, a6, -16
    bnez a6, block
    leave 1
unfit:
    leave 0
