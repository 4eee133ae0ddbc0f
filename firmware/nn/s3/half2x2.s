# half2x2(src, dst, w, h): see firmware/vision/image.py. Returns 0, nothing done, unless both buffers start at a multiple
# of 16 and w is a multiple of 32.
#
# Pixels less 128 are int8; four of them and 2, shifted right by 2, plus 128, are the rounded mean.

# a2 src   a3 dst   a4 shift   a6 w / 32   a7 rows left   a8 row below   a9 w   a10, a11 scratch
    entry a1, 32
    argument a2, 0
    argument a3, 1
    argument a9, 2
    argument a7, 3
    or a10, a2, a3
    slli a11, a9, 27
    srli a11, a11, 12
    extui a10, a10, 0, 4
    or a10, a10, a11
    bnez a10, unfit
    ee.zero.q q6
    ee.zero.q q7
    movi a10, 0x101
    slli a11, a10, 16
    or a10, a10, a11
    slli a11, a10, 7
    .rept 4, i
    ee.movi.32.q q6, a10, \i
    ee.movi.32.q q7, a11, \i
    .endr
    ee.vadds.s8 q5, q6, q6
    srli a6, a9, 5
    movi.n a4, 2
row:
    add.n a8, a2, a9
    loop a6, row_end
    ee.vld.128.ip q0, a2, 16
    ee.vld.128.ip q1, a2, 16
    ee.vld.128.ip q2, a8, 16
    ee.vld.128.ip q3, a8, 16
    ee.vunzip.8 q0, q1
    ee.vunzip.8 q2, q3
    ee.xorq q0, q0, q7
    ee.xorq q1, q1, q7
    ee.xorq q2, q2, q7
    ee.xorq q3, q3, q7
    ee.mov.s8.qacc q5
    ee.vmulas.s8.qacc q0, q6
    ee.vmulas.s8.qacc q1, q6
    ee.vmulas.s8.qacc q2, q6
    ee.vmulas.s8.qacc q3, q6
    ee.srcmb.s8.qacc q0, a4, 0
    ee.xorq q0, q0, q7
    ee.vst.128.ip q0, a3, 16
row_end:
    mov.n a2, a8
    addi a7, a7, -2
    bnez a7, row
    leave 1
unfit:
    leave 0
