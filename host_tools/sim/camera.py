"""The camera model: from a photograph to what a 320x240 grey sensor would deliver.

Geometry and light are computed once a scene, noise anew for each frame. Light is handled in linear units with
1.0 at the sensor's full well; photographs are taken as encoded with gamma 2.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

WIDTH, HEIGHT = 320, 240
_PHOTO_GAMMA = 2.2

Frame = npt.NDArray[np.uint8]
Light = npt.NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """How a photograph stands before the sensor.

    region: x0, y0, x1, y1 in photograph pixels, the part by which it is placed, such as the face (None: the
    whole); what lies around it is seen too. height: of that part on the sensor, in pixels. centre: where its
    middle falls. rotation: degrees counter-clockwise. gain: exposure, 1.0 leaves the photograph's. gamma: of
    the sensor's output. gradient: side light, -1 to 1, relative change from the left edge to the right.
    backlight: 0 to 1, how strongly the background outshines what stands before it. blur: sigma in sensor
    pixels. full_well: electrons at white, fewer is noisier. read_noise: electrons. background: grey level 0
    to 255 of the wall behind. seed: of the noise.
    """

    region: tuple[float, float, float, float] | None = None
    height: float = 240.0
    centre: tuple[float, float] = (WIDTH / 2, HEIGHT / 2)
    rotation: float = 0.0
    gain: float = 1.0
    gamma: float = _PHOTO_GAMMA
    gradient: float = 0.0
    backlight: float = 0.0
    blur: float = 0.6
    full_well: float = 6000.0
    read_noise: float = 12.0
    background: float = 110.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 4 <= self.height <= 4000:
            raise ValueError(f"height {self.height} is not between 4 and 4000 sensor pixels")
        if self.gain <= 0 or self.gamma <= 0 or self.full_well <= 0:
            raise ValueError("gain, gamma and full_well must be positive")
        if self.blur < 0 or self.read_noise < 0 or not 0 <= self.backlight <= 1 or not -1 <= self.gradient <= 1:
            raise ValueError("blur and read_noise must not be negative, backlight 0 to 1, gradient -1 to 1")

    @classmethod
    def of(cls, params: dict[str, Any]) -> View:
        """From JSON: lists become tuples, unknown names are refused."""
        unknown = set(params) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown camera parameter: {', '.join(sorted(unknown))}")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in params.items()}
        return cls(**values)


def load_photo(photo: str | Path | Image.Image | npt.NDArray[Any]) -> Image.Image:
    """Any photograph as 8-bit grey (ITU-R BT.601 luma). ndarray: uint8, (rows, columns) or (rows, columns,
    3)."""
    if isinstance(photo, (str, Path)):
        with Image.open(photo) as image:
            return image.convert("L")
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim not in (2, 3) or 0 in photo.shape:
            raise ValueError("a photograph is a uint8 array of rows x columns, or x 3 colours")
        photo = Image.fromarray(np.ascontiguousarray(photo))
    return photo.convert("L")


class Scene:
    """One photograph (None: nobody there) before the sensor; `frame(n)` is the n-th exposure of it."""

    def __init__(self, photo: Image.Image | None, view: View | None = None) -> None:
        self.view = view or View()
        self._light = _exposed(photo, self.view)

    def frame(self, index: int, exposure: float = 1.0) -> Frame:
        """Deterministic in (view.seed, index); `exposure` multiplies the light."""
        view = self.view
        rng = np.random.default_rng([view.seed, index])
        electrons = self._light * np.float32(view.full_well * exposure)
        sigma = np.sqrt(electrons + np.float32(view.read_noise**2))
        electrons += sigma * rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32)
        linear = np.clip(electrons / np.float32(view.full_well), 0.0, 1.0)
        return np.rint(255.0 * linear ** np.float32(1.0 / view.gamma)).astype(np.uint8)


def photograph(photo: str | Path | Image.Image | npt.NDArray[Any] | None, index: int = 0, **params: Any) -> Frame:
    """One frame in one call."""
    return Scene(None if photo is None else load_photo(photo), View.of(params)).frame(index)


def _exposed(photo: Image.Image | None, view: View) -> Light:
    wall = _wall(view)
    if photo is None:
        light = wall
    else:
        picture, cover = _placed(photo, view)
        subject = _linear(picture) * (1.0 - 0.6 * view.backlight)
        light = wall * (1.0 - cover) + subject * cover
    light = light * _side_light(view) * view.gain
    if view.blur:
        light = _blurred(light, view.blur)
    return np.maximum(light, 0.0).astype(np.float32)


def _wall(view: View) -> Light:
    # A plain wall, lit from above: a perfectly flat background occurs at no door.
    level = (view.background / 255.0) ** _PHOTO_GAMMA * (1.0 + 2.0 * view.backlight)
    fall = np.linspace(1.1, 0.9, HEIGHT, dtype=np.float32)[:, None]
    return (level * fall * np.ones((1, WIDTH), dtype=np.float32)).astype(np.float32)


def _side_light(view: View) -> Light:
    return (1.0 + view.gradient * np.linspace(-0.5, 0.5, WIDTH, dtype=np.float32))[None, :].astype(np.float32)


def _linear(grey: Light) -> Light:
    return (np.clip(grey / 255.0, 0.0, 1.0) ** _PHOTO_GAMMA).astype(np.float32)


def _placed(photo: Image.Image, view: View) -> tuple[Light, Light]:
    """The photograph's grey levels on the sensor's grid, and how much of each pixel it covers (0 to 1)."""
    x0, y0, x1, y1 = view.region or (0.0, 0.0, float(photo.width), float(photo.height))
    if not (0 <= x0 < x1 <= photo.width and 0 <= y0 < y1 <= photo.height):
        raise ValueError(f"region {view.region} is not inside the photograph of {photo.width}x{photo.height}")
    scale = view.height / (y1 - y0)
    shrink = max(1, math.floor(1.0 / scale))
    photo = photo.reduce(shrink) if shrink > 1 else photo
    scale *= shrink
    middle = ((x0 + x1) / 2 / shrink, (y0 + y1) / 2 / shrink)
    matrix = _sensor_to_photo(scale, view.rotation, view.centre, middle)
    size = (WIDTH, HEIGHT)
    picture = photo.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    whole = Image.new("L", photo.size, 255)
    cover = whole.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.float32), np.asarray(cover, dtype=np.float32) / np.float32(255)


def _sensor_to_photo(
    scale: float, degrees: float, centre: tuple[float, float], middle: tuple[float, float]
) -> tuple[float, float, float, float, float, float]:
    # Pillow wants the inverse map, from output pixel to input pixel.
    cos, sin = math.cos(math.radians(degrees)) / scale, math.sin(math.radians(degrees)) / scale
    (cx, cy), (mx, my) = centre, middle
    return (cos, -sin, mx - cos * cx + sin * cy, sin, cos, my - sin * cx - cos * cy)


def _blurred(light: Light, sigma: float) -> Light:
    reach = max(1, math.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (reach, reach)
        padded = np.pad(light, pad, mode="edge")
        size = light.shape[axis]
        light = sum(k * padded.take(range(i, i + size), axis) for i, k in enumerate(kernel.astype(np.float32)))
    return light
