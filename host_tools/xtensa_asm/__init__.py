"""An assembler for the ESP32-S3's core and vector instructions, and a writer of `.mpy` files with machine code."""

from host_tools.xtensa_asm.assembler import AsmError, assemble, encode_line

__all__ = ["AsmError", "assemble", "encode_line"]
