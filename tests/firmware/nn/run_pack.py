"""Runs under MicroPython: `run_pack.py PACK IMAGES OUT` writes, per image, every operator's int8 result and
then the outputs.
"""

import sys

from firmware.nn.model import Model


def main(pack: str, images: str, out: str) -> None:
    model = Model(pack)
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
