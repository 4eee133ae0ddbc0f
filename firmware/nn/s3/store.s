# store(arena, out, record): a tensor without its border. 16 bytes at a time where `out` is aligned, else byte by byte.

# a3 out   a4 record   a6 rows   a7 row length   a8 tensor's row   a9 pitch   a10 running
    entry a1, 32
    argument a2, 0
    argument a3, 1
    argument a4, 2
    l32i a6, a4, ROWS
    l32i a7, a4, COLS
    l32i a8, a4, COUT
    mull a7, a7, a8
    l32i a8, a4, OUT
    add.n a8, a8, a2
    l32i a9, a4, OUT_PITCH
    or a10, a3, a7
    or a10, a10, a8
    or a10, a10, a9
    extui a10, a10, 0, 4
    bnez a10, bytes
    srli a7, a7, 4
row:
    mov.n a10, a8
    loop a7, row_end
    ee.vld.128.ip q0, a10, 16
    ee.vst.128.ip q0, a3, 16
row_end:
    add.n a8, a8, a9
    addi.n a6, a6, -1
    bnez a6, row
    leave 1

bytes:
    mov.n a10, a8
    loop a7, bytes_end
    l8ui a11, a10, 0
    addi.n a10, a10, 1
    s8i a11, a3, 0
    addi.n a3, a3, 1
bytes_end:
    add.n a8, a8, a9
    addi.n a6, a6, -1
    bnez a6, bytes
    leave 1
