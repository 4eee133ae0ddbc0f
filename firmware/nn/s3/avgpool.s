# avgpool(arena, record): the mean over the whole map, halves away from zero; 16 channels at a time. Returns 0, nothing
# done, for maps of more than 4095 pixels, whose sums could leave QACC.

# a2 arena, then input   a3 lanes   a4 record   a6 channels   a7 row bytes   a8 input   a9 output   a10 rows   a11 columns
# a12 row's start   a13 pixels   a14 half of them   a15 to the next row
    entry a1, 96
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

    spill_lanes a1, a8, a10
    mov.n a3, a1
    movi.n a5, 16
    loop a5, divided
    l32i a8, a3, 0
    addi.n a3, a3, 4
    srai a10, a8, 31
    xor a8, a8, a10
    sub a8, a8, a10
    add.n a8, a8, a14
    quou a8, a8, a13
    xor a8, a8, a10
    sub a8, a8, a10
    s8i a8, a9, 0
    addi.n a9, a9, 1
divided:
    addi a2, a2, 16
    addi a6, a6, -16
    bnez a6, block
    leave 1
unfit:
    leave 0
