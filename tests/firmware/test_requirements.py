"""Requirements that only the panel's own memory can show; the others: tests/requirements/README.md."""

import asyncio

from firmware.biometrics.dot import dots
from firmware.biometrics.match import Gallery
from firmware.capture.frame import HEIGHT, WIDTH, Capture
from firmware.nn.model import Model, aligned_buffer
from firmware.services.face import FaceWay
from firmware.services.residents import GIVEN
from firmware.services.withdrawal import withdraw
from firmware.vision.pipeline import FacePipeline
from tests.firmware.entry_house import Entrance
from tests.firmware.vault_house import CONSENT, EILEEN, GRACE, MODEL, NOTICE, templates

PACKS = "models/%s/%s.pack"


class Sensor:
    """Something bright and uneven stands before it."""

    def power(self, on):
        pass

    def capture_into(self, buf):
        for i in range(len(buf)):
            buf[i] = 1 + i * 7 % 251


class Beating:
    settings = {"face_least": 0, "face_most": 0}  # noqa: RUF012

    def beat(self, name):
        pass


def test_req_19_every_buffer_that_saw_a_face_is_zeroed_after_the_attempt():
    arena = aligned_buffer(128 * 1024)
    detector, embedder = [Model(PACKS % (name, name), arena=arena) for name in ("detector", "embedder")]
    capture = Capture(Sensor())
    pipeline = FacePipeline(detector, embedder, capture.frame)
    way = FaceWay(Beating(), capture, pipeline)
    seen = []
    find = pipeline.find_steps

    def watched():
        yield from find()
        pipeline._half[:] = capture.frame[: len(pipeline._half)]  # as the alignment of a large face would
        seen.append(any(capture.frame) and any(pipeline._half) and any(arena))

    pipeline.find_steps = watched
    asyncio.run(way._somebody())
    assert seen == [True]
    assert len(capture.frame) == WIDTH * HEIGHT
    for buffer in (capture.frame, pipeline._half, pipeline.aligned, arena):
        assert not any(buffer)
    pipeline._face[:] = b"\x55" * len(pipeline.aligned)
    pipeline.embed()
    assert any(pipeline.embedding)
    pipeline.wipe()
    assert not any(arena) and not any(pipeline.aligned)


def test_req_09_and_15_a_withdrawn_face_matches_no_more_and_leaves_memory_at_once():
    home = Entrance()
    gallery = home.panel.gallery = Gallery(MODEL, dots, 8)
    for handle, flat, tag in ((GRACE, "301", 1), (EILEEN, "302", 2)):
        home.resident(handle, flat, b"271828")
        home.panel.residents.set_consent(handle, GIVEN, 1_800_000_000, CONSENT, NOTICE)
        home.panel.enrol(handle, MODEL, CONSENT, NOTICE, 0, templates(tag))
    probe = templates(1)[0]
    assert gallery.match(probe, MODEL)[0] == GRACE and bytes(probe) in bytes(gallery._table)
    before = []
    wipe_face = home.panel.vault.wipe_face
    home.panel.vault.wipe_face = lambda *given: (before.append(gallery.match(probe, MODEL)[0]), wipe_face(*given))[1]
    withdraw(home.panel, GRACE)
    assert before == [EILEEN]  # she is out of the gallery before the flash is touched
    assert gallery.match(probe, MODEL, [GRACE])[0] is None
    assert bytes(probe) not in bytes(gallery._table) and GRACE not in gallery
