"""What the training adds to the pictures and to the last layer: mixed faces, views and centring; where it begins."""

import copy
import io
import operator
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from PIL import Image  # noqa: E402

from models.embedder import augment, evaluate, mixes, train  # noqa: E402
from models.embedder.net import EMBEDDING, Embedder  # noqa: E402
from models.runtime import Int8Model  # noqa: E402

SHIPPED = Path(train.__file__).parent / "embedder.tflite"


def lessons(persons: int, each: int, extra: int = 0) -> train.Lessons:
    """Persons of smooth noise, each of whose pictures has its own light; then mixed faces."""
    rng = torch.Generator().manual_seed(1)
    coarse = torch.rand(persons + extra, 1, 7, 7, generator=rng)
    smooth = torch.nn.functional.interpolate(coarse, (112, 112), mode="bilinear")[:, 0]
    label = torch.arange(persons).repeat_interleave(each)
    ramp = torch.linspace(-60, 60, 112) * (2 * torch.rand(len(label), 1, 1, generator=rng) - 1)
    images = torch.cat([smooth[label] * 150 + 50 + ramp, smooth[persons:] * 200]).clamp(0, 255).to(torch.uint8)
    return train.Lessons(
        images, label, torch.eye(persons, EMBEDDING), [np.arange(each), np.arange(each, persons * each)]
    )


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
    assert mixed.min() >= 300 and mixed.max() < 320


def test_centred_embeddings_have_no_mean_whatever_the_groups_sizes():
    torch.manual_seed(3)
    net = Embedder()
    data = lessons(12, 2)
    with torch.no_grad():
        net.layers[-1].bias.fill_(0.5)

    def groups() -> list[np.ndarray]:
        return [train.embed(net, train.inner(data.images[rows].numpy())) for rows in data.groups]

    net.eval()
    before = groups()
    train.centre(net, data)
    after = groups()
    lengths = [np.linalg.norm(np.concatenate(z), axis=1).mean() for z in (before, after)]
    assert np.abs(np.mean([z.mean(0) for z in before], axis=0)).max() > 0.3
    assert np.abs(np.mean([z.mean(0) for z in after], axis=0)).max() < 1e-3
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-3)


def test_a_training_can_begin_with_the_weights_that_ship_without_their_centring():
    data = lessons(12, 2)
    pixels, shipped = train.inner(data.images.numpy()), Int8Model(SHIPPED)
    given = np.concatenate([shipped.run(face)[0].reshape(1, -1) for face in pixels]).astype(np.float32) / 16
    net = Embedder()
    train.begin_from(net, SHIPPED, data)
    begun = train.teachers.unit(train.embed(net, pixels))
    assert (begun * train.teachers.unit(given)).sum(1).min() > 0.97  # activations are not rounded here
    moved = train.teachers.unit(given + np.float32(3) * np.eye(EMBEDDING, dtype=np.float32)[7])
    train.begin_from(net, SHIPPED, replace(data, near=torch.from_numpy(moved)))
    begun = train.teachers.unit(train.embed(net, pixels))
    assert (begun * moved).sum(1).mean() > 0.97


def test_live_teachers_see_every_view_once_and_it_is_shown_several_times(monkeypatch):
    monkeypatch.setattr(train, "_FEW", 0)
    data = replace(lessons(100, 3, extra=20), showings=3)
    looked = []

    def live(pixels: torch.Tensor) -> tuple[torch.Tensor, None]:
        looked.extend(pixels.flatten(1).unbind())
        return torch.nn.functional.normalize(pixels[:, 0, 48:56, 48:64].flatten(1)), None

    data.live = live
    kept: deque[train.Shown] = deque(maxlen=64)
    count, batches = data.shown(torch.Generator().manual_seed(1), kept)
    shown = list(batches)
    assert len(shown) == count == 3 and len(looked) == train.BATCH
    seen = torch.stack(looked)
    for views in shown:
        assert len(views.rows) == train.BATCH and (views.rows[: -train.MIXED] < 300).all()
        places = [int((seen == view.flatten() / 256).all(1).nonzero()[0]) for view in views.pixels]
        wanted = torch.nn.functional.normalize(views.pixels[:, 0, 48:56, 48:64].flatten(1).float())
        assert torch.allclose(views.near, wanted, atol=1e-5) and places == list(range(train.BATCH))


def test_the_first_epochs_show_new_views_only_and_are_as_long_as_the_others(monkeypatch):
    monkeypatch.setattr(train, "_FEW", 4)
    data = replace(lessons(129, 4), showings=2)  # 4 batches and a short one
    kept: deque[train.Shown] = deque(maxlen=64)
    rng = torch.Generator().manual_seed(1)
    count, batches = data.shown(rng, kept)
    shown = list(batches)
    assert len(shown) == count == len(kept) == 4 and all(map(operator.is_, shown, kept))
    count, batches = data.shown(rng, kept)
    assert len(list(batches)) == count == 4 and len(kept) == 6


