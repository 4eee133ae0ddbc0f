"""The shipped networks on real pixels: the panel equals TFLite's reference kernels in every layer. (What an add adds up
shows only in the sum, see Int8Model.layers; test_nn_exact compares those too.)
"""

from pathlib import Path

import numpy as np
import pytest
from nn_panel import interpreters, run_panel
from PIL import Image

from firmware.nn.pack import Pack
from models.bench import NETWORKS, ROOT
from models.runtime import Int8Model


def pictures(height: int, width: int) -> np.ndarray:
    """Two portraits, centre and all of them, and a blank."""
    from matplotlib.cbook import get_sample_data
    from skimage.data import astronaut

    hopper = Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("L")
    collins = Image.fromarray(astronaut()).convert("L")
    views = [hopper, hopper.crop((180, 150, 360, 330)), collins, collins.crop((150, 30, 300, 180))]
    scaled = [np.asarray(view.resize((width, height), Image.Resampling.BILINEAR)) for view in views]
    return np.stack([*scaled, np.full((height, width), 40)]).astype(np.uint8)


@pytest.mark.parametrize("micropython", interpreters())
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_equals_the_reference(name: str, micropython: str, tmp_path: Path) -> None:
    pack, tflite = ((ROOT / "models" / name / f"{name}.{kind}").read_bytes() for kind in ("pack", "tflite"))
    tables = Pack(pack)
    pixels = pictures(*tables.input_shape)
    got = np.frombuffer(run_panel(micropython, pack, pixels, tmp_path), np.int8)
    model = Int8Model(tflite, resolver="BUILTIN_REF", keep_layers=True)
    at = 0
    for picture in pixels:
        outputs = model.run(picture)
        layers = model.layers()
        assert len(layers) == len(tables.ops)
        for op, (kind, expected) in zip(tables.ops, layers, strict=True):
            size = tables.tensors[op.output].pixels() * tables.tensors[op.output].channels
            if expected is not None:
                assert np.array_equal(got[at : at + size], expected.ravel()), (kind, op.output)
            at += size
        for output in outputs:
            assert np.array_equal(got[at : at + output.size], output.ravel())
            at += output.size
    assert at == got.size
