"""Faces of nobody: training faces blended two by two and stretched, with what the teachers say of them.

Labelled faces are few, and a student that sees them a hundred times learns them by heart. A blend of two aligned faces
is a new face, and the teachers tell where it belongs; the student learns more of what they know, and of no person.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.data import CACHE, STORED_SIDE, Faces, decode
from models.embedder import teachers

_EVEN, _CUT = 0.5, 0.35  # of the mixes: an even blend; one half of each, with a soft border. The rest is one face
_STRETCH, _SHEAR, _TAPER = 0.045, 0.03, 0.035  # standard deviations
_BATCH = 64


@dataclass
class Mixes:
    """images: uint8 [n, 112, 112] grey; near, far: unit float16 [n, 128] and [n, 512] of the two teachers."""

    images: np.ndarray
    near: np.ndarray
    far: np.ndarray


def mixes(faces_dir: Path, faces: Faces, rows: np.ndarray, count: int, seed: int, device: torch.device) -> Mixes:
    """`count` mixes of the faces `rows`, cached; some 8 ms each on a CPU."""
    path = CACHE / f"mixes_{count}_{seed}.npz"
    if path.exists():
        kept = np.load(path)
        return Mixes(kept["images"], kept["near"], kept["far"])
    pictures = np.stack(list(decode(faces_dir / "matcher/images.zip", faces.files[rows], colour=True)))
    teacher = teachers.Live(faces_dir / "teachers", device)
    rng = np.random.default_rng(seed)
    images, near, far = [], [], []
    for start in range(0, count, _BATCH):
        batch = np.stack([mix(pictures, rng) for _ in range(min(_BATCH, count - start))])
        seen = torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2))).to(device).float() / 255
        for part, found in zip((near, far), teacher.colour(seen), strict=True):
            part.append(found.cpu().numpy().astype(np.float16))
        images.append(_grey(batch))
        if start % (50 * _BATCH) == 0:
            print(f"\rmixes: {start}/{count}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    made = Mixes(*(np.concatenate(parts) for parts in (images, near, far)))
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(partial, images=made.images, near=made.near, far=made.far)
    partial.replace(path)
    return made


def mix(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One mix of uint8 colour faces [n, 112, 112, 3], of the same shape as one of them."""
    first, second = _drawn(pictures, rng)
    kind = rng.random()
    if kind < _EVEN + _CUT:
        share = rng.uniform(0.3, 0.7) if kind < _EVEN else _border(rng)
        first = (first * share + second * (1 - share) + 0.5).astype(np.uint8)
    return _stretched(first, rng)


def _drawn(pictures: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    for place in rng.integers(len(pictures), size=2):
        yield pictures[place][:, ::-1] if rng.random() < 0.5 else pictures[place]


def _border(rng: np.random.Generator) -> np.ndarray:
    """[112, 112, 1], from 0 to 1 across a line near the middle."""
    ramp = np.linspace(-1, 1, STORED_SIDE)
    angle = rng.uniform(0, 2 * np.pi)
    beyond = ramp * np.cos(angle) + ramp[:, None] * np.sin(angle) - rng.uniform(-0.3, 0.3)
    return (1 / (1 + np.exp(-3 * beyond / rng.uniform(0.15, 0.7))))[:, :, None]


def _stretched(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Wider or narrower, sheared, in another perspective: proportions, too, make a face."""
    import cv2

    end = STORED_SIDE - 1
    middle = end / 2
    corners = np.array([[0, 0], [end, 0], [end, end], [0, end]], np.float32)
    moved = (corners - middle) * np.exp(rng.normal(0, _STRETCH, 2))
    moved[:, 0] += moved[:, 1] * rng.normal(0, _SHEAR)
    taper = rng.normal(0, _TAPER, 2)
    moved[:, 0] *= 1 + taper[0] * moved[:, 1] / middle
    moved[:, 1] *= 1 + taper[1] * moved[:, 0] / middle
    move = cv2.getPerspectiveTransform(corners, (moved + middle).astype(np.float32))
    return cv2.warpPerspective(face, move, (STORED_SIDE, STORED_SIDE), borderMode=cv2.BORDER_REPLICATE)


def _grey(colour: np.ndarray) -> np.ndarray:
    """ITU-R 601 luma in integers, as Pillow makes it."""
    return ((colour @ np.array([19595, 38470, 7471]) + 32768) >> 16).astype(np.uint8)
