"""Photographs from files: opened, turned upright, grey; whatever is wrong with one becomes one clear
error."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from firmware.base.errors import MenshenError

Grey = NDArray[np.uint8]
LONGEST_SIDE = 2560  # larger pictures are reduced: a face that matters is far larger than the panel needs


class UnreadablePicture(MenshenError):
    """A file that is missing, no picture, cut short or absurdly large."""

    code = "picture"


def load_grey(photo: str | Path | NDArray[np.uint8]) -> Grey:
    """uint8 [h, w] from a file (its EXIF orientation applied) or from an array [h, w] or [h, w, 3 or 4]."""
    if isinstance(photo, np.ndarray):
        return _reduced(_from_array(photo))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(photo) as image:
                image.load()
                return _reduced(ImageOps.exif_transpose(image).convert("RGB").convert("L"))
    except FileNotFoundError:
        raise UnreadablePicture(f"{photo}: no such file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadablePicture(f"{photo}: the picture is too large") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
    ) as error:  # what Pillow's decoders raise on damaged files
        raise UnreadablePicture(f"{photo}: not a picture, or damaged ({error})") from None


def _from_array(photo: NDArray[np.uint8]) -> Image.Image:
    if photo.dtype != np.uint8 or photo.ndim not in (2, 3) or (photo.ndim == 3 and photo.shape[2] not in (3, 4)):
        raise UnreadablePicture(f"an array of {photo.dtype} {photo.shape} is no 8-bit picture")
    if min(photo.shape[:2]) == 0:
        raise UnreadablePicture("the picture is empty")
    return Image.fromarray(photo).convert("L")


def _reduced(image: Image.Image) -> Grey:
    if min(image.size) < 16:
        raise UnreadablePicture(f"{image.width}x{image.height} pixels are too few for a face")
    if max(image.size) > LONGEST_SIDE:
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)
