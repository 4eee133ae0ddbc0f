# clear(buffer, n): n zero bytes from `buffer`, at any address.

# a2 running   a3 left   a6 zero   a7 scratch
    entry a1, 32
    argument a2, 0
    argument a3, 1
    movi.n a6, 0
    ee.zero.q q0
head:
    beqz a3, done
    extui a7, a2, 0, 4
    beqz a7, lines
    s8i a6, a2, 0
    addi.n a2, a2, 1
    addi.n a3, a3, -1
    j head
lines:
    srli a7, a3, 4
    loopnez a7, tail
    ee.vst.128.ip q0, a2, 16
tail:
    extui a3, a3, 0, 4
    loopnez a3, done
    s8i a6, a2, 0
    addi.n a2, a2, 1
done:
    leave 1
