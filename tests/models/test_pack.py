"""A pack that is damaged, cut, from the future or contradicts itself is refused; the writer refuses what
cannot be run exactly.
"""

import struct
from dataclasses import replace

import nn_graphs
import numpy as np
import pytest

from firmware.base.errors import PackError
from firmware.nn import pack as form
from firmware.nn.pack import Pack
from models.arena import plan_arena
from models.graph import GraphError
from models.pack import model_id, write_pack


@pytest.fixture(scope="module")
def good() -> bytes:
    return write_pack(nn_graphs.mixed(1))


def sealed(pack: bytearray) -> bytes:
    """The same with a digest that holds, as a wrong writer would make it."""
    pack[16:48] = form.digest(pack)
    return bytes(pack)


def test_a_good_pack_opens(good: bytes) -> None:
    graph = nn_graphs.mixed(1)
    pack = Pack(good)
    assert pack.meta["threshold"] == 1 and pack.meta["macs"] == graph.macs
    assert pack.model_id == model_id(graph)
    assert [op.kind for op in pack.ops] == [op.kind for op in graph.ops]
    assert all(op.weights % 16 == 0 and op.bias % 16 == 0 for op in pack.ops)


def test_any_truncation_is_refused(good: bytes) -> None:
    for length in [*range(0, 200), *range(200, len(good), 997), len(good) - 1]:
        with pytest.raises(PackError):
            Pack(good[:length])


def test_any_flipped_bit_is_refused(good: bytes) -> None:
    rng = np.random.default_rng(3)
    for at in [*range(form.HEADER_BYTES), *rng.integers(form.HEADER_BYTES, len(good), 300)]:
        damaged = bytearray(good)
        damaged[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(PackError):
            Pack(damaged)


def test_a_future_format_says_so(good: bytes) -> None:
    future = bytearray(good)
    struct.pack_into("<H", future, 4, form.FORMAT + 1)
    with pytest.raises(PackError, match=f"format {form.FORMAT + 1}"):
        Pack(sealed(future))


def test_tables_that_would_lead_a_kernel_astray_are_refused(good: bytes) -> None:
    """Wild values in any field of any record: refused, or harmless by the same checks that the kernels rely
    on.
    """
    rng = np.random.default_rng(4)
    n_tensors, n_ops = struct.unpack_from("<HH", good, 56)
    refused = 0
    for _ in range(400):
        wild = bytearray(good)
        at = form.HEADER_BYTES + int(rng.integers((n_tensors + n_ops) * form.RECORD_BYTES))
        wild[at] = int(rng.choice([0, 1, 127, 255]))
        try:
            pack = Pack(sealed(wild))
        except PackError:
            refused += 1
            continue
        for tensor in pack.tensors:
            assert tensor.offset - tensor.above * tensor.pitch - tensor.left * tensor.channels >= 0
            last_row = tensor.offset + (tensor.height + tensor.below - 1) * tensor.pitch
            assert last_row + (tensor.width + tensor.right) * tensor.channels <= pack.arena_bytes
    assert refused > 100


def test_weights_outside_the_pack_are_refused(good: bytes) -> None:
    n_tensors = struct.unpack_from("<H", good, 56)[0]
    at = form.HEADER_BYTES + n_tensors * form.RECORD_BYTES + 12
    for offset in (16, len(good) // 16 * 16, 0x7FFFFFF0, 0xFFFFFFF0):
        wild = bytearray(good)
        struct.pack_into("<I", wild, at, offset)
        with pytest.raises(PackError):
            Pack(sealed(wild))


def test_the_model_id_follows_the_function_and_nothing_else() -> None:
    graph = nn_graphs.mixed(2)
    before = model_id(graph)
    assert model_id(replace(graph, name="other", meta={"threshold": 2})) == before
    graph.ops[3].weights.flat[0] += 1
    assert model_id(graph) != before


def test_channels_that_are_only_there_to_make_sixteen_do_not_come_out() -> None:
    graph = nn_graphs.narrow(0)
    pack = Pack(write_pack(graph))
    made = {op.output: op for op in pack.ops}
    for name, index in zip(graph.outputs, pack.outputs, strict=True):
        tensor = pack.tensors[index]
        assert tensor.channels % 16 == 0
        assert tensor.channels - made[index].padding == graph.tensors[name].shape[2]


@pytest.mark.parametrize("scale", [0.51, 2.0**-30, 0.0, -0.1])
def test_multipliers_of_a_half_and_more_or_next_to_nothing_are_refused(scale: float) -> None:
    graph = nn_graphs.scaled(0)
    op = graph.ops[0]
    ratio = graph.tensors[op.output].scale / graph.tensors[op.inputs[0]].scale
    op.w_scale[3] = np.float32(scale * ratio)
    with pytest.raises(GraphError, match=r"multipliers|positive"):
        write_pack(graph)


def test_a_table_of_multipliers_that_no_kernel_could_use_is_refused() -> None:
    good = write_pack(nn_graphs.scaled(0))
    first = Pack(good).ops[0]
    at = first.bias + 4 * 32
    for offset, value in ((0, 1 << 29), (0, 1 << 31), (4, 24), (12, 0xFFFFFFFF)):
        wild = bytearray(good)
        struct.pack_into("<I", wild, at + offset, value)
        with pytest.raises(PackError):
            Pack(sealed(wild))


def test_live_tensors_never_share_memory_unread() -> None:
    """In place where possible, and yet smaller than keeping all apart; that nothing is overwritten shows in
    test_nn_exact.
    """
    graph = nn_graphs.mixed(0)
    plan = plan_arena(graph)
    assert plan.arena_bytes < sum(layout.size for layout in plan.layouts.values()) / 2
    assert all(offset % 16 == 0 for offset in plan.offsets.values())


def test_too_large_an_arena_is_refused() -> None:
    with pytest.raises(GraphError, match="activations need"):
        write_pack(nn_graphs.mixed(0), arena_limit=1000)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("w_scale", 0.3, "no power of two"),
        ("w_scale", 2.0**-40, "shift"),
        ("stride", 3, "stride"),
        ("bias", np.zeros(5, np.int32), "bias"),
        ("weights", np.full((3, 3, 1, 32), -128, np.int8), "-128"),
        ("bias", np.full(32, 2**28, np.int32), "accumulators"),
        ("kind", "conv5x5", "unknown operator"),
    ],
)
def test_a_graph_that_cannot_be_exact_is_refused(field: str, value, sentence: str) -> None:
    graph = nn_graphs.mixed(0)
    setattr(graph.ops[0], field, value)
    with pytest.raises(GraphError, match=sentence):
        write_pack(graph)


def test_accumulators_are_reported() -> None:
    report = nn_graphs.saturating().accumulators()
    assert not all(row["fits20"] for row in report)
    assert all(row["fits20"] for row in nn_graphs.ties().accumulators())
