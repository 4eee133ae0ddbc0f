"""Measures how the panel finds faces: `python -m models.detector.evaluate --faces ../shared/faces --json`.

Runs detector.tflite and closeup.tflite under TFLite's reference kernels (equal to the panel's bit for bit), with the
panel's own decoder and choice, on the held-back part, every picture fitted into a 320x240 frame, at the thresholds that
ship. `landmark_nme` is therefore of the points by which the panel aligns. Keys that end in _first_look are of the
detector alone, at the threshold that it would need alone. Keys that end in _checked are of the frames whose labels were
corrected by eye (models/detector/checked.py), keys that end in _unchecked of the same frames with the teacher's labels.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from host_tools.vision.pipeline import Finder, shipped_finder
from models.detector.checked import relabelled
from models.detector.data import Frame, fit, halve, read_frames
from models.detector.metrics import LOWEST_SUM, MATCH_OVERLAP, SMALLEST, Found, Network, as_found, detect, measure
from models.runtime import Int8Model

HERE = Path(__file__).resolve().parent
_SINGLE = ("recall", "recall_32_64", "false_per_100_empty", "landmark_nme", "landmark_nme_median")


def evaluate(finder: Finder, faces_dir: str | Path) -> dict:
    """The held-back part's figures, over all and by source, and against the labels checked by eye."""
    read = read_frames(faces_dir, ("held",))
    frames = [fit(f) for f in read]
    found = [as_found(finder.find(f.pixels)) for f in frames]
    threshold = finder.threshold
    figures: dict = dict(measure(frames, found, threshold))
    figures["recall_by_source"] = {}
    for source in sorted({f.source for f in frames if f.faces}):
        mine = [(f, d) for f, d in zip(frames, found, strict=True) if f.source == source]
        part = measure([f for f, _ in mine], [d for _, d in mine], threshold)
        figures["recall_by_source"][source] = [part["recall"], part["faces"]]
    figures |= _checked(read, frames, found, threshold)
    terms = {"threshold": threshold, "overlap": MATCH_OVERLAP, "smallest_px": SMALLEST}
    return figures | terms | {"resolver": "BUILTIN_REF"}


def first_look(network: Network, faces_dir: str | Path, threshold: int) -> dict:
    """The detector alone."""
    frames = [fit(f) for f in read_frames(faces_dir, ("held",))]
    figures = measure(frames, [detect(network, halve(f.pixels), threshold) for f in frames], threshold)
    return {f"{name}_first_look": figures[name] for name in _SINGLE}


def _checked(read: list[Frame], frames: list[Frame], found: list[list[Found]], threshold: int) -> dict:
    """The checked frames' figures by their checked and by their unchecked labels."""
    right = {f.file: fit(f) for f in relabelled(read)}
    seen = [(frame, boxes) for frame, boxes in zip(frames, found, strict=True) if frame.file in right]
    boxes = [b for _, b in seen]
    report = {}
    for ending, labelled in (("unchecked", [f for f, _ in seen]), ("checked", [right[f.file] for f, _ in seen])):
        report |= {f"{name}_{ending}": value for name, value in measure(labelled, boxes, threshold).items()}
    return report


def draw(faces_dir: str | Path, folder: Path) -> None:
    """The curves, of the held-back part."""
    from models.detector import plots

    frames = [fit(f) for f in read_frames(faces_dir, ("held",))]
    finder, alone = shipped_finder(), Int8Model(HERE / "detector.tflite").run
    looks = {
        "the detector alone": [detect(alone, halve(f.pixels)) for f in frames],
        "with the closer look": [as_found(finder.find(f.pixels, LOWEST_SUM)) for f in frames],
    }
    plots.draw(frames, looks, finder.threshold, folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", required=True, help="folder with detect/ in it")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="also draw the card's curves there")
    options = parser.parse_args()
    if not (Path(options.faces) / "detect" / "labels.csv").exists():
        print(f"no detect/labels.csv under {options.faces}", file=sys.stderr)
        return 2
    alone = json.loads((HERE / "manifest.json").read_text())["threshold"]
    figures = evaluate(shipped_finder(), options.faces)
    figures |= first_look(Int8Model(HERE / "detector.tflite").run, options.faces, alone)
    if options.plots:
        draw(options.faces, options.plots)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
