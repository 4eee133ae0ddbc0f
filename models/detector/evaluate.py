"""Measures the shipped int8 detector: `python -m models.detector.evaluate --faces ../shared/faces --json`.

Runs detector.tflite under TFLite's reference kernels (equal to the panel's bit for bit) and the panel's own
decoder, on the held-back part, every picture fitted into a 320x240 frame, at the threshold that ships. Keys that end
in _checked are of the same frames with the labels corrected by eye (models/detector/checked.py).

With --teacher 640x480 the network that made the labels is measured instead, on the same grey frames brought to that
size, at the threshold that leaves one false box per 100 of the empty frames: what its own labels let anybody reach.
--plots FOLDER draws the card's plots.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from models.detector.checked import relabelled
from models.detector.data import Frame, fit, read_frames
from models.detector.metrics import MATCH_OVERLAP, SMALLEST, Found, Network, choose_threshold, detect, measure
from models.runtime import Int8Model

HERE = Path(__file__).resolve().parent


def evaluate(network: Network, faces_dir: str | Path, threshold: int) -> dict:
    """The held-back part's figures, over all and by source, and against the labels checked by eye."""
    read, frames = _held_back(faces_dir)
    found = [detect(network, f.pixels, threshold) for f in frames]
    return _figures(read, frames, found, threshold) | {"resolver": "BUILTIN_REF"}


def evaluate_teacher(faces_dir: str | Path, width: int, height: int) -> dict:
    """The same of YuNet; needs OpenCV. Its threshold is in thousandths."""
    import cv2

    from models.detector.relabel import teacher

    look = teacher(faces_dir)
    read, frames = _held_back(faces_dir)
    found = []
    for frame in frames:
        seen = look(cv2.cvtColor(frame.pixels, cv2.COLOR_GRAY2BGR), width, height, 0.02)
        found.append([Found(round(1000 * score), box, points) for score, box, points in seen])
    empty = [boxes for frame, boxes in zip(frames, found, strict=True) if not frame.faces]
    return _figures(read, frames, found, choose_threshold(empty, 1.0))


def _held_back(faces_dir: str | Path) -> tuple[list[Frame], list[Frame]]:
    """The held-back frames as they are stored, and fitted into 320x240."""
    read = read_frames(faces_dir, ("held",))
    return read, [fit(f) for f in read]


def _figures(read: list[Frame], frames: list[Frame], found: list[list[Found]], threshold: int) -> dict:
    figures: dict = dict(measure(frames, found, threshold))
    figures["recall_by_source"] = {}
    for source in sorted({f.source for f in frames if f.faces}):
        mine = [(f, d) for f, d in zip(frames, found, strict=True) if f.source == source]
        part = measure([f for f, _ in mine], [d for _, d in mine], threshold)
        figures["recall_by_source"][source] = [part["recall"], part["faces"]]
    checked = measure(*_checked(read, frames, found), threshold)
    figures |= {f"{name}_checked": value for name, value in checked.items()}
    return figures | {"threshold": threshold, "overlap": MATCH_OVERLAP, "smallest_px": SMALLEST}


def _checked(read: list[Frame], frames: list[Frame], found: list[list[Found]]) -> tuple[list, list]:
    """The frames that were looked at, with their checked labels; and the boxes found in them."""
    right = {f.file: fit(f) for f in relabelled(read)}
    seen = [(right[f.file], boxes) for f, boxes in zip(frames, found, strict=True) if f.file in right]
    return [f for f, _ in seen], [boxes for _, boxes in seen]


def plot(network: Network, faces_dir: str | Path, threshold: int, folder: Path) -> None:
    """Draws the card's plots from every box, however low its score."""
    from models.detector.plots import draw

    read, frames = _held_back(faces_dir)
    found = [detect(network, f.pixels) for f in frames]
    draw((frames, found), _checked(read, frames, found), threshold, folder)


def size(text: str) -> tuple[int, int]:
    """Width and height of "320x240"; ValueError for anything else."""
    width, height = map(int, text.split("x"))
    if width < 1 or height < 1:
        raise ValueError(text)
    return width, height


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", required=True, help="folder with detect/ in it")
    parser.add_argument("--model", type=Path, default=HERE / "detector.tflite")
    parser.add_argument("--threshold", type=int, help="another int8 score than the shipped one")
    parser.add_argument("--teacher", type=size, metavar="WIDTHxHEIGHT", help="measure the labels' own network, at this")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="also draw the card's plots there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.teacher and options.plots:
        parser.error("--plots are of the shipped network, not of --teacher")
    if not (Path(options.faces) / "detect" / "labels.csv").exists():
        print(f"no detect/labels.csv under {options.faces}", file=sys.stderr)
        return 2
    if options.teacher:
        figures = evaluate_teacher(options.faces, *options.teacher)
    else:
        threshold = options.threshold
        if threshold is None:
            threshold = json.loads((HERE / "manifest.json").read_text())["threshold"]
        network = Int8Model(options.model).run
        figures = evaluate(network, options.faces, threshold)
        if options.plots:
            plot(network, options.faces, threshold, options.plots)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:26} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
