# load(arena, pixels, record): 8-bit grey into the input tensor, q = pixel - 128. 16 at a time where rows start and
# end at multiples of 16 on both sides, else byte by byte.

# a3 pixels   a4 record   a6 rows   a7 columns   a8 output row   a9 pitch   a10 running
    entry a1, 32
    argument a2, 0
    argument a3, 1
    argument a4, 2
    l32i a6, a4, IN_ROWS
    l32i a7, a4, IN_COLS
    l32i a8, a4, IN
    add.n a8, a8, a2
    l32i a9, a4, IN_PITCH
    or a10, a3, a7
    or a10, a10, a8
    or a10, a10, a9
    extui a10, a10, 0, 4
    bnez a10, bytes
    movi a10, 0x80
    slli a11, a10, 8
    or a10, a10, a11
    slli a11, a10, 16
    or a10, a10, a11
    ee.zero.q q1
    .rept 4, i
    ee.movi.32.q q1, a10, \i
    .endr
    srli a7, a7, 4
row:
    mov.n a10, a8
    loop a7, row_end
    ee.vld.128.ip q0, a3, 16
    ee.xorq q0, q0, q1
    ee.vst.128.ip q0, a10, 16
row_end:
    add.n a8, a8, a9
    addi.n a6, a6, -1
    bnez a6, row
    leave 1

bytes:
    mov.n a10, a8
    loop a7, bytes_end
    l8ui a11, a3, 0
    addi.n a3, a3, 1
    addi a11, a11, -128
    s8i a11, a10, 0
    addi.n a10, a10, 1
bytes_end:
    add.n a8, a8, a9
    addi.n a6, a6, -1
    bnez a6, bytes
    leave 1
