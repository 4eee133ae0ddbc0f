"""The panel's display as a picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from firmware.ui.palette import PALETTE

SCREEN_WIDTH, SCREEN_HEIGHT = 240, 320


def render(buffer: bytes | None) -> npt.NDArray[np.uint8]:
    """(320, 240, 3) RGB of a GS4_HMSB buffer; None, a display that was never written, is dark."""
    if buffer is None:
        return np.zeros((SCREEN_HEIGHT, SCREEN_WIDTH, 3), np.uint8)
    pairs = np.frombuffer(buffer, np.uint8)
    indices = np.stack([pairs >> 4, pairs & 15], axis=1)
    return np.array(PALETTE, np.uint8)[indices].reshape(SCREEN_HEIGHT, SCREEN_WIDTH, 3)
