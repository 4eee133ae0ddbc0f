"""Runs under MicroPython: `run_pack.py PACK IMAGES OUT [KERNELS]` writes, per image, every operator's int8 result and
then the outputs. KERNELS names a module of firmware.nn; without it, what the machine would choose.
"""

import sys

from firmware.nn.model import Model


def main(pack: str, images: str, out: str, kernels: str = "") -> None:
    chosen = getattr(__import__("firmware.nn." + kernels).nn, kernels) if kernels else None
    model = Model(pack, kernels=chosen)
    pixels = bytearray(model.input_shape[0] * model.input_shape[1])
    with open(images, "rb") as source, open(out, "wb") as sink:
        while source.readinto(pixels) == len(pixels):
            model.load(pixels)
            for i in model.steps():
                sink.write(model.read_op(i))
            for output in model.outputs:
                sink.write(output)
            layered = [bytes(output) for output in model.outputs]
            model.load(pixels)
            model.run()
            if layered != [bytes(output) for output in model.outputs]:
                raise ValueError("run() and steps() differ")


main(*sys.argv[1:])
