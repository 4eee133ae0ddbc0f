# scan(probe, table, scales, counts, rows, per_row, scores): how alike `probe` is to each row's templates.
#
# A row has `per_row` templates of 128 int8, of which its byte of `counts` are in use; `table` is aligned to 16. A template
# scores (dot << 9) * scale >> 32, a row the best of its templates, -2**31 without any, into the words of `scores`. Returns
# the second best row's score, -2**20 at least.

.equ AT_PROBE, 0
.equ AT_SCORES, 128
.equ AT_ROWS, 132

    entry a1, 176
    argument a2, 0
    mov.n a6, a1
    movi a7, 128
    loop a7, copied
    l8ui a8, a2, 0
    addi.n a2, a2, 1
    s8i a8, a6, 0
    addi.n a6, a6, 1
copied:
    argument a2, 1
    argument a3, 2
    argument a4, 3
    argument a6, 4
    argument a10, 5
    argument a8, 6
    s32i a8, a1, AT_SCORES
    s32i a6, a1, AT_ROWS
    slli a7, a10, 7
    slli a10, a10, 2
    mov.n a5, a1
    .rept 6, i
    ee.vld.128.ip q\i, a5, 16
    .endr

# a2 row of templates   a3 row of scales   a4 counts   a5 probe's byte 96   a6 rows left   a7, a10 bytes a row
# a8 scores   a9, a14 scratch   a11 templates left   a12 template   a13 best   a15 scale
row:
    l8ui a11, a4, 0
    addi.n a4, a4, 1
    movi.n a13, 1
    slli a13, a13, 31
    mov.n a12, a2
    mov.n a15, a3
    beqz a11, scored
template:
    ee.zero.accx
    ee.vld.128.ip q6, a12, 16
    ee.vld.128.ip q7, a12, 16
    ee.vmulas.s8.accx.ld.ip q6, a12, 16, q6, q0
    ee.vmulas.s8.accx.ld.ip q7, a12, 16, q7, q1
    ee.vmulas.s8.accx.ld.ip q6, a12, 16, q6, q2
    ee.vmulas.s8.accx.ld.ip q7, a12, 16, q7, q3
    ee.vmulas.s8.accx.ld.ip q6, a12, 16, q6, q4
    ee.vmulas.s8.accx.ld.ip q7, a5, 16, q7, q5
    l32i a9, a15, 0
    ee.vmulas.s8.accx.ld.ip q6, a12, 16, q6, q7
    ee.vld.128.ip q7, a5, -16
    addi.n a15, a15, 4
    ee.vmulas.s8.accx q6, q7
    rur.accx_0 a14
    slli a14, a14, 9
    mulsh a14, a14, a9
    max a13, a13, a14
    addi.n a11, a11, -1
    bnez a11, template
scored:
    s32i a13, a8, 0
    addi.n a8, a8, 4
    add.n a2, a2, a7
    add.n a3, a3, a10
    addi.n a6, a6, -1
    bnez a6, row

# a9 best   a10 second
    l32i a8, a1, AT_SCORES
    l32i a6, a1, AT_ROWS
    movi.n a9, 1
    slli a9, a9, 31
    srai a10, a9, 11
    loop a6, ranked
    l32i a11, a8, 0
    addi.n a8, a8, 4
    min a12, a9, a11
    max a10, a10, a12
    max a9, a9, a11
ranked:
    slli a2, a10, 1
    addi.n a2, a2, 1
    retw.n
