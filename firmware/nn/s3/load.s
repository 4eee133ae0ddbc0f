# load(arena, pixels, record): 8-bit grey into the input tensor, q = pixel - 128. 16 at a time where rows start and
# end at multiples of 16 on both sides, else byte by byte. 16 channels are 4x4 pixels, row after row: four rows of 16
# pixels are a matrix of words, which is transposed.

# a3 pixels   a4 record   a6 rows   a7 columns   a8 output row   a9 pitch   a10 running   a11 scratch
# patches: a11 a picture's row   a12 columns / 4   a13, a14, a15 second to fourth row
    entry a1, 32
    argument a2, 0
    argument a3, 1
    argument a4, 2
    l32i a6, a4, IN_ROWS
    l32i a7, a4, IN_COLS
    l32i a8, a4, IN
    add.n a8, a8, a2
    l32i a9, a4, IN_PITCH
    movi a10, 0x80
    slli a11, a10, 8
    or a10, a10, a11
    slli a11, a10, 16
    or a10, a10, a11
    ee.zero.q q7
    .rept 4, i
    ee.movi.32.q q7, a10, \i
    .endr
    l32i a10, a4, CIN
    beqi a10, 16, patches
    or a10, a3, a7
    or a10, a10, a8
    or a10, a10, a9
    extui a10, a10, 0, 4
    bnez a10, bytes
    srli a7, a7, 4
row:
    mov.n a10, a8
    loop a7, row_end
    ee.vld.128.ip q0, a3, 16
    ee.xorq q0, q0, q7
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

patches:
    slli a11, a7, 2
    or a10, a3, a11
    extui a10, a10, 0, 4
    movi.n a13, 0
    bnez a10, patch_bytes
    srli a12, a7, 2
patch_row:
    mov.n a10, a8
    add.n a13, a3, a11
    add.n a14, a13, a11
    add.n a15, a14, a11
    loop a12, patch_row_end
    ee.vld.128.ip q0, a3, 16
    ee.vld.128.ip q1, a13, 16
    ee.vld.128.ip q2, a14, 16
    ee.vld.128.ip q3, a15, 16
    ee.xorq q0, q0, q7
    ee.xorq q1, q1, q7
    ee.xorq q2, q2, q7
    ee.xorq q3, q3, q7
    ee.vzip.32 q0, q2
    ee.vzip.32 q1, q3
    ee.vzip.32 q0, q1
    ee.vzip.32 q2, q3
    ee.vst.128.ip q0, a10, 16
    ee.vst.128.ip q1, a10, 16
    ee.vst.128.ip q2, a10, 16
    ee.vst.128.ip q3, a10, 16
patch_row_end:
    mov.n a3, a15
    add.n a8, a8, a9
    addi.n a6, a6, -1
    bnez a6, patch_row
    leave 1

patch_bytes:
    add.n a10, a8, a13
    loop a7, patch_bytes_end
    .rept 4, i
    l8ui a11, a3, \i
    addi a11, a11, -128
    s8i a11, a10, \i
    .endr
    addi.n a3, a3, 4
    addi a10, a10, 16
patch_bytes_end:
    addi.n a13, a13, 4
    bnei a13, 16, patch_bytes
    movi.n a13, 0
    add.n a8, a8, a9
    addi.n a6, a6, -1
    bnez a6, patch_bytes
    leave 1
