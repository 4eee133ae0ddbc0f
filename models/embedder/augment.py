"""What a door does to an aligned face, by the batch: landmark jitter, distance, light, noise, covers, glasses, JPEG."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from models.data import CORNER, FACE_SIDE, STORED_SIDE

_EYES = ((38.3, 51.7), (73.5, 51.5))  # x, y in the 112x112 picture of a face that lies where it should
_BLOCK = 8
# ITU-T T.81, table K.1: what quality 50 divides a block's luminance coefficients by
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


def whole(images: torch.Tensor, rng: torch.Generator, strength: float = 1.0) -> torch.Tensor:
    """uint8 [n, 112, 112] to pixels [n, 1, 112, 112] (grey / 256), on the device of `rng`.

    Strength 0 is the picture itself, 1 the full range.
    """
    if strength == 0:
        return images[:, None].float() / 256
    x = _align(images[:, None].float() / 256, rng, strength)
    x = _distance(x, rng, strength)
    x = _light(x, rng, strength)
    x = _glasses(_occlude(x, rng, strength), rng, strength)
    sigma = 0.03 * strength * _uniform(len(x), rng).square()
    x = _jpeg(x + sigma * torch.randn(x.shape, generator=rng, device=rng.device), rng, strength)
    return (x.clamp(0, 255 / 256) * 256).round() / 256


def view(images: torch.Tensor, rng: torch.Generator, strength: float = 1.0) -> torch.Tensor:
    """The net's part of `whole`: pixels [n, 1, 96, 96]."""
    return piece(whole(images, rng, strength))


def piece(pixels: torch.Tensor) -> torch.Tensor:
    """[n, 1, 112, 112] to the [n, 1, 96, 96] that the panel's alignment leaves, as `models.data.inner` cuts it."""
    inside = slice(CORNER, CORNER + FACE_SIDE)
    return pixels[:, :, inside, inside].contiguous(memory_format=torch.channels_last)


