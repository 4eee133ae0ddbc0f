"""Large buffers, zeroed in place without allocating."""

import micropython


@micropython.viper
def _zero(buffer: ptr8, length: int):  # noqa: F821
    i = 0
    while i < length:
        buffer[i] = 0
        i += 1


def zero(buffer) -> None:
    """`buffer`: anything of bytes that can be written to."""
    _zero(buffer, len(buffer))
