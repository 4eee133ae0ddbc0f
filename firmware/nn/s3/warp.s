# warp(src, w, h, dst, n, a, b, tx, ty): see firmware/vision/image.py. Interior pixels take the short way; where a
# neighbour lies outside, columns and rows are clamped.

.equ AT_LEFT, 0
.equ AT_RIGHT, 4
.equ AT_LOW, 8
.equ AT_UPPER, 12
.equ AT_U, 16
.equ AT_V, 20
.equ AT_N, 24
.equ AT_ROWS, 28

# a2 src   a3 w   a4 w - 1   a5 h - 1   a6 dst   a7 u   a8 v   a9 a   a10 b   a11 columns left   a12..a15 scratch
    entry a1, 80
    argument a2, 0
    argument a3, 1
    argument a6, 3
    argument a11, 4
    argument a9, 5
    argument a10, 6
    argument a7, 7
    argument a8, 8
    argument a5, 2
    addi.n a5, a5, -1
    addi.n a4, a3, -1
    s32i a7, a1, AT_U
    s32i a8, a1, AT_V
    s32i a11, a1, AT_N
    s32i a11, a1, AT_ROWS
pixel:
    srai a12, a7, 16
    srai a13, a8, 16
    bgeu a12, a4, edge
    bgeu a13, a5, edge
    mull a13, a13, a3
    add.n a12, a12, a2
    add.n a13, a13, a12
    l8ui a12, a13, 0
    l8ui a14, a13, 1
    extui a15, a7, 8, 8
    sub a14, a14, a12
    mull a14, a14, a15
    add.n a13, a13, a3
    slli a12, a12, 8
    add.n a12, a12, a14
    l8ui a14, a13, 0
    l8ui a13, a13, 1
    add.n a7, a7, a9
    sub a13, a13, a14
    mull a13, a13, a15
    slli a14, a14, 8
    extui a15, a8, 8, 8
    add.n a14, a14, a13
# a12 upper row's mean   a14 lower row's   a15 fraction
blend:
    sub a14, a14, a12
    mull a14, a14, a15
    slli a12, a12, 8
    add.n a8, a8, a10
    add.n a12, a12, a14
    srli a12, a12, 15
    addi.n a12, a12, 1
    srli a12, a12, 1
    s8i a12, a6, 0
    addi.n a6, a6, 1
    addi.n a11, a11, -1
    bnez a11, pixel
    l32i a7, a1, AT_U
    l32i a8, a1, AT_V
    sub a7, a7, a10
    add.n a8, a8, a9
    s32i a7, a1, AT_U
    s32i a8, a1, AT_V
    l32i a11, a1, AT_ROWS
    addi.n a11, a11, -1
    s32i a11, a1, AT_ROWS
    mov.n a12, a11
    l32i a11, a1, AT_N
    bnez a12, pixel
    leave 1

.macro clamp at, past, limit
    addi.n \past, \at, 1
    max \at, \at, a15
    min \at, \at, \limit
    max \past, \past, a15
    min \past, \past, \limit
.endm
edge:
    movi.n a15, 0
    clamp a12, a14, a4
    s32i a12, a1, AT_LEFT
    s32i a14, a1, AT_RIGHT
    clamp a13, a14, a5
    mull a13, a13, a3
    mull a14, a14, a3
    add.n a13, a13, a2
    add.n a14, a14, a2
    s32i a14, a1, AT_LOW
    add.n a14, a13, a12
    l8ui a14, a14, 0
    l32i a15, a1, AT_RIGHT
    add.n a13, a13, a15
    l8ui a13, a13, 0
    extui a15, a7, 8, 8
    sub a13, a13, a14
    mull a13, a13, a15
    slli a14, a14, 8
    add.n a14, a14, a13
    s32i a14, a1, AT_UPPER
    l32i a13, a1, AT_LOW
    add.n a12, a13, a12
    l8ui a12, a12, 0
    l32i a14, a1, AT_RIGHT
    add.n a13, a13, a14
    l8ui a13, a13, 0
    add.n a7, a7, a9
    sub a13, a13, a12
    mull a13, a13, a15
    slli a12, a12, 8
    add.n a14, a12, a13
    l32i a12, a1, AT_UPPER
    extui a15, a8, 8, 8
    j blend
