"""Kernels for the ESP32-S3's vector unit: machine code in routines.mpy, made from the *.s beside it by
`python -m host_tools.xtensa_asm.build`. The interface stands in firmware/nn/kernels.py.

Activations are kept as int8. The accumulator QACC holds 20 bits a lane; prepare.py finds out, from an operator's
weights, whether that is enough.
"""

from uctypes import addressof

from firmware.base.compat import const
from firmware.nn.s3 import general
from firmware.nn.s3.prepare import prepare

_TAPS = const(20)  # of an operator's record


class Kernels:
    """The set over the routines of `machine`, a module. Its attributes are plain functions of one captured name:
    MicroPython calls those without allocating, up to five arguments and names together.
    """

    def __init__(self, machine):
        def conv1x1(arena, pack, _, record):
            machine.conv1x1(addressof(arena), addressof(pack), addressof(record))

        def conv3x3(arena, pack, _, record):
            if not machine.conv3x3(addressof(arena), addressof(pack), addressof(record)):
                machine.scaled3x3(addressof(arena), addressof(pack), addressof(record))

        def dw3x3(arena, pack, _, record):
            if not machine.dw3x3(addressof(arena), addressof(pack), addressof(record)):
                machine.scaled3x3(addressof(arena), addressof(pack), addressof(record))

        def scaled(arena, pack, _, record):
            routine = machine.scaled3x3 if record[_TAPS] == 9 else machine.scaled1x1
            routine(addressof(arena), addressof(pack), addressof(record))

        def add(arena, pack, _, record):
            machine.add(addressof(arena), addressof(record))

        def avgpool(arena, pack, _, record):
            if not machine.avgpool(addressof(arena), addressof(record)):
                general.avgpool(arena, pack, 0, record)

        def load(arena, pixels, record):
            machine.load(addressof(arena), addressof(pixels), addressof(record))

        def store(arena, out, record):
            machine.store(addressof(arena), addressof(out), addressof(record))

        def fill(arena, border):
            machine.fill(addressof(arena), addressof(border))

        def clear(buffer, n):
            machine.clear(addressof(buffer), n)

        self.prepare = prepare
        self.conv1x1, self.conv3x3, self.dw3x3 = conv1x1, conv3x3, dw3x3
        self.scaled, self.add, self.avgpool = scaled, add, avgpool
        self.load, self.store, self.fill, self.clear = load, store, fill, clear
