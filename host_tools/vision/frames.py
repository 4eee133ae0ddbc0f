"""Panel frames (320x240 grey) cut from a photograph: tiles to search it by, and views of a face once it is
found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from host_tools.vision.pictures import Grey

WIDTH, HEIGHT = 320, 240


@dataclass(frozen=True)
class Tile:
    """A frame and where it lies: photograph coordinates = (x - left) / scale, (y - top) / scale."""

    frame: Grey
    scale: float
    left: float
    top: float

    def to_photo(self, x: float, y: float) -> tuple[float, float]:
        return (x - self.left) / self.scale, (y - self.top) / self.scale


@dataclass(frozen=True)
class View:
    """How a face is shown to the panel: distance between the eyes in frame pixels, head roll in degrees,
    light as a gain."""

    eyes: float
    roll: float = 0.0
    gain: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


def search_levels(photo: Grey) -> Iterator[list[Tile]]:
    """Tiles, from the whole picture in one frame down to a quarter of it, never enlarged."""
    height, width = photo.shape
    fit = min(WIDTH / width, HEIGHT / height)
    yield [_whole(photo, fit)]
    yield [_whole(photo, fit / 2)]  # faces that fill the picture
    for zoom in (2, 4):
        if fit * zoom <= 1:
            yield _tiles(photo, fit * zoom)


def around(photo: Grey, centre: tuple[float, float], scale: float) -> Tile:
    """One tile with `centre` (photograph coordinates) in its middle; the photograph's border is repeated beyond it."""
    width, height = round(WIDTH / scale), round(HEIGHT / scale)
    left, top = round(centre[0] - width / 2), round(centre[1] - height / 2)
    rows = np.clip(np.arange(top, top + height), 0, photo.shape[0] - 1)
    columns = np.clip(np.arange(left, left + width), 0, photo.shape[1] - 1)
    patch = Image.fromarray(photo[np.ix_(rows, columns)]).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    return Tile(np.asarray(patch), scale, -left * scale, -top * scale)


def _whole(photo: Grey, scale: float) -> Tile:
    small = _resized(photo, scale)
    height, width = small.shape
    left, top = (WIDTH - width) // 2, (HEIGHT - height) // 2
    frame = np.pad(small, ((top, HEIGHT - height - top), (left, WIDTH - width - left)), mode="edge")
    return Tile(frame, scale, left, top)


def _tiles(photo: Grey, scale: float) -> list[Tile]:
    small = _resized(photo, scale)
    height, width = small.shape
    short = ((0, max(0, HEIGHT - height)), (0, max(0, WIDTH - width)))
    padded = np.pad(small, short, mode="edge")
    return [
        Tile(np.ascontiguousarray(padded[y : y + HEIGHT, x : x + WIDTH]), scale, -x, -y)
        for y in _starts(padded.shape[0], HEIGHT)
        for x in _starts(padded.shape[1], WIDTH)
    ]


def _starts(length: int, window: int) -> list[int]:
    """Half-overlapping windows that cover `length`."""
    return sorted({*range(0, length - window, window // 2), length - window})


def _resized(photo: Grey, scale: float) -> Grey:
    height, width = photo.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))


def render(photo: Grey, eyes: tuple[tuple[float, float], tuple[float, float]], view: View) -> Grey:
    """A frame with the face in the middle as `view` says; `eyes` are photograph coordinates, the eye on the
    left first.

    What lies beyond the photograph's border repeats the border.
    """
    (ax, ay), (bx, by) = eyes
    across, along = bx - ax, by - ay
    scale = view.eyes / math.hypot(across, along)
    shrink = min(1.0, scale)  # by a filter that averages; the turn and any enlargement then sample without harm
    grow = scale / shrink
    middle = (
        ((ax + bx) / 2 - 0.6 * along) * shrink,
        ((ay + by) / 2 + 0.6 * across) * shrink,
    )  # between eyes and mouth
    patch, corner = _patch(_resized(photo, shrink), middle, 0.6 * math.hypot(WIDTH, HEIGHT) / grow)
    angle = math.radians(view.roll)
    cos, sin = math.cos(angle) / grow, math.sin(angle) / grow
    cx, cy = WIDTH / 2 + view.shift[0], HEIGHT / 2 + view.shift[1]
    px, py = middle[0] - corner[0], middle[1] - corner[1]
    affine = (cos, sin, px - cos * cx - sin * cy, -sin, cos, py + sin * cx - cos * cy)
    image = Image.fromarray(patch).transform((WIDTH, HEIGHT), Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
    return np.clip(np.rint(np.asarray(image).astype(np.float32) * view.gain), 0, 255).astype(np.uint8)


def _patch(photo: Grey, middle: tuple[float, float], reach: float) -> tuple[Grey, tuple[int, int]]:
    """The square of `reach` around `middle`, its border repeated where the photograph ends, and its top left
    corner."""
    left, top = math.floor(middle[0] - reach), math.floor(middle[1] - reach)
    side = math.ceil(2 * reach) + 1
    rows = np.clip(np.arange(top, top + side), 0, photo.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, photo.shape[1] - 1)
    return photo[np.ix_(rows, columns)], (left, top)
