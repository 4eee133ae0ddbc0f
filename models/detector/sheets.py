"""Contact sheets for checking the held-back labels by eye: nine frames a picture, each with its faces enlarged below.

    python -m models.detector.sheets --faces ../shared/faces --out /tmp/sheets [--checked]

Boxes are yellow; points are 1 and 2 for the eyes (image left first), 3 nose, 4 and 5 mouth corners. Ticks count the
frame's pixels. The sheets show people: they are for looking at, never for the repository.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from models.detector import checked
from models.detector.data import Face, Frame, read_frames

_CELL_W, _FRAME_H, _ZOOM = 520, 270, 256
_COLOURS = ((255, 60, 60), (60, 255, 60), (80, 160, 255), (255, 220, 0), (255, 90, 255))
_ROOM_FOR_HEADING = 14


def _view(frame: Frame, origin: np.ndarray, span: np.ndarray, size: tuple[int, int], tick: int) -> Image.Image:
    """The part of the frame from `origin`, `span` pixels wide and high, as a picture of `size` with its labels."""
    scale = size[0] / span[0]
    x, y = origin
    matrix = (1 / scale, 0, x, 0, 1 / scale, y)
    picture = Image.fromarray(frame.pixels).transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=0
    )
    picture = picture.convert("RGB")
    draw = ImageDraw.Draw(picture)
    for place in range(0, 320, tick):
        u, v = (place + 0.5 - x) * scale, (place + 0.5 - y) * scale
        draw.line([(u, 0), (u, 5)], fill=(0, 255, 255))
        draw.line([(0, v), (5, v)], fill=(0, 255, 255))
        if place % (2 * tick) == 0:
            draw.text((u + 1, 4), str(place), fill=(0, 255, 255))
            draw.text((7, v - 5), str(place), fill=(0, 255, 255))
    for number, face in enumerate(frame.faces):
        _draw_face(draw, face, origin, scale, number)
    return picture


def _draw_face(draw: ImageDraw.ImageDraw, face: Face, origin: np.ndarray, scale: float, number: int) -> None:
    def at(xy: np.ndarray) -> tuple[float, float]:
        u, v = (np.asarray(xy) + 0.5 - origin) * scale
        return float(u), float(v)

    corner, far = at(face.box[:2]), at(face.box[:2] + face.box[2:])
    draw.rectangle([corner, far], outline=(150, 150, 150) if face.ignore else (255, 255, 0))
    draw.text((corner[0] + 2, corner[1] + 1), f"{number}{'i' if face.ignore else ''}", fill=(255, 160, 0))
    for place, (point, colour) in enumerate(zip(face.points, _COLOURS, strict=True), 1):
        u, v = at(point)
        draw.line([(u - 3, v), (u + 3, v)], fill=colour)
        draw.line([(u, v - 3), (u, v + 3)], fill=colour)
        draw.text((u + 3, v - 9), str(place), fill=colour)


def cell(frame: Frame, number: int) -> Image.Image:
    """One frame whole, its first four faces enlarged below."""
    sheet = Image.new("RGB", (_CELL_W, _ROOM_FOR_HEADING + _FRAME_H + _ZOOM), (40, 40, 40))
    ImageDraw.Draw(sheet).text((2, 1), f"#{number} {frame.file}", fill=(255, 255, 255))
    height, width = frame.pixels.shape
    scale = min(_CELL_W / width, _FRAME_H / height)
    size = (int(width * scale), int(height * scale))
    whole = _view(frame, np.zeros(2), np.array([width, height], float), size, 20)
    sheet.paste(whole, (0, _ROOM_FOR_HEADING))
    side = _ZOOM if len(frame.faces) <= 2 else _ZOOM // 2
    for place, face in enumerate(frame.faces[:8]):
        reach = 1.25 * float(face.box[2:].max())
        origin = face.box[:2] + face.box[2:] / 2 - reach / 2
        tick = 5 if reach < 60 else 10 if reach < 160 else 20
        part = _view(frame, origin, np.array([reach, reach]), (side, side), tick)
        across = _CELL_W // side
        sheet.paste(part, (place % across * side, _ROOM_FOR_HEADING + _FRAME_H + place // across * side))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True, help="folder with detect/ in it")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--checked", action="store_true", help="draw the checked labels, not the teacher's")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    frames = read_frames(options.faces, ("held",))
    if options.checked:
        frames = checked.relabelled(frames)
    for start in range(0, len(frames), 9):
        cells = [cell(frame, start + place) for place, frame in enumerate(frames[start : start + 9])]
        width, height = cells[0].size
        sheet = Image.new("RGB", (3 * width + 8, 3 * height + 8))
        for place, picture in enumerate(cells):
            sheet.paste(picture, (place % 3 * (width + 4), place // 3 * (height + 4)))
        sheet.save(options.out / f"sheet{start // 9:02d}.png")


if __name__ == "__main__":
    main()
