"""Who plays in the demo: two public-domain portraits from installed packages, or a folder of one's own per person."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from host_tools.errors import Usage
from host_tools.vision.pictures import load_grey
from host_tools.vision.pipeline import FacePipeline, locate

Picture = npt.NDArray[np.uint8]
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
_FACE_PER_EYES = 2.8  # height of the part by which a face is placed, in eye distances


@dataclass(frozen=True)
class Person:
    """`portrait` is enrolled from; `at_door` is what the door's camera looks at. Grey, uint8 (rows, columns)."""

    name: str
    portrait: Picture
    at_door: Picture


def cast(folder: Path | None) -> tuple[Person, Person]:
    """(who consents, who declines). Raises Usage where `folder` does not hold two people."""
    if folder is None:
        return _portraits()
    folders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if len(folders) < 2:
        raise Usage(f"{folder} needs a folder of pictures for each of two people, named after them.")
    return _from_folder(folders[0]), _from_folder(folders[1])


def at_the_door(picture: Picture, pipeline: FacePipeline, **view: Any) -> dict[str, Any]:
    """Camera parameters (host_tools.sim.camera.View) that place the picture's face; `view` holds the rest."""
    (ax, ay), (bx, by) = locate(picture, pipeline)
    half = _FACE_PER_EYES * math.hypot(bx - ax, by - ay) / 2
    x, y = (ax + bx) / 2, (ay + by) / 2 + 0.3 * half
    return {"region": (x - half, y - half, x + half, y + half), **view}


def _portraits() -> tuple[Person, Person]:
    try:
        from matplotlib.cbook import get_sample_data
        from skimage.data import astronaut
    except ImportError as error:
        raise Usage("The portraits come with matplotlib and scikit-image. Run: pip install menshen[demo].") from error
    grace = load_grey(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    eileen = load_grey(astronaut())
    return Person("Grace Hopper", grace, grace), Person("Eileen Collins", eileen, eileen)


def _from_folder(folder: Path) -> Person:
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)
    if not pictures:
        raise Usage(f"{folder} holds no picture ({', '.join(sorted(_PICTURES))}).")
    return Person(folder.name, load_grey(pictures[0]), load_grey(pictures[-1]))
