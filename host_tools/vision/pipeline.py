"""The panel's own steps on the host, bit for bit: for enrolment from a photograph and for evaluation.

The networks run by TFLite's reference kernels, whose arithmetic the panel repeats; decoding, alignment and
the quality gate are the panel's files, imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firmware.base.errors import ManyFaces, NoFace, PoorQuality
from firmware.nn.pack import Pack
from firmware.vision import quality
from firmware.vision.align import SIDE, halved, is_large, similarity
from firmware.vision.detector import FaceDecoder, same_face
from host_tools.vision.frames import HEIGHT, WIDTH, Tile, View, around, render, search_levels
from host_tools.vision.image import half2x2, warp
from host_tools.vision.pictures import Grey, load_grey
from host_tools.vision.pixelstats import level, measure
from models.runtime import Int8Model

MODELS = Path(__file__).resolve().parents[2] / "models"

Points = tuple[tuple[int, int], ...]
Face = tuple[int, int, int, int, int, Points]  # as firmware.vision.detector.FaceDecoder has it

VIEWS = (
    View(eyes=40),
    View(eyes=32, roll=-5, gain=0.85),
    View(eyes=50, roll=4, gain=1.1),
    View(eyes=28, roll=3, shift=(7, -5)),
    View(eyes=60, roll=-3, gain=0.92),
)
_MOST = 4  # templates the panel keeps of a person
_NEEDED = 3  # views that must be good, of those asked for, before a photograph is learnt from
_CLOSE_EYES = 40  # frame pixels
_MIN_EYES = 20  # pixels between the eyes in the photograph itself: larger views would only be blown up


@dataclass(frozen=True)
class Look:
    """What the pipeline made of one frame; `hint` is quality.OK or says why there is no embedding."""

    frame: Grey
    faces: list[Face]
    hint: int
    face: Face | None = None
    aligned: Grey | None = None
    embedding: NDArray[np.int8] | None = None


@dataclass(frozen=True)
class Templates:
    """What enrolment sends to the panel, and how it came about."""

    model_id: bytes
    templates: list[bytes]
    looks: list[Look] = field(repr=False)
    refused: list[str]  # the hints of the views that were not good enough


class FacePipeline:
    """The two networks with their packs' metadata, from a folder with detector/ and embedder/ in it."""

    def __init__(self, models: Path = MODELS):
        detector, embedder = models / "detector" / "detector", models / "embedder" / "embedder"
        self._detector = Int8Model(detector.with_suffix(".tflite"))
        self._embedder = Int8Model(embedder.with_suffix(".tflite"))
        self._decoder = FaceDecoder(Pack(detector.with_suffix(".pack").read_bytes()).meta["threshold"])
        pack = Pack(embedder.with_suffix(".pack").read_bytes())
        self.model_id: bytes = bytes(pack.model_id)
        self.threshold_q14: int = pack.meta["threshold_q14"]

    def find(self, frame: Grey) -> list[Face]:
        """Faces in a 320x240 frame, best first."""
        heads = self._detector.run(frame)
        return self._decoder.decode([memoryview(np.ascontiguousarray(head).tobytes()).cast("b") for head in heads])

    def align(self, frame: Grey, points: Points) -> Grey:
        """The 96x96 face."""
        transform = similarity(points)
        if is_large(transform):
            return warp(half2x2(frame), halved(transform), SIDE)
        return warp(frame, transform, SIDE)

    def embed(self, aligned: Grey) -> NDArray[np.int8]:
        return self._embedder.run(aligned)[0].reshape(-1)

    def look(self, frame: Grey, limits: quality.Limits) -> Look:
        """Find, judge, align and embed, as the panel does with one frame."""
        faces = self.find(frame)
        face, hint = quality.choose(faces, limits)
        hint = hint or quality.judge_landmarks(face[5], limits)
        hint = hint or _judge_place(face[5])
        if hint:
            return Look(frame, faces, hint, face)
        aligned = self.align(frame, face[5])
        stats = measure(aligned)
        hint = quality.judge_pixels(stats, limits)
        aligned = level(aligned, *quality.levels(stats))
        return Look(frame, faces, hint, face, aligned, None if hint else self.embed(aligned))


