"""From a portrait to templates that know their person and no other; and the pictures that do not serve."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from firmware.base.errors import ManyFaces, NoFace, PoorQuality
from firmware.vision import quality
from host_tools.vision.frames import HEIGHT, WIDTH, View, render
from host_tools.vision.pictures import load_grey
from host_tools.vision.pipeline import FacePipeline, Templates, locate, templates_from_photo

ATTEMPTS = (
    View(36, roll=-6),
    View(26, gain=0.8, shift=(-30, 10)),
    View(64, roll=8),
    View(45, gain=1.15, shift=(20, -15)),
)


@pytest.fixture(scope="module")
def pipeline() -> FacePipeline:
    return FacePipeline()


@pytest.fixture(scope="module")
def grace() -> np.ndarray:
    from matplotlib.cbook import get_sample_data

    return load_grey(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))


@pytest.fixture(scope="module")
def eileen() -> np.ndarray:
    from skimage.data import astronaut

    return load_grey(astronaut())


@pytest.fixture(scope="module")
def enrolled(grace: np.ndarray, pipeline: FacePipeline) -> Templates:
    return templates_from_photo(grace, pipeline=pipeline)


def attempts(photo: np.ndarray, templates: Templates, pipeline: FacePipeline) -> list[int]:
    """Best score in Q14 of each attempt's frame against the templates; frames carry sensor noise."""
    rng = np.random.default_rng(8)
    known = np.array([np.frombuffer(t, np.int8) for t in templates.templates], float)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    scores = []
    for view in ATTEMPTS:
        frame = render(photo, locate(photo, pipeline), view) + rng.normal(0, 4, (HEIGHT, WIDTH))
        look = pipeline.look(np.clip(frame, 0, 255).astype(np.uint8), quality.LENIENT)
        assert look.embedding is not None, quality.HINTS[look.hint]
        probe = look.embedding.astype(float)
        scores.append(int(16384 * (known @ probe).max() / np.linalg.norm(probe)))
    return scores


def test_a_portrait_gives_several_different_templates(enrolled: Templates, pipeline: FacePipeline) -> None:
    assert 3 <= len(set(enrolled.templates)) == len(enrolled.templates) <= 4
    assert all(len(template) == 128 and any(template) for template in enrolled.templates)
    assert enrolled.model_id == pipeline.model_id and len(enrolled.model_id) == 8


def test_enrolling_twice_gives_the_same_bytes(grace: np.ndarray, enrolled: Templates) -> None:
    assert templates_from_photo(grace).templates == enrolled.templates


def test_another_frame_of_her_matches(grace: np.ndarray, enrolled: Templates, pipeline: FacePipeline) -> None:
    assert min(attempts(grace, enrolled, pipeline)) >= pipeline.threshold_q14


def test_another_person_does_not(eileen: np.ndarray, enrolled: Templates, pipeline: FacePipeline) -> None:
    assert max(attempts(eileen, enrolled, pipeline)) < pipeline.threshold_q14


def test_a_large_photograph_with_a_small_face_serves(grace: np.ndarray, pipeline: FacePipeline) -> None:
    wall = np.full((1400, 1800), 150, np.uint8)
    wall[500:1100, 900:1412] = grace
    (ax, ay), (bx, by) = locate(wall, pipeline)
    assert ax - 900 == pytest.approx(222, abs=8) and ay - 500 == pytest.approx(190, abs=8)
    assert bx - 900 == pytest.approx(304, abs=8) and by - 500 == pytest.approx(187, abs=8)


def test_two_people_no_one_and_a_bad_picture(
    tmp_path: Path, grace: np.ndarray, eileen: np.ndarray, pipeline: FacePipeline
) -> None:
    both = np.hstack([grace[:512], eileen])
    with pytest.raises(ManyFaces):
        templates_from_photo(both, pipeline=pipeline)
    with pytest.raises(NoFace):
        templates_from_photo(np.full((480, 640), 140, np.uint8), pipeline=pipeline)
    blurred = tmp_path / "blurred.png"
    Image.fromarray(grace).filter(ImageFilter.GaussianBlur(9)).save(blurred)
    with pytest.raises((PoorQuality, NoFace)):
        templates_from_photo(blurred, pipeline=pipeline)
    tiny = np.asarray(Image.fromarray(grace).resize((102, 120)))
    with pytest.raises((PoorQuality, NoFace)):
        templates_from_photo(tiny, pipeline=pipeline)
    with pytest.raises(PoorQuality, match="light"):
        templates_from_photo((grace // 6).astype(np.uint8), pipeline=pipeline)
