"""Photographs: what can be wrong with a file, and how one becomes frames."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from host_tools.vision.frames import HEIGHT, WIDTH, View, render, search_levels
from host_tools.vision.pictures import LONGEST_SIDE, UnreadablePicture, load_grey


@pytest.fixture
def ramp() -> np.ndarray:
    """Dark on the left, bright on the right."""
    return np.tile(np.linspace(0, 255, 400).astype(np.uint8), (300, 1))


def test_a_missing_file_a_text_and_a_cut_picture_are_refused(tmp_path: Path, ramp: np.ndarray) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 400), dtype=np.uint8)).save(whole)
    cut.write_bytes(whole.read_bytes()[:9000])
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    for path in (tmp_path / "absent.jpg", text, cut, empty, tmp_path):
        with pytest.raises(UnreadablePicture, match=str(path)):
            load_grey(path)
    for array in (
        np.zeros((4, 4), np.uint8),
        np.zeros((50, 50)),
        np.zeros((50, 50, 2), np.uint8),
        np.zeros((0, 9), np.uint8),
    ):
        with pytest.raises(UnreadablePicture):
            load_grey(array)


def test_orientation_is_applied(tmp_path: Path, ramp: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held turned: the file's left is the picture's top
    Image.fromarray(ramp).save(tmp_path / "turned.jpg", exif=exif)
    upright = load_grey(tmp_path / "turned.jpg")
    assert upright.shape == (400, 300)
    assert upright[5].mean() < 30 < 220 < upright[-5].mean()


def test_colour_transparency_and_palette_become_grey(tmp_path: Path, ramp: np.ndarray) -> None:
    for mode in ("RGB", "RGBA", "P", "1", "CMYK"):
        path = tmp_path / f"{mode}.tif"
        Image.fromarray(ramp).convert(mode).save(path)
        grey = load_grey(path)
        assert grey.shape == ramp.shape and grey.dtype == np.uint8
        assert grey[:, 300:].mean() > 150 > 100 > grey[:, :100].mean()


def test_huge_pictures_are_reduced() -> None:
    assert max(load_grey(np.zeros((3000, 4000), np.uint8)).shape) == LONGEST_SIDE


@pytest.mark.parametrize("shape", [(300, 400), (2000, 1500), (100, 2500), (20, 30)])
def test_search_covers_every_pixel(shape: tuple[int, int]) -> None:
    levels = list(search_levels(np.zeros(shape, np.uint8)))
    for tiles in levels:
        covered = np.zeros(shape, bool)
        for tile in tiles:
            assert tile.frame.shape == (HEIGHT, WIDTH)
            (x0, y0), (x1, y1) = tile.to_photo(0, 0), tile.to_photo(WIDTH, HEIGHT)
            covered[max(0, int(y0)) : int(np.ceil(y1)) + 1, max(0, int(x0)) : int(np.ceil(x1)) + 1] = True
        assert covered.all()
    assert len(levels[0]) == 1


@pytest.mark.parametrize("eyes,roll", [(30, 0), (60, 0), (45, 8), (25, -8)])
def test_a_rendered_view_has_the_eyes_where_the_view_says(eyes: float, roll: float) -> None:
    photo = np.zeros((600, 800), np.uint8)
    left, right = (380.0, 300.0), (440.0, 300.0)
    for x, y in (left, right):
        photo[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5] = 255
    frame = render(photo, (left, right), View(eyes=eyes, roll=roll)).astype(float)
    y, x = np.indices(frame.shape)
    spots = []
    for half in (x < WIDTH / 2, x >= WIDTH / 2):
        weight = frame * half
        spots.append(np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum())
    across = spots[1] - spots[0]
    assert np.hypot(*across) == pytest.approx(eyes, rel=0.03)
    assert abs(np.degrees(np.arctan2(across[1], across[0]))) == pytest.approx(abs(roll), abs=1.5)


def test_a_face_at_the_border_is_rendered_with_the_border_repeated(ramp: np.ndarray) -> None:
    frame = render(ramp, ((5.0, 10.0), (35.0, 10.0)), View(eyes=60))
    assert frame.shape == (HEIGHT, WIDTH)
    assert frame[:, :40].max() <= 2


def test_light_is_a_gain() -> None:
    photo = np.full((200, 200), 100, np.uint8)
    eyes = (80.0, 90.0), (120.0, 90.0)
    assert render(photo, eyes, View(40, gain=0.5))[120, 160] == 50
    assert render(photo, eyes, View(40, gain=3))[120, 160] == 255