def _judge_place(points: Points) -> int:
    try:
        return quality.judge_place(similarity(points), WIDTH, HEIGHT)
    except PoorQuality:
        return quality.LOOK_STRAIGHT


def templates_from_photo(
    photo: str | Path | NDArray[np.uint8],
    *,
    strict: bool = True,
    views: int = 5,
    pipeline: FacePipeline | None = None,
) -> Templates:
    """Templates of the one person in a photograph, from several slightly different views of it.

    UnreadablePicture, NoFace, ManyFaces or PoorQuality when the picture does not serve.
    """
    if not 1 <= views <= len(VIEWS):
        raise ValueError(f"1 to {len(VIEWS)} views")
    pipeline = pipeline or FacePipeline()
    grey = load_grey(photo)
    eyes = locate(grey, pipeline)
    if math.dist(*eyes) < _MIN_EYES:
        raise PoorQuality("the face in the picture is too small")
    limits = quality.STRICT if strict else quality.LENIENT
    looks = [pipeline.look(render(grey, eyes, view), limits) for view in VIEWS[:views]]
    good = [look for look in looks if look.embedding is not None]
    refused = [quality.HINTS[look.hint] for look in looks if look.hint]
    if len(good) < min(_NEEDED, views):
        raise PoorQuality("the picture is not good enough: " + ", ".join(sorted(set(refused))))
    templates = [look.embedding.tobytes() for look in good[:_MOST] if look.embedding is not None]
    return Templates(pipeline.model_id, templates, looks, refused)


def locate(photo: Grey, pipeline: FacePipeline) -> tuple[tuple[float, float], tuple[float, float]]:
    """The eyes of the only face, in photograph coordinates, the eye on the left first. NoFace or ManyFaces
    otherwise.

    The photograph is searched whole, then in ever smaller parts, until faces are found. People who are much
    smaller than the foremost stand in the background and do not count.
    """
    for tiles in search_levels(photo):
        found = sorted(_apart(tiles, pipeline), key=lambda f: -f[1][3] / f[0].scale)
        if not found:
            continue
        tile, face = found[0]
        least = quality.STRICT.other_size * face[3] / tile.scale
        others = sum(100 * other[3] / its.scale > least for its, other in found[1:])
        if others:
            raise ManyFaces(f"{others + 1} faces in the picture; enrol from a picture of one person")
        return _closer(photo, _eyes(tile, face), pipeline)
    raise NoFace("no face in the picture")


def _eyes(tile: Tile, face: Face) -> tuple[tuple[float, float], tuple[float, float]]:
    right, left = (tile.to_photo(x / 16, y / 16) for x, y in face[5][:2])
    return right, left


def _closer(
    photo: Grey, eyes: tuple[tuple[float, float], tuple[float, float]], pipeline: FacePipeline
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The eyes as a second look sees them, at the size at which the detector places points best."""
    (ax, ay), (bx, by) = eyes
    middle = ((ax + bx) / 2, (ay + by) / 2)
    tile = around(photo, middle, _CLOSE_EYES / max(math.dist(*eyes), 1))
    seen = [_eyes(tile, face) for face in pipeline.find(tile.frame)]
    near = [e for e in seen if math.dist(middle, ((e[0][0] + e[1][0]) / 2, (e[0][1] + e[1][1]) / 2)) < math.dist(*eyes)]
    return near[0] if near else eyes


def _apart(tiles: list[Tile], pipeline: FacePipeline) -> Iterator[tuple[Tile, Face]]:
    """The faces of a level, each once although tiles overlap; the best-placed sighting of each."""
    seen: list[tuple[int, float, float, float, float]] = []
    sightings = [(face[0], n, tile, face) for n, tile in enumerate(tiles) for face in pipeline.find(tile.frame)]
    for score, _, tile, face in sorted(sightings, key=lambda s: (-s[0], s[1])):
        x, y = tile.to_photo(face[1], face[2])
        box = (score, x, y, face[3] / tile.scale, face[4] / tile.scale)
        if not any(same_face(box, other) for other in seen):
            seen.append(box)
            yield tile, face
