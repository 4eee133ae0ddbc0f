"""What differs between MicroPython and CPython, for the modules that both read."""

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


__all__ = ("const",)