def _uniform(n: int, rng: torch.Generator, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    return (torch.rand(n, generator=rng, device=rng.device) * (high - low) + low).view(n, 1, 1, 1)


def _normal(n: int, rng: torch.Generator, sigma: float, limit: float) -> torch.Tensor:
    return (torch.randn(n, generator=rng, device=rng.device) * sigma).clamp(-limit, limit)


def _align(x: torch.Tensor, rng: torch.Generator, strength: float) -> torch.Tensor:
    """Similarity jitter (what landmark errors cause) and mirror in one warp."""
    n = len(x)
    angle = strength * _normal(n, rng, math.radians(4), math.radians(12))
    size = torch.exp(strength * _normal(n, rng, 0.05, 0.12))
    shift_x, shift_y = (strength * _normal(n, rng, 2.0, 5.0) for _ in range(2))
    mirror = (torch.rand(n, generator=rng, device=rng.device) < 0.5).float() * 2 - 1
    centre = (STORED_SIDE - 1) / 2
    at = torch.arange(STORED_SIDE, device=x.device) - centre
    cos, sin = (angle.cos() * size).view(n, 1, 1), (angle.sin() * size).view(n, 1, 1)
    u, v = at.view(1, 1, -1) * mirror.view(n, 1, 1), at.view(1, -1, 1)
    grid = torch.stack((u * cos - v * sin + shift_x.view(n, 1, 1), u * sin + v * cos + shift_y.view(n, 1, 1)), -1)
    return F.grid_sample(x, grid / centre, mode="bilinear", padding_mode="border", align_corners=True)


def _distance(x: torch.Tensor, rng: torch.Generator, strength: float) -> torch.Tensor:
    """Some faces from farther away (the net's part down to 40 px) or out of focus; one size per part of the batch."""
    order = torch.randperm(len(x), generator=rng, device=rng.device)
    part = int(len(x) * 0.15 * strength)
    x = x.clone()
    for low, high, rows in ((47, 70, order[:part]), (65, 103, order[part : 2 * part])):
        side = int(torch.randint(low, high, (1,), generator=rng, device=rng.device))
        small = F.interpolate(x[rows], size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        x[rows] = F.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=False)
    rows = order[2 * part : 3 * part]
    kernel = torch.tensor([0.25, 0.5, 0.25], device=x.device)
    x[rows] = F.conv2d(F.pad(x[rows], (1, 1, 1, 1), mode="replicate"), (kernel[:, None] * kernel)[None, None])
    return x


def _light(x: torch.Tensor, rng: torch.Generator, strength: float) -> torch.Tensor:
    """Gamma, contrast, brightness, and for every second face a light from one side."""
    n = len(x)
    x = x.clamp_min(1e-4) ** torch.exp(strength * _uniform(n, rng, -0.35, 0.35))
    ramp = torch.linspace(-1, 1, x.shape[-1], device=x.device)
    turn = _uniform(n, rng, 0, 2 * math.pi)
    slope = strength * 0.35 * _uniform(n, rng) * (_uniform(n, rng) < 0.5)
    x = x * (1 + slope * (turn.cos() * ramp.view(1, 1, 1, -1) + turn.sin() * ramp.view(1, 1, -1, 1)))
    return (x - 0.5) * (1 + strength * _uniform(n, rng, -0.3, 0.25)) + 0.5 + strength * _uniform(n, rng, -0.15, 0.15)


def _occlude(x: torch.Tensor, rng: torch.Generator, strength: float) -> torch.Tensor:
    """A flat box over part of one face in eight; half of these cover the lower third, as a mask does."""
    for row in (
        torch.nonzero(torch.rand(len(x), generator=rng, device=rng.device) < 0.125 * strength).flatten().tolist()
    ):
        top, left, high, wide = (
            int(torch.randint(CORNER, CORNER + 72, (1,), generator=rng, device=rng.device)),
            int(torch.randint(CORNER, CORNER + 72, (1,), generator=rng, device=rng.device)),
            24,
            24,
        )
        if torch.rand(1, generator=rng, device=rng.device) < 0.5:
            top, left, high, wide = CORNER + 60, CORNER + 12, STORED_SIDE - CORNER - 60, 72
        x[row, :, top : top + high, left : left + wide] = torch.rand(1, generator=rng, device=rng.device)
    return x


def _glasses(x: torch.Tensor, rng: torch.Generator, strength: float) -> torch.Tensor:
    """Drawn frames on one face in ten, every third pair of them with dark lenses."""
    rows = torch.nonzero(torch.rand(len(x), generator=rng, device=rng.device) < 0.1 * strength).flatten()
    if not len(rows):
        return x
    n = len(rows)
    v, u = torch.meshgrid(*(torch.arange(STORED_SIDE, device=x.device, dtype=x.dtype),) * 2, indexing="ij")
    wide, high, rim = _uniform(n, rng, 11, 16), _uniform(n, rng, 8, 13), _uniform(n, rng, 1.0, 3.0)
    drop, power, shade = _uniform(n, rng, -1, 4), _uniform(n, rng, 2, 5), _uniform(n, rng, 0, 0.35)
    edge = torch.full((n, *x.shape[1:]), math.inf, device=x.device)  # distance from the nearer lens's edge
    for eye_x, eye_y in _EYES:
        across, down = ((u - eye_x) / wide).abs(), ((v - eye_y - drop) / high).abs()
        edge = torch.minimum(edge, ((across**power + down**power) ** (1 / power) - 1) * high)
    bridge = ((v - _EYES[0][1] - drop + 2).abs() < rim / 2) & (u > _EYES[0][0]) & (u < _EYES[1][0]) & (edge > 0)
    dark = (edge < 0) & (_uniform(n, rng) < 1 / 3)
    x = x.clone()
    x[rows] = torch.where((edge.abs() < rim / 2) | bridge | dark, shade.expand_as(edge), x[rows])
    return x


def _jpeg(x: torch.Tensor, rng: torch.Generator, strength: float) -> torch.Tensor:
    """One face in five as JPEG keeps it, at a quality of 30 to 90: its blocks' coefficients, rounded."""
    rows = torch.nonzero(torch.rand(len(x), generator=rng, device=rng.device) < 0.2 * strength).flatten()
    if not len(rows):
        return x
    place = torch.arange(_BLOCK, device=x.device, dtype=x.dtype)
    turn = torch.cos((2 * place + 1) * place[:, None] * math.pi / (2 * _BLOCK)) / 2
    turn[0] /= math.sqrt(2)
    quality = _uniform(len(rows), rng, 30, 90).view(-1, 1, 1, 1, 1)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)  # of libjpeg
    step = (torch.tensor(_LUMINANCE, device=x.device) * scale).clamp_min(1).round()
    side = x.shape[-1] // _BLOCK
    blocks = x[rows].reshape(-1, side, _BLOCK, side, _BLOCK).transpose(2, 3) * 256 - 128
    kept = turn.T @ (((turn @ blocks @ turn.T) / step).round() * step) @ turn
    x = x.clone()
    x[rows] = ((kept + 128) / 256).transpose(2, 3).reshape(-1, *x.shape[1:])
    return x
