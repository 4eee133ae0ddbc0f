# pick(scores, rows, least, out, room): the rows that score at least `least`, their numbers into the words of `out`.
# Returns how many there are, though at most `room` are written.

# a2 scores   a4 least   a6 out   a7 room   a8 row   a9 found   a10 score
    entry a1, 32
    argument a2, 0
    argument a3, 1
    argument a4, 2
    argument a6, 3
    argument a7, 4
    movi.n a8, 0
    movi.n a9, 0
    loop a3, done
    l32i a10, a2, 0
    addi.n a2, a2, 4
    blt a10, a4, below
    addi.n a9, a9, 1
    blt a7, a9, below
    s32i a8, a6, 0
    addi.n a6, a6, 4
below:
    addi.n a8, a8, 1
done:
    slli a2, a9, 1
    addi.n a2, a2, 1
    retw.n
