"""The start from the teacher: its parts fall on the student's grid, and the student's parts give what they give."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from torch.nn import functional as F  # noqa: E402

from models import layers  # noqa: E402
from models.embedder import inherit  # noqa: E402
from models.embedder.augment import piece  # noqa: E402
from models.embedder.inherit import BLOCKS, STRIDES, Teacher  # noqa: E402
from models.embedder.net import EMBEDDING, Embedder  # noqa: E402
from models.layers import Conv, image_quant  # noqa: E402


def faces(count: int):
    """Smooth random pictures."""
    coarse = torch.rand(count, 1, 7, 7, generator=torch.Generator().manual_seed(1))
    return (F.interpolate(coarse, (112, 112), mode="bilinear")[:, 0] * 255).to(torch.uint8)


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    """Random weights, where MobileFaceNet has its own."""
    rng = torch.Generator().manual_seed(2)

    def conv(cin: int, cout: int, side: int, groups: int = 1):
        spread = (2 / (cin // groups * side**2)) ** 0.5
        weight = torch.randn(cout, cin // groups, side, side, generator=rng) * spread
        return weight, 0.1 * torch.randn(cout, generator=rng)

    found, stream = [conv(3, 64, 3), conv(64, 64, 3, 64), conv(64, 64, 1)], 64
    for place in range(BLOCKS):
        after = 128 if place in STRIDES[1:] else stream
        inner = 256 if place in STRIDES[1:] else 192
        found += [conv(stream, inner, 1), conv(inner, inner, 3, inner), conv(inner, after, 1)]
        stream = after
    return Teacher.of([*found, conv(128, 160, 1), conv(160, 160, 7, 160), conv(160, EMBEDDING, 1)])


def test_a_net_of_another_make_is_refused():
    with pytest.raises(ValueError, match="not MobileFaceNet"):
        Teacher.of([(torch.zeros(1), torch.zeros(1))] * 7)


def test_the_students_strides_fall_on_the_teachers_grid(teacher):
    """Away from the edges the student's own padding and cut give the teacher's numbers."""
    maps = teacher.maps(faces(2)[:, None].float() / 256)
    assert [tuple(m.shape[1:]) for m in (maps[0], maps[5], maps[12])] == [(64, 24, 24), (128, 12, 12), (128, 6, 6)]
    second = teacher._block(5, maps[4], inherit._far_edge)
    torch.testing.assert_close(second[:, :, :-1, :-1], maps[5][:, :, :-1, :-1])


def test_a_block_of_the_teachers_size_becomes_the_teachers():
    rng = torch.Generator().manual_seed(3)
    stream, inner = 16, 32
    given = [
        (0.2 * torch.randn(inner, stream, 1, 1, generator=rng), torch.zeros(inner)),
        (0.3 * torch.randn(inner, 1, 3, 3, generator=rng), torch.zeros(inner)),
        (0.3 * torch.randn(stream, inner, 1, 1, generator=rng), 0.1 * torch.randn(stream, generator=rng)),
    ]
    convs = [Conv("conv1x1", stream, inner), Conv("dw3x3", inner, inner), Conv("conv1x1", inner, stream, relu=False)]
    layers.Chain(*convs).link(image_quant())
    for conv in convs:
        conv.fold()
    x = torch.randn(8, stream, 12, 12, generator=rng)
    wanted = F.conv2d(inherit._far_edge(F.conv2d(x, *given[0]).clamp(0, 6), given[1], 1), *given[2]) + x
    with torch.no_grad():
        _, error = inherit._take_block(convs, tuple(given), x, wanted, True)
    assert error < 1e-3


def test_the_channels_that_matter_are_kept():
    rng = torch.Generator().manual_seed(4)
    inner = torch.rand(4, 24, 6, 6, generator=rng)
    target = inner[:, [3, 17]] * torch.tensor([1.0, -2.0]).view(1, 2, 1, 1)
    assert inherit._important(inner, target, 2).tolist() == [3, 17]


def test_the_last_layer_sees_the_combinations_that_matter():
    rng = torch.Generator().manual_seed(7)
    features = torch.rand(400, 24, 3, 3, generator=rng) * torch.linspace(0.2, 3, 24).view(1, 24, 1, 1)
    two = torch.randn(2, 24, generator=rng)
    wanted = torch.einsum("kc,nchw->nkhw", two, features).flatten(1)[:, ::3]
    narrow, last = Conv("conv1x1", 24, 2, relu=False), layers.Linear(2, 3, 3, wanted.shape[1])
    layers.Chain(narrow, last).link(image_quant())
    narrow.fold()
    with torch.no_grad():
        inherit._take_last(narrow, last, features, wanted)
        found = last(narrow(features))
    assert (found - wanted).square().sum() < 1e-3 * (wanted - wanted.mean(0)).square().sum()


def test_an_inherited_net_gives_the_teachers_embeddings(teacher, monkeypatch):
    monkeypatch.setattr(inherit, "_STEM_STEPS", 4)
    monkeypatch.setattr(inherit, "_STEM_BATCH", 4)
    images = faces(24)
    wanted = F.normalize(torch.randn(len(images), EMBEDDING, generator=torch.Generator().manual_seed(5)))
    torch.manual_seed(6)
    net = Embedder()
    inherit.inherit(net, teacher, images, wanted, 1)
    with torch.no_grad():
        found = F.normalize(net(piece(inherit._pixels(images))))
    assert (found * wanted).sum(1).mean() > 0.8
