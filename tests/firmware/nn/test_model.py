"""A model opens or refuses before anything runs; running it allocates nothing; wiping it leaves nothing
behind.
"""

import micropython

from firmware.base.errors import PackError
from firmware.nn.model import Model, aligned_buffer
from firmware.nn.timing import profile

_PACK = "tests/golden/nn/mixed.pack"
_OTHER = "tests/golden/nn/ties.pack"


def image(model) -> bytearray:
    return bytearray(range(model.input_shape[0] * model.input_shape[1]))


def scratch(content) -> str:
    import os

    path = (os.getenv("TMPDIR") or "/tmp") + "/menshen-test.pack"
    with open(path, "wb") as file:
        file.write(content)
    return path


def test_running_allocates_nothing():
    model = Model(_PACK)
    pixels = image(model)
    steps = model.steps()
    micropython.heap_lock()
    try:
        model.load(pixels)
        for _ in steps:
            pass
        model.load(pixels)
        model.run()
        model.wipe()
    finally:
        micropython.heap_unlock()


def test_two_runs_are_alike():
    model = Model(_PACK)
    model.load(image(model))
    model.run()
    first = [bytes(out) for out in model.outputs]
    assert any(any(out) for out in first)
    model.load(image(model))
    for _ in model.steps():
        pass
    assert [bytes(out) for out in model.outputs] == first


def test_models_can_share_one_arena():
    alone = [Model(path) for path in (_PACK, _OTHER)]
    arena = aligned_buffer(max(model.arena_bytes for model in alone))
    sharing = [Model(path, arena=arena) for path in (_PACK, _OTHER)]
    for model in alone + sharing:
        model.load(image(model))
        model.run()
    assert [[bytes(out) for out in model.outputs] for model in alone] == [
        [bytes(out) for out in model.outputs] for model in sharing
    ]
    for bad in (aligned_buffer(64), aligned_buffer(len(arena) + 16)[1:]):
        try:
            Model(_PACK, arena=bad)
        except PackError:
            continue
        raise AssertionError("an arena that is short or askew was taken")


def test_what_it_tells():
    model = Model(_PACK)
    assert model.input_shape == (13, 12)
    assert len(model.model_id) == 8 and model.meta["threshold"] == 1
    assert len(model.outputs) == len(model.output_shapes) == len(model.output_exponents) == 3
    for out, (height, width, channels) in zip(model.outputs, model.output_shapes):
        assert len(out) == height * width * channels
    total, ops = profile(model, image(model), 2)
    assert total > 0 and len(ops) == model.op_count


def test_wipe_leaves_zeroes():
    model = Model(_PACK)
    model.load(image(model))
    model.run()
    model.wipe()
    assert not any(any(out) for out in model.outputs)
    assert not any(model._arena)


def test_an_image_of_another_size_is_refused():
    model = Model(_PACK)
    try:
        model.load(bytearray(10))
    except ValueError:
        return
    raise AssertionError("a short image was taken")


def refused(path: str) -> bool:
    try:
        Model(path)
    except PackError:
        return True
    return False


def test_bad_packs_are_refused():
    with open(_PACK, "rb") as file:
        good = file.read()
    assert not refused(scratch(good))
    assert refused("/no/such.pack")
    assert refused(scratch(b""))
    assert refused(scratch(good[:-1]))
    assert refused(scratch(good + b"\0"))
    for at in (0, 4, 9, 20, 50, 60, 100, 300, len(good) // 2, len(good) - 1):
        damaged = bytearray(good)
        damaged[at] ^= 4
        assert refused(scratch(damaged))
