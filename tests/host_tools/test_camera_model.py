"""The camera model: what the sensor gives is repeatable, noisy as stated, and placed as asked."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from host_tools.sim.camera import HEIGHT, WIDTH, Scene, View, load_photo, photograph

QUIET = {"blur": 0.0, "full_well": 1e9, "read_noise": 0.0}


def white_square(size=100, square=40):
    photo = np.zeros((size, size), np.uint8)
    low = (size - square) // 2
    photo[low : low + square, low : low + square] = 255
    return photo


def centroid(frame):
    ys, xs = np.nonzero(frame > 200)
    return xs.mean(), ys.mean()


def test_frames_are_what_the_sensor_gives():
    frame = photograph(white_square())
    assert frame.shape == (HEIGHT, WIDTH)
    assert frame.dtype == np.uint8


def test_same_seed_same_frame_and_every_frame_its_own_noise():
    scene = Scene(load_photo(white_square()), View(seed=4))
    assert np.array_equal(scene.frame(2), Scene(load_photo(white_square()), View(seed=4)).frame(2))
    assert not np.array_equal(scene.frame(0), scene.frame(1))
    assert not np.array_equal(scene.frame(0), Scene(load_photo(white_square()), View(seed=5)).frame(0))


def test_noise_grows_as_the_full_well_shrinks():
    noise = [Scene(None, View(full_well=well, read_noise=0)) for well in (10_000.0, 1_000.0)]
    spread = [(scene.frame(1).astype(float) - scene.frame(2)).std() for scene in noise]
    assert spread[1] / spread[0] == pytest.approx(10**0.5, rel=0.1)


def test_scale_and_centre():
    frame = photograph(white_square(), height=200, centre=(120, 100), background=0, **QUIET)
    x, y = centroid(frame)
    assert (x, y) == (pytest.approx(119.5, abs=0.6), pytest.approx(99.5, abs=0.6))
    assert (frame > 128).sum() == pytest.approx(80 * 80, rel=0.03)


def test_region_is_what_the_height_measures():
    frame = photograph(white_square(), region=(30, 30, 70, 70), height=60, background=0, **QUIET)
    assert (frame > 128).sum() == pytest.approx(60 * 60, rel=0.04)


def test_rotation_is_counter_clockwise():
    photo = np.zeros((101, 101), np.uint8)
    photo[48:53, 85:95] = 255  # a mark on the right
    x, y = centroid(photograph(photo, height=202, rotation=90, background=0, **QUIET))
    assert x == pytest.approx(160, abs=2)
    assert y == pytest.approx(120 - 79, abs=2)


def test_reduction_does_not_alias():
    stripes = np.zeros((1200, 1200), np.uint8)
    stripes[:, ::2] = 255
    inner = photograph(stripes, height=200, **QUIET)[60:180, 100:220]
    assert inner.std() < 4


def test_light():
    plain = photograph(None, **QUIET)
    assert photograph(None, gain=2.0, **QUIET).mean() > plain.mean() * 1.25
    side = photograph(None, gradient=1.0, **QUIET).mean(axis=0)
    assert side[-1] > side[0] * 1.4
    behind = photograph(white_square(), backlight=1.0, background=150, **QUIET)
    assert behind[10, 10] > photograph(white_square(), background=150, **QUIET)[10, 10]
    assert behind[120, 160] < 200
    assert photograph(None, gain=50.0, **QUIET).min() == 255


def test_without_defects_the_photograph_comes_through():
    photo = np.full((HEIGHT, WIDTH), 90, np.uint8)
    frame = photograph(photo, **QUIET)
    assert np.abs(frame[5:-5, 5:-5].astype(int) - 90).max() <= 1


def test_blur_keeps_the_light():
    sharp = photograph(white_square(), height=100, **(QUIET | {"gamma": 1.0}))
    soft = photograph(white_square(), height=100, **(QUIET | {"gamma": 1.0, "blur": 3.0}))
    assert soft.mean() == pytest.approx(sharp.mean(), rel=0.02)
    assert np.abs(np.diff(soft.astype(int), axis=1)).max() < np.abs(np.diff(sharp.astype(int), axis=1)).max() / 3


def test_colour_files_and_arrays_agree(tmp_path):
    rng = np.random.default_rng(1)
    colour = rng.integers(0, 255, (60, 50, 3), np.uint8)
    Image.fromarray(colour).save(tmp_path / "p.png")
    assert np.array_equal(photograph(tmp_path / "p.png"), photograph(colour))


@pytest.mark.parametrize(
    "params",
    [
        {"height": 0},
        {"gain": -1},
        {"backlight": 2},
        {"region": (0, 0, 500, 500)},
        {"region": (50, 50, 10, 60)},
        {"zoom": 2},
    ],
)
def test_impossible_views_are_refused(params):
    with pytest.raises(ValueError):
        photograph(white_square(), **params)


def test_arrays_that_are_no_photograph():
    for array in (np.zeros((4, 4), np.float32), np.zeros((0, 4), np.uint8), np.zeros(4, np.uint8)):
        with pytest.raises(ValueError, match="photograph"):
            photograph(array)
