"""From a camera frame to faces and from a face to its embedding, in buffers that are allocated once.

The `*_steps` methods are generators that yield between operators, so that whoever drives them can scan the
keypad and poll the card reader meanwhile:

    for _ in pipeline.find_steps():
        await asyncio.sleep(0)
    face, hint = pipeline.judge(quality.LENIENT)

Nothing is kept: `wipe` zeroes every buffer that saw the face, the frame included.
"""

from array import array

from firmware.base.buffers import zero
from firmware.base.compat import const
from firmware.base.errors import PoorQuality
from firmware.base.ticks import ticks_diff, ticks_ms
from firmware.vision import quality
from firmware.vision.align import SIDE, halved, is_large, similarity
from firmware.vision.detector import FaceDecoder
from firmware.vision.image import half2x2, warp
from firmware.vision.pixelstats import level, measure

WIDTH = const(320)
HEIGHT = const(240)


class FacePipeline:
    """`detector` and `embedder` are nn.Models; `frame` is the 320x240 buffer that the camera fills.

    faces: the last find's, best first. times: milliseconds by stage ("detect", "align", "embed").
    """

    def __init__(self, detector, embedder, frame):
        self.frame = frame
        self.faces = []
        self.times = {}
        self._detector = detector
        self._embedder = embedder
        self._decoder = FaceDecoder(detector.meta["threshold"])
        self._half = bytearray(WIDTH * HEIGHT // 4)
        self._face = bytearray(SIDE * SIDE)
        self._stats = array("i", [0] * quality.STATS)
        self.model_id = bytes(embedder.model_id)

    def find_steps(self):
        """Looks for faces in the frame; they are in `faces` when it ends."""
        self.faces = []
        self.times = {}
        start = ticks_ms()
        self._detector.load(self.frame)
        yield
        yield from self._detector.steps()
        self.faces = self._decoder.decode(self._detector.outputs)
        self.times["detect"] = ticks_diff(ticks_ms(), start)

    def find(self) -> list:
        for _ in self.find_steps():
            pass
        return self.faces

    def judge(self, limits) -> tuple:
        """(face, hint) of the one face worth embedding, which then is aligned; the hint is quality.OK or says
        what is wrong, and the face is None where there is not one person."""
        start = ticks_ms()
        face, hint = quality.choose(self.faces, limits)
        if not hint:
            hint = quality.judge_landmarks(face[5], limits)
        if not hint:
            hint = self._align(face[5])
        if not hint:
            measure(self._face, self._stats)
            hint = quality.judge_pixels(self._stats, limits)
            gain, offset = quality.levels(self._stats)
            level(self._face, gain, offset)
        self.times["align"] = ticks_diff(ticks_ms(), start)
        return face, hint

    @property
    def light(self) -> int:
        """Mean grey of the face that was judged last, where the judgement is one of quality.LIT."""
        return quality.mean_light(self._stats)

    def _align(self, points) -> int:
        try:
            transform = similarity(points)
        except PoorQuality:
            return quality.LOOK_STRAIGHT
        if is_large(transform):
            half2x2(self.frame, self._half, WIDTH, HEIGHT)
            warp(self._half, WIDTH // 2, HEIGHT // 2, self._face, SIDE, halved(transform))
        else:
            warp(self.frame, WIDTH, HEIGHT, self._face, SIDE, transform)
        return quality.judge_place(transform, WIDTH, HEIGHT)

    def embed_steps(self):
        """Embeds the face that `judge` has aligned; read `embedding` when it ends."""
        start = ticks_ms()
        self._embedder.load(self._face)
        yield
        yield from self._embedder.steps()
        self.times["embed"] = ticks_diff(ticks_ms(), start)

    def embed(self):
        for _ in self.embed_steps():
            pass
        return self.embedding

    @property
    def embedding(self):
        """int8[128] in the embedder's own memory: valid until the next run or wipe."""
        return self._embedder.outputs[0]

    @property
    def aligned(self):
        """The aligned face, 96x96 grey."""
        return self._face

    def wipe(self) -> None:
        """Zeroes the frame, the face and all that the networks made of them."""
        self.faces = []
        for buffer in (self.frame, self._half, self._face):
            zero(buffer)
        self._detector.wipe()
        self._embedder.wipe()
        for i in range(quality.STATS):
            self._stats[i] = 0
