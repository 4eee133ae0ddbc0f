"""The numpy twin of firmware.vision.pixelstats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROWS, _COLUMNS = slice(32, 88), slice(24, 72)


def measure(face: NDArray[np.uint8]) -> list[int]:
    """uint8 [96, 96] to the numbers that firmware.vision.quality.judge_pixels reads."""
    wide = face.astype(np.int64)
    middle = wide[_ROWS, _COLUMNS]

    def energy(down: int, right: int) -> int:
        def shifted(sign: int) -> NDArray[np.int64]:
            y, x = sign * down, sign * right
            return wide[_ROWS.start + y : _ROWS.stop + y, _COLUMNS.start + x : _COLUMNS.stop + x]

        return int(np.square(shifted(-1) + shifted(1) - 2 * middle).sum())

    light = [int(middle.sum()), int((middle < 8).sum()), int((middle > 247).sum())]
    return [*light, energy(0, 2), energy(0, 8), energy(2, 0), energy(8, 0), int(np.square(middle).sum())]


def level(face: NDArray[np.uint8], gain: int, offset: int) -> NDArray[np.uint8]:
    """The face after firmware.vision.quality.levels."""
    return np.clip((face.astype(np.int64) * gain + offset + 128) >> 8, 0, 255).astype(np.uint8)
