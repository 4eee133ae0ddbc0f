"""The shipped detector on faces that it was never trained on: two portraits from installed packages.

`python -m tests.models.test_detector_shipped` says how it fares at every height that the card tells of.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.detector.metrics import detect, overlap, point_error
from models.runtime import Int8Model

FOLDER = Path(__file__).resolve().parents[2] / "models" / "detector"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
FACE_HEIGHTS = (44, 80, 140)  # in the 320x240 frame


def grace_hopper() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cbook = pytest.importorskip("matplotlib.cbook", reason="Grace Hopper's portrait comes with matplotlib")
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as image:
        pixels = np.asarray(image.convert("L"))
    points = [(224, 197), (307, 196), (265, 239), (230, 274), (304, 272)]
    return pixels, np.array([177, 123, 178, 212]), np.array(points)


def eileen_collins() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    data = pytest.importorskip("skimage.data", reason="Eileen Collins' portrait comes with scikit-image")
    pixels = np.asarray(Image.fromarray(data.astronaut()).convert("L"))
    points = [(203, 104), (248, 104), (224, 128), (204, 143), (243, 144)]
    return pixels, np.array([178, 65, 91, 111]), np.array(points)


def placed(portrait, face_height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The portrait scaled to that face height, its face in the middle of grey; box and points there."""
    pixels, box, points = portrait
    scale = face_height / box[3]
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    shift = np.round([160 - scale * (box[0] + box[2] / 2), 120 - scale * (box[1] + box[3] / 2)])
    frame = Image.new("L", (320, 240), 114)
    frame.paste(small, (int(shift[0]), int(shift[1])))
    moved = np.concatenate([box[:2] * scale + shift, box[2:] * scale])
    return np.asarray(frame), moved, points * scale + shift


@pytest.fixture(scope="module")
def network():
    return Int8Model(FOLDER / "detector.tflite").run


@pytest.mark.parametrize("face_height", FACE_HEIGHTS)
@pytest.mark.parametrize("portrait", [grace_hopper, eileen_collins])
def test_finds_the_portrait(network, portrait, face_height):
    frame, box, points = placed(portrait(), face_height)
    found = detect(network, frame, MANIFEST["threshold"])
    assert len(found) == 1
    assert overlap(found[0].box, box) > 0.5
    assert point_error(found[0].points, points) < (0.25 if face_height < 64 else 0.12)  # of the eye distance


def test_finds_nobody_in_plain_frames(network):
    for level in (0, 114, 255):
        assert detect(network, np.full((240, 320), level, np.uint8), MANIFEST["threshold"]) == []


@pytest.mark.parametrize("name", ["detector.tflite", "detector.pack"])
def test_the_manifest_names_the_files_that_ship(name):
    content = (FOLDER / name).read_bytes()
    assert MANIFEST["files"][name] == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_fits_the_budget():
    assert MANIFEST["macs"] <= 10_000_000
    assert MANIFEST["weights_bytes"] <= 150_000
    assert MANIFEST["arena_bytes"] <= 128 * 1024


def main() -> None:
    net = Int8Model(FOLDER / "detector.tflite").run
    for portrait in (grace_hopper, eileen_collins):
        for height in range(32, 201, 8):
            frame, box, points = placed(portrait(), height)
            found = detect(net, frame, MANIFEST["threshold"])
            hits = [f for f in found if overlap(f.box, box) > 0.5]
            error = f"{100 * point_error(hits[0].points, points):.1f} %" if hits else "missed"
            print(f"{portrait.__name__} {height:3} px  landmarks {error}  other boxes {len(found) - len(hits)}")


if __name__ == "__main__":
    main()
