"""Runs under MicroPython: `panel_open.py PACK OUT` opens a pack with the ESP32-S3's kernels, none of them called, and
writes what the runtime would hand them: OUT.pack with rewritten weights, OUT.json with records and borders.
"""

import json
import sys

from firmware.nn.model import Model
from firmware.nn.s3 import Kernels

_NAMES = ("conv1x1", "conv3x3", "dw3x3", "scaled", "add", "avgpool")


class _Machine:
    conv1x1 = conv3x3 = dw3x3 = scaled1x1 = scaled3x3 = add = avgpool = load = store = fill = clear = None


def main(pack: str, out: str) -> None:
    kernels = Kernels(_Machine)
    model = Model(pack, kernels=kernels)
    names = {id(getattr(kernels, name)): name for name in _NAMES}
    plan = [
        (names[id(kernel)], list(record), None if border is None else list(border))
        for kernel, record, border in model._plan
    ]
    with open(out + ".pack", "wb") as file:
        file.write(model._pack)
    with open(out + ".json", "w") as file:
        json.dump(
            {
                "arena_bytes": model.arena_bytes,
                "input": list(model._input_record),
                "input_border": None if model._input_border is None else list(model._input_border),
                "plan": plan,
                "outputs": [(len(part), list(record)) for part, record in model._exports],
                "results": [len(out) for out in model.outputs],
            },
            file,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
