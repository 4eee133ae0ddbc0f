"""Measures the shipped int8 detector: `python -m models.detector.evaluate --faces ../shared/faces --json`.

Runs detector.tflite under TFLite's reference kernels (equal to the panel's bit for bit) and the panel's own
decoder, on the held-back part, every picture fitted into a 320x240 frame, at the threshold that ships. Keys that end
in _checked are of the frames whose labels were corrected by eye (models/detector/checked.py), keys that end in
_unchecked of the same frames with the teacher's labels.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from models.detector.checked import relabelled
from models.detector.data import Frame, fit, halve, read_frames
from models.detector.metrics import MATCH_OVERLAP, SMALLEST, Found, Network, detect, measure
from models.runtime import Int8Model

HERE = Path(__file__).resolve().parent


def evaluate(network: Network, faces_dir: str | Path, threshold: int) -> dict:
    """The held-back part's figures, over all and by source, and against the labels checked by eye."""
    read = read_frames(faces_dir, ("held",))
    frames = [fit(f) for f in read]
    found = [detect(network, halve(f.pixels), threshold) for f in frames]
    figures: dict = dict(measure(frames, found, threshold))
    figures["recall_by_source"] = {}
    for source in sorted({f.source for f in frames if f.faces}):
        mine = [(f, d) for f, d in zip(frames, found, strict=True) if f.source == source]
        part = measure([f for f, _ in mine], [d for _, d in mine], threshold)
        figures["recall_by_source"][source] = [part["recall"], part["faces"]]
    figures |= _checked(read, frames, found, threshold)
    terms = {"threshold": threshold, "overlap": MATCH_OVERLAP, "smallest_px": SMALLEST}
    return figures | terms | {"resolver": "BUILTIN_REF"}


def _checked(read: list[Frame], frames: list[Frame], found: list[list[Found]], threshold: int) -> dict:
    """The checked frames' figures by their checked and by their unchecked labels."""
    right = {f.file: fit(f) for f in relabelled(read)}
    seen = [(frame, boxes) for frame, boxes in zip(frames, found, strict=True) if frame.file in right]
    boxes = [b for _, b in seen]
    report = {}
    for ending, labelled in (("unchecked", [f for f, _ in seen]), ("checked", [right[f.file] for f, _ in seen])):
        report |= {f"{name}_{ending}": value for name, value in measure(labelled, boxes, threshold).items()}
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", required=True, help="folder with detect/ in it")
    parser.add_argument("--model", type=Path, default=HERE / "detector.tflite")
    parser.add_argument("--threshold", type=int, help="another int8 score than the shipped one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not (Path(options.faces) / "detect" / "labels.csv").exists():
        print(f"no detect/labels.csv under {options.faces}", file=sys.stderr)
        return 2
    threshold = options.threshold
    if threshold is None:
        threshold = json.loads((HERE / "manifest.json").read_text())["threshold"]
    figures = evaluate(Int8Model(options.model).run, options.faces, threshold)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:26} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