def test_an_optimiser_moves_every_weight_and_goes_on_from_its_state():
    def fresh() -> tuple[train.Task, train.Optimiser]:
        torch.manual_seed(5)
        task = train.Task(torch.eye(12, EMBEDDING))
        train.layers.fold(task.net)
        return task, train.Optimiser(task, 1e-3)

    def step(task: train.Task, optimiser: train.Optimiser, seed: int) -> None:
        draw = torch.Generator().manual_seed(seed)
        for weight in task.parameters():
            weight.grad = torch.randn(weight.shape, generator=draw)
        optimiser.step(1e-3)

    task, optimiser = fresh()
    step(task, optimiser, 1)
    for (name, weight), was in zip(task.named_parameters(), fresh()[0].parameters(), strict=True):
        assert 5e-5 < (weight - was).abs().mean() < 3e-3, name
    other, again = fresh()
    other.load_state_dict(task.state_dict())
    again.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    step(task, optimiser, 2)
    step(other, again, 2)
    assert all(torch.equal(*pair) for pair in zip(task.parameters(), other.parameters(), strict=True))


def test_targets_lie_midway_between_the_view_and_the_clean_picture():
    data = lessons(4, 2)
    one, other = torch.eye(EMBEDDING)[:2]
    data = replace(data, near=one.expand(8, -1), live=lambda pixels: (other.expand(len(pixels), -1), None))
    near, far = data.targets(torch.zeros(3, 1, 112, 112), torch.arange(3))
    assert far is None and torch.allclose(near, ((one + other) / 2**0.5).expand(3, -1))


def test_the_float_net_teaches_the_quantised_one():
    net = Embedder().eval()
    pixels = torch.rand(2, 1, 112, 112)
    say = train.as_teacher(net)
    with torch.no_grad():
        wanted = torch.nn.functional.normalize(net(augment.piece(pixels)))
        net.layers[-1].weight.zero_()
    near, far = say(pixels)
    assert far is None and torch.allclose(near, wanted) and not near.requires_grad


def test_a_view_is_on_the_grid_of_grey_and_repeats_with_its_seed():
    images = lessons(16, 2).images
    views = [augment.view(images, torch.Generator().manual_seed(4), 1.0) for _ in range(2)]
    assert torch.equal(*views) and views[0].shape == (32, 1, 96, 96)
    grey = views[0] * 256
    assert torch.equal(grey, grey.round()) and grey.min() >= 0 and grey.max() <= 255


def test_the_net_sees_the_middle_of_what_the_teachers_see():
    images = lessons(16, 2).images
    whole = augment.whole(images, torch.Generator().manual_seed(4), 1.0)
    assert whole.shape == (32, 1, 112, 112)
    assert torch.equal(augment.view(images, torch.Generator().manual_seed(4), 1.0), whole[:, :, 9:105, 9:105])
    clean = augment.view(images, torch.Generator(), 0.0)[:, 0] * 256
    assert np.array_equal(clean.numpy(), train.inner(images.numpy()))


def test_pictures_made_worse_are_harder_to_match():
    data = lessons(24, 4)
    images, identity = data.images.numpy(), data.label.numpy()

    def net(pixels: np.ndarray) -> np.ndarray:
        level = pixels[:, 4::8].astype(np.float32)
        coarse = (level + level[:, :, ::-1])[:, :, 4:48:8].reshape(len(pixels), -1)  # mirrored or not
        return coarse - coarse.mean(1, keepdims=True)

    found = evaluate.harmed_figures(net, images, evaluate.embed_by(net, images), identity)
    assert {f"val_{name}_harmed_tar_far_{far}" for name in ("one", "both") for far in ("1e2", "1e3")} == set(found)
    assert all(0 < share < 1 for share in found.values()), found
    assert found["val_one_harmed_tar_far_1e2"] > found["val_both_harmed_tar_far_1e2"], found
    assert found == evaluate.harmed_figures(net, images, evaluate.embed_by(net, images), identity)


def test_jpeg_is_what_pillow_makes_of_it():
    """At quality 50 the table is the standard's own; a few coefficients fall to the other side of a half."""
    x = torch.from_numpy(lessons(8, 1).images[:, :96, :96].numpy().astype(np.float32))[:, None] / 256
    x = (x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(5))).clamp(0, 1)
    x = (x * 256).round().clamp(0, 255) / 256
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augment, "_uniform", lambda n, rng, low=0.0, high=1.0: torch.full((n, 1, 1, 1), 50.0))
        made = augment._jpeg(x, torch.Generator().manual_seed(6), 5.0)
    for mine, grey in zip(made[:, 0], x[:, 0], strict=True):
        stream = io.BytesIO()
        Image.fromarray((grey * 256).numpy().astype(np.uint8)).save(stream, "JPEG", quality=50)
        wanted = np.asarray(Image.open(stream)).astype(np.float32)
        off = np.abs((mine * 256).clamp(0, 255).numpy() - wanted)
        assert off.mean() < 0.6 and np.quantile(off, 0.9) < 1, (off.mean(), np.quantile(off, 0.9))


def test_glasses_lie_over_the_eyes_alone():
    x = torch.full((64, 1, 112, 112), 0.8)
    drawn = augment._glasses(x, torch.Generator().manual_seed(7), 10.0)
    touched = (drawn != x).any(0)[0]
    assert all(touched[int(y) - 14 : int(y) + 18, int(left) - 18 : int(left) + 18].any() for left, y in augment._EYES)
    assert not touched[:33].any() and not touched[75:].any()
    assert (drawn[:, 0, 51, 38] < 0.4).float().mean() == pytest.approx(1 / 3, abs=0.2)
