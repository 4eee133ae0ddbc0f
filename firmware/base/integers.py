"""Integer arithmetic that MicroPython's math lacks."""


def isqrt(n: int) -> int:
    """The integer square root (Newton)."""
    if n < 2:
        return n
    bits = 0
    rest = n
    while rest:
        rest >>= 1
        bits += 1
    x = 1 << ((bits + 1) >> 1)
    while True:
        y = (x + n // x) >> 1
        if y >= x:
            return x
        x = y
