# dots(probe, templates, count, out): out[i] = probe . template i, vectors of 128 int8. 16 at a time where both start at
# multiples of 16, else byte by byte.

# a2 probe   a3 templates   a4 count   a6 out   a7 8 or 128   a8 probe, running   a9 sum   a10, a11 scratch
    entry a1, 32
    argument a2, 0
    argument a3, 1
    argument a4, 2
    argument a6, 3
    movi.n a7, 8
    or a8, a2, a3
    extui a8, a8, 0, 4
    bnez a8, bytes
template:
    mov.n a8, a2
    ee.zero.accx
    loop a7, summed
    ee.vld.128.ip q0, a8, 16
    ee.vld.128.ip q1, a3, 16
    ee.vmulas.s8.accx q0, q1
summed:
    rur.accx_0 a9
    s32i a9, a6, 0
    addi.n a6, a6, 4
    addi.n a4, a4, -1
    bnez a4, template
    leave 1

bytes:
    movi a7, 128
slow_template:
    mov.n a8, a2
    movi.n a9, 0
    loop a7, slow_summed
    l8ui a10, a8, 0
    l8ui a11, a3, 0
    addi.n a8, a8, 1
    sext a10, a10, 7
    sext a11, a11, 7
    addi.n a3, a3, 1
    mull a10, a10, a11
    add.n a9, a9, a10
slow_summed:
    s32i a9, a6, 0
    addi.n a6, a6, 4
    addi.n a4, a4, -1
    bnez a4, slow_template
    leave 1
