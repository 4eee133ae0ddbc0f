"""The shipped embedder: its files belong together, and its figures come from the arithmetic of the panel."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.embedder import metrics
from models.embedder.evaluate import embed
from models.runtime import Int8Model
from models.simulate import read_tflite, run

FOLDER = Path(__file__).resolve().parents[2] / "models" / "embedder"
SHARED = FOLDER.parents[2] / "shared" / "faces"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
# Eyes, nose and mouth corners in the pictures, and where the ArcFace template has them in 112x112.
TEMPLATE = [(38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20)]
HOPPER = [(224, 197), (307, 196), (265, 239), (230, 274), (304, 272)]
COLLINS = [(203, 104), (248, 104), (224, 128), (204, 143), (243, 144)]


@pytest.fixture(scope="module")
def graph():
    return read_tflite(FOLDER / "embedder.tflite")


def hopper() -> Image.Image:
    cbook = pytest.importorskip("matplotlib.cbook", reason="Grace Hopper's portrait comes with matplotlib")
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as picture:
        return picture.convert("L")


def collins() -> Image.Image:
    data = pytest.importorskip("skimage.data", reason="Eileen Collins' portrait comes with scikit-image")
    return Image.fromarray(data.astronaut()).convert("L")


def aligned(picture: Image.Image, points: list[tuple[int, int]], turn: float = 0.0, size: float = 1.0) -> np.ndarray:
    """The 112x112 face by the least-squares similarity, then turned (radians) and scaled about its middle."""
    target = np.array(TEMPLATE) @ [1, 1j]
    target = (target - (56 + 56j)) * size * np.exp(1j * turn) + 56 + 56j
    source = np.array(points) @ [1, 1j]
    centred = target - target.mean()
    a = (np.conj(centred) @ (source - source.mean())) / (np.conj(centred) @ centred)
    b = source.mean() - a * target.mean()
    matrix = (a.real, -a.imag, b.real, a.imag, a.real, b.imag)
    return np.asarray(picture.transform((112, 112), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))


def test_manifest_names_the_files_that_lie_here():
    for name, entry in MANIFEST["files"].items():
        content = (FOLDER / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])


def test_budgets(graph):
    assert graph.macs == MANIFEST["macs"] <= 100_000_000
    assert graph.weight_bytes == MANIFEST["weights_bytes"] <= 600 * 1024
    assert MANIFEST["arena_bytes"] <= 128 * 1024


def test_simulation_equals_the_reference_kernels(graph):
    rng = np.random.default_rng(3)
    ramp = np.add.outer(np.arange(96), np.arange(96)).astype(np.uint8)
    images = np.stack(
        [ramp, np.zeros_like(ramp), np.full_like(ramp, 255), *rng.integers(0, 256, (2, 96, 96), np.uint8)]
    )
    model = Int8Model(FOLDER / "embedder.tflite")
    reference = np.stack([model.run(image)[0].reshape(-1) for image in images])
    np.testing.assert_array_equal(run(graph, images)[0].reshape(len(images), -1), reference)


def test_simulation_equals_the_reference_kernels_on_faces(graph):
    if not (SHARED / "eval_lfw" / "images.zip").exists():
        pytest.skip("the shared face images are not here")
    import zipfile

    from models.data import decode, inner

    archive = SHARED / "eval_lfw" / "images.zip"
    with zipfile.ZipFile(archive) as bundle:
        names = [name for name in bundle.namelist() if name.endswith(".jpg")][::600]
    faces = inner(np.stack(list(decode(archive, names))))
    model = Int8Model(FOLDER / "embedder.tflite")
    reference = np.stack([model.run(face)[0].reshape(-1) for face in faces])
    np.testing.assert_array_equal(run(graph, faces)[0].reshape(len(faces), -1), reference)


def test_a_person_is_nearer_to_herself_than_to_another(graph):
    views = [aligned(hopper(), HOPPER), aligned(hopper(), HOPPER, 0.07, 0.95), aligned(collins(), COLLINS)]
    again, other = embed(graph, np.stack(views))[1:] @ embed(graph, views[0][None])[0]
    assert again * metrics.Q14 >= MANIFEST["threshold_q14"] > other * metrics.Q14


def test_threshold_is_the_cosine_that_the_wanted_share_reaches():
    assert metrics.threshold_at(np.arange(1000) / 1000, 0.01) == pytest.approx(0.98901)
    assert metrics.accepted(np.array([0.1, 0.5, 0.9]), 0.5) == pytest.approx(2 / 3)


def test_lfw_accuracy_takes_each_threshold_from_the_other_folds():
    same = np.tile([True, True, False, False], 3)
    fold = np.repeat([0, 1, 2], 4)
    scores = np.where(same, 0.8, 0.2)
    assert metrics.lfw_accuracy(scores, same, fold) == (1.0, 0.0)
    scores[:4] = 0.9  # fold 0: strangers as alike as friends, right only for its two same pairs
    mean, _ = metrics.lfw_accuracy(scores, same, fold)
    assert mean == pytest.approx((0.5 + 1 + 1) / 3)


def test_groups_and_their_rates():
    members = metrics.groups(np.array([5, 25, 30, 33, 70]), np.array(["F", "F", "F", "M", "M"]))
    assert list(members["women 20-39"]) == [1, 2] and list(members["men 60-120"]) == [4]
    z = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1], [0, 1]])
    rates = metrics.same_group_rates(z, members, 0.5)
    assert rates["women 20-39"] == {"persons": 2, "pairs": 1, "fmr": 1.0}
    assert rates["women 0-12"]["fmr"] is None
    limit = metrics.same_group_threshold(z, {"women 20-39": np.array([1, 2])}, 0.5)
    assert limit == pytest.approx(0.6, abs=1e-6)
