"""The panel's image operations (firmware/vision/image.py) in numpy, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from firmware.nn.pack import PATCH

Grey = NDArray[np.uint8]


def half2x2(image: Grey) -> Grey:
    """2x2 means, halves up; both sides even."""
    wide = image.astype(np.uint16)
    total = wide[0::2, 0::2] + wide[0::2, 1::2] + wide[1::2, 0::2] + wide[1::2, 1::2]
    return ((total + 2) >> 2).astype(np.uint8)


def patches(image: Grey) -> Grey:
    """[h / 4, w / 4, 16], as firmware/nn/pack.py says of an input of 16 channels."""
    rows, columns = (side // PATCH for side in image.shape)
    parts = image.reshape(rows, PATCH, columns, PATCH).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(parts).reshape(rows, columns, PATCH * PATCH)


def warp(image: Grey, transform: Sequence[int], side: int) -> Grey:
    """Bilinear similarity warp to side x side; transform (a, b, tx, ty) in Q16 as the panel's `warp`
    defines it.
    """
    a, b, tx, ty = transform
    height, width = image.shape
    y, x = np.mgrid[0:side, 0:side].astype(np.int64)
    u, v = a * x - b * y + tx, b * x + a * y + ty
    right, down = (u >> 8) & 255, (v >> 8) & 255
    columns = [np.clip((u >> 16) + step, 0, width - 1) for step in (0, 1)]
    rows = [np.clip((v >> 16) + step, 0, height - 1) for step in (0, 1)]
    pixels = image.astype(np.int64)
    upper, lower = (pixels[row, columns[0]] * (256 - right) + pixels[row, columns[1]] * right for row in rows)
    return ((upper * (256 - down) + lower * down + 32768) >> 16).astype(np.uint8)
