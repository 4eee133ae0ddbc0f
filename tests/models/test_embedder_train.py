"""What the training adds to the pictures and to the last layer: mixed faces, and whitening."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from PIL import Image  # noqa: E402

from models import layers  # noqa: E402
from models.embedder import mixes, train  # noqa: E402
from models.embedder.net import EMBEDDING, Embedder  # noqa: E402


def lessons(persons: int, each: int, extra: int = 0) -> train.Lessons:
    """Persons of smooth noise, each of whose pictures has its own light; then mixed faces."""
    rng = torch.Generator().manual_seed(1)
    coarse = torch.rand(persons + extra, 1, 7, 7, generator=rng)
    smooth = torch.nn.functional.interpolate(coarse, (112, 112), mode="bilinear")[:, 0]
    label = torch.arange(persons).repeat_interleave(each)
    ramp = torch.linspace(-60, 60, 112) * (2 * torch.rand(len(label), 1, 1, generator=rng) - 1)
    images = torch.cat([smooth[label] * 150 + 50 + ramp, smooth[persons:] * 200]).clamp(0, 255).to(torch.uint8)
    return train.Lessons(images, label, torch.eye(persons, EMBEDDING))


def test_a_mix_holds_both_faces_and_is_as_large():
    pytest.importorskip("cv2", reason="mixing needs OpenCV")
    pictures = np.stack([np.full((112, 112, 3), value, np.uint8) for value in (40, 200)])
    rng = np.random.default_rng(1)
    made = [mixes.mix(pictures, rng) for _ in range(60)]
    assert {(m.shape, m.dtype) for m in made} == {((112, 112, 3), np.dtype(np.uint8))}
    means = np.array([m.mean() for m in made])
    assert means.min() >= 40 and means.max() <= 200
    assert ((means > 60) & (means < 180)).any(), "no blend"
    assert {40, 200} & {float(m) for m in means}, "no face of one's own"
    again = np.random.default_rng(1)
    assert all(np.array_equal(m, mixes.mix(pictures, again)) for m in made)


def test_mixes_are_made_grey_as_the_pictures_are():
    colour = np.random.default_rng(2).integers(0, 256, (2, 112, 112, 3), np.uint8)
    wanted = np.stack([np.asarray(Image.fromarray(picture).convert("L")) for picture in colour])
    assert np.array_equal(mixes._grey(colour), wanted)


def test_batches_hold_every_labelled_face_once_and_mixed_ones_behind():
    data = lessons(100, 3, extra=20)
    batches = data.batches(torch.Generator().manual_seed(1))
    own = torch.cat([batch[: -train.MIXED] for batch in batches])
    mixed = torch.cat([batch[-train.MIXED :] for batch in batches])
    assert {len(batch) for batch in batches} == {train.BATCH}
    assert len(own.unique()) == len(own) and own.max() < 300
    assert 300 <= mixed.min() and mixed.max() < 320


def test_whitening_tells_persons_apart_by_what_does_not_vary_within_them():
    torch.manual_seed(3)
    net = Embedder()
    data = lessons(EMBEDDING + 2, train._LIKE)
    layers.fold(net)
    with torch.no_grad():
        for layer in layers.weighted(net):
            layer.bias.normal_(0, 0.1)

    def spreads() -> tuple[float, float]:
        raw = torch.from_numpy(train.embed(net, train.inner(data.images.numpy())))
        z = torch.nn.functional.normalize(raw).view(-1, train._LIKE, EMBEDDING)
        within = (z - z.mean(1, keepdim=True)).square().sum()
        return float((z.mean(1) - z.mean((0, 1))).square().sum() / within), float(raw.norm(dim=1).mean())

    before, length = spreads()
    train.whiten(net, data)
    after, length_after = spreads()
    assert after > 1.5 * before
    assert length_after == pytest.approx(length, rel=0.01)


def test_too_few_persons_leave_the_last_layer_as_it_is():
    net = Embedder()
    before = net.layers[-1].weight.clone()
    train.whiten(net, lessons(5, train._LIKE))
    assert torch.equal(net.layers[-1].weight, before)


def test_the_float_net_teaches_the_quantised_one():
    net = Embedder().eval()
    pixels = torch.rand(2, 1, 96, 96)
    say = train.as_teacher(net)
    with torch.no_grad():
        wanted = torch.nn.functional.normalize(net(pixels))
        net.layers[-1].weight.zero_()
    near, far = say(pixels)
    assert far is None and torch.allclose(near, wanted) and not near.requires_grad
