# fill(arena, border): a border's zero point into its runs. border: value + 128, count of runs, then per run start, bytes,
# gap, repeats. Aligned runs go 16 bytes at a time.

# a2 arena   a4 run   a6 runs   a7 value   a8 start   a9 bytes   a10 gap   a11 repeats   a12, a13 running
    entry a1, 64
    argument a2, 0
    argument a4, 1
    l32i a7, a4, 0
    addi a7, a7, -128
    l32i a6, a4, 4
    s8i a7, a1, 0
    ee.vldbc.8 q0, a1
run:
    addi a4, a4, 8
    l32i a8, a4, 0
    add.n a8, a8, a2
    l32i a9, a4, 4
    l32i a10, a4, 8
    l32i a11, a4, 12
    addi a4, a4, 8
    or a12, a8, a9
    or a12, a12, a10
    extui a12, a12, 0, 4
    bnez a12, bytes
    srli a13, a9, 4
repeat:
    mov.n a12, a8
    loop a13, repeat_end
    ee.vst.128.ip q0, a12, 16
repeat_end:
    add.n a8, a8, a10
    addi.n a11, a11, -1
    bnez a11, repeat
    j next
bytes:
    mov.n a12, a8
    loop a9, bytes_end
    s8i a7, a12, 0
    addi.n a12, a12, 1
bytes_end:
    add.n a8, a8, a10
    addi.n a11, a11, -1
    bnez a11, bytes
next:
    addi.n a6, a6, -1
    bnez a6, run
    leave 1
