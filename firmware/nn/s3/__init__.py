"""Kernels for the ESP32-S3's vector unit: machine code in machine.mpy, made from the *.s beside it by
`python -m host_tools.xtensa_asm.build`. The interface stands in firmware/nn/kernels.py.

Activations are kept as int8. The accumulator QACC holds 20 bits a lane; prepare.py finds out, from an operator's
weights, whether that is enough.
"""

import uctypes

from firmware.nn.s3 import general
from firmware.nn.s3.prepare import prepare


class Kernels:
    """The set over the routines of `machine`, a module. Its attributes are plain functions: calling them allocates
    nothing.
    """

    def __init__(self, machine):
        address = uctypes.addressof

        def over_pack(routine):
            def run(arena, pack, _, record):
                routine(address(arena), address(pack), address(record))

            return run

        def over_pack_or(routine, otherwise):
            def run(arena, pack, _, record):
                if not routine(address(arena), address(pack), address(record)):
                    otherwise(arena, pack, 0, record)

            return run

        def add(arena, pack, _, record):
            machine.add(address(arena), address(record))

        def avgpool(arena, pack, _, record):
            if not machine.avgpool(address(arena), address(record)):
                general.avgpool(arena, pack, 0, record)

        def move(routine):
            def run(arena, pixels, record):
                routine(address(arena), address(pixels), address(record))

            return run

        def fill(arena, border):
            machine.fill(address(arena), address(border))

        def clear(buffer, n):
            machine.clear(address(buffer), n)

        self.prepare = prepare
        self.conv1x1 = over_pack(machine.conv1x1)
        self.conv3x3 = over_pack_or(machine.conv3x3, general.window3x3)
        self.dw3x3 = over_pack_or(machine.dw3x3, general.window3x3)
        self.add = add
        self.avgpool = avgpool
        self.load = move(machine.load)
        self.store = move(machine.store)
        self.fill = fill
        self.clear = clear
