"""The camera's picture for a technician who aims it: asked for by the owner, allowed by a press on the panel, and over
after a while.

The one exception to "no picture leaves the panel": small, grey, sealed for the owner's host, while the screen says so.
Nothing is stored on either side; the log says when it began and ended. PIN and card go on; faces are not compared.
"""

import asyncio

import micropython

from firmware.base.buffers import zero
from firmware.base.compat import const
from firmware.base.errors import Refused
from firmware.capture.frame import light
from firmware.vision import quality
from firmware.vision.image import half2x2

WIDTH, HEIGHT = 160, 120
BANDS = const(3)
_BAND_BYTES = const(3200)  # 40 rows of two pixels a byte
_SILENT_S = const(20)  # a host that asks for no picture any more

OFF, ASKED, ON, REFUSED = "off", "asked", "on", "refused"


class Aim:
    """`panel` is the app's Panel; made when it is first asked for."""

    def __init__(self, panel):
        self._panel = panel
        self._state = OFF
        self._id = -1
        self._until = self._heard = 0  # of the panel's uptime
        self._lent = None  # (capture, pipeline) while pictures are taken
        self._small = self._packed = None
        self._seen = {}

    @property
    def on(self) -> bool:
        return self._state == ON

    def ask(self, id: int, seconds: int) -> dict:
        """Puts the question on the screen; with the same `id` again it tells what became of it. In maintenance
        somebody has pressed already."""
        if id == self._id:
            return self.report()
        panel = self._panel
        panel.face.check_works()
        self.end()
        if panel.maintenance:
            self._answered(True)
        else:
            panel.question.put(panel.screens.allow_aiming, self._answered)
            self._state = ASKED
        self._id, self._until = id, panel.uptime.seconds() + seconds
        return self.report()

    def report(self) -> dict:
        """`seconds`: until the question, or aiming itself, ends."""
        left = max(0, self._until - self._panel.uptime.seconds()) if self.on else 0
        return {"state": self._state, "seconds": self._panel.question.left_s if self._state == ASKED else left}

    def end(self) -> None:
        if self._state == ASKED:
            self._panel.question.drop()
        if not self.on:
            return
        self._state = OFF
        if self._lent:
            self._lent = None
            self._panel.face.give_back()
            self._panel.apply_settings()  # the exposure that is set, if another was tried
            for buffer in (self._small, self._packed):
                zero(buffer)
            self._small = self._packed = None
        self._panel.vault.append("camera", detail=b"aiming over")
        self._panel.entry.idle()

    def tend(self) -> None:
        """In each of the supervisor's rounds."""
        now = self._panel.uptime.seconds()
        if self.on and (now >= self._until or now - self._heard >= _SILENT_S):
            self.end()

    async def frame(self, band: int, level=None) -> dict:
        """Band 0 takes a picture and says what is in it; the others are of the same picture."""
        if not self.on:
            raise Refused("aiming was not allowed, or it is over")
        self._heard = self._panel.uptime.seconds()
        if self._lent is None:
            self._lent = await self._panel.face.borrow()
            self._small, self._packed = bytearray(WIDTH * HEIGHT), bytearray(BANDS * _BAND_BYTES)
        if level is not None:
            self._panel.board.camera.expose(level)
        if band == 0:
            await self._take()
        data = bytes(self._packed[band * _BAND_BYTES : (band + 1) * _BAND_BYTES])
        return dict(self._seen, width=WIDTH, height=HEIGHT, data=data)

    async def _take(self) -> None:
        panel, (capture, pipeline) = self._panel, self._lent
        capture.take()
        half2x2(capture.frame, self._small, 2 * WIDTH, 2 * HEIGHT)
        _pack(self._small, self._packed, BANDS * _BAND_BYTES)
        mean, spread = light(capture.frame)
        for _ in pipeline.find_steps():
            panel.beat("link")
            await asyncio.sleep(0)
        if self._lent is None:  # it ended meanwhile
            raise Refused("aiming is over")
        face, hint = pipeline.judge(quality.LENIENT)
        self._seen = {"mean": mean, "spread": spread, "faces": len(pipeline.faces), "hint": quality.HINTS[hint]}
        if face is not None:
            self._seen["box"] = [max(0, value) for value in face[1:5]]
            if hint in quality.LIT:
                self._seen["light"] = pipeline.light
        if not (panel.entry.keypad and panel.entry.keypad.busy):
            panel.screens.aiming(capture.frame, face, quality.HINTS[hint])
            panel.entry.hold()
        pipeline.wipe()

    def _answered(self, allowed: bool) -> None:
        self._state = ON if allowed else REFUSED
        self._heard = self._panel.uptime.seconds()
        self._panel.vault.append("camera", detail=b"aiming" if allowed else b"aiming refused")


@micropython.viper
def _pack(src: ptr8, out: ptr8, n: int):  # noqa: F821
    """Two pixels a byte, the left one in the upper half."""
    i = 0
    while i < n:
        out[i] = (src[2 * i] & 0xF0) | (src[2 * i + 1] >> 4)
        i += 1
