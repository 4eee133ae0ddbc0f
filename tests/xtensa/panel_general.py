"""Runs under MicroPython: `panel_general.py KIND ARENA PACK RECORD` runs one of firmware/nn/s3/general.py's operators
on files; ARENA is rewritten.
"""

import sys
from array import array

from firmware.nn.s3 import general


def main(kind: str, *paths: str) -> None:
    buffers = []
    for path in paths:
        with open(path, "rb") as file:
            buffers.append(bytearray(file.read()))
    arena, pack, record = buffers
    getattr(general, kind)(arena, pack, 0, array("i", record))
    with open(paths[0], "wb") as file:
        file.write(arena)


main(*sys.argv[1:])
