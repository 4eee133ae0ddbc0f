"""The face as a way in: looks when asked to, for a bounded time, and gives way to the keypad and the card reader.

The camera is looked at only while somebody asked for it: a flat number was entered whose resident is enrolled, an
enrolment is under way, or the site chose one-to-many. Every frame is zeroed after its use.
"""

import asyncio

from firmware.access import lockout
from firmware.base.compat import const
from firmware.base.errors import CameraError, HalError, ManyFaces, NoFace, PoorQuality, Refused
from firmware.base.log import log
from firmware.base.ticks import ticks_add, ticks_diff, ticks_ms
from firmware.biometrics.vote import Vote
from firmware.vision import quality

_LOOK_MS = const(8000)  # how long one attempt looks for a good frame
_PAUSE_MS = const(60)  # between frames: light and pose should have changed a little
_IDLE_LOOK_MS = const(400)
_ALIVE_MS = const(500)
_NEEDED, _FRAMES = const(2), const(3)
_PANEL = "panel"

_ERRORS = {quality.NO_FACE: NoFace, quality.ONE_PERSON: ManyFaces}


class FaceWay:
    """`capture` fills the pipeline's frame; `pipeline` is None where the board has no camera or the models failed."""

    def __init__(self, panel, capture, pipeline):
        self._panel = panel
        self._capture = capture
        self._pipeline = pipeline
        self._attempts = lockout.Attempts(lockout.FACE, 1)
        self._wanted = None
        self._enrolment = None
        self._wake = asyncio.Event()
        self._busy = False
        self._lent = self._collecting = False
        self.works = self.ready = pipeline is not None

    @property
    def locked(self) -> bool:
        return self._lent or self._collecting or self._attempts.wait_s(_PANEL, self._panel.uptime.seconds()) > 0

    @property
    def looking(self) -> bool:
        return self._wanted is not None

    def look(self, candidates: list) -> None:
        """Begins an attempt that compares with the handles in `candidates` only."""
        self._wanted = candidates
        self._wake.set()

    def enrol(self, enrolment) -> None:
        """`enrolment.run()` is this task's next turn; an attempt under way ends."""
        self.stop()
        self._enrolment = enrolment
        self._wake.set()

    def check_works(self) -> None:
        if not self.works:
            raise CameraError("this panel's camera does not work")

    def adjust(self) -> None:
        """The camera to this place's light; a sensor that refuses takes pictures all the same."""
        if self.ready:
            try:
                self._panel.board.camera.expose(self._panel.settings["exposure"])
            except HalError as error:
                log("face", "exposure: %s" % error)

    def wake(self) -> None:
        """The settings changed: look again at what to do."""
        self._wake.set()

    def recover(self) -> None:
        """The camera has pictures again."""
        self.works = self.ready
        self._wake.set()

    def stop(self) -> None:
        """Ends an attempt: the person chose another way, or went."""
        self._wanted = None

    async def borrow(self) -> tuple:
        """(capture, pipeline) for the self-test: nobody is looked at until `give_back`."""
        if self._enrolment:
            raise Refused("somebody is being enrolled")
        self._lent = True
        try:
            await self._free()
        except BaseException:
            self._lent = False
            raise
        self._busy = True
        return self._capture, self._pipeline

    def give_back(self) -> None:
        self._pipeline.wipe()
        self._busy = self._lent = False

    async def run(self) -> None:
        self._wanted = None
        while True:
            await self._next()
            if self._enrolment:
                await self._enrol()
                continue
            candidates = self._wanted
            if candidates is None or self.locked or not self._panel.face_on:
                self._wanted = None
                continue
            try:
                await self._attempt(candidates)
            except CameraError as error:
                log("face", "camera: %s" % error)
                self.works = False
                self._panel.entry.face_failed("camera")
            finally:
                self._wanted = None
                self._pipeline.wipe()

    async def _enrol(self) -> None:
        try:
            await self._enrolment.run()
        finally:
            self._enrolment = self._wanted = None
            self._pipeline.wipe()

    async def _next(self) -> None:
        """Until something is asked for; with one-to-many, until somebody stands before the door."""
        while self._wanted is None and self._enrolment is None:
            self._wake.clear()
            self._panel.beat("face")
            if not self._panel.watches:
                await self._woken()
                continue
            await asyncio.sleep_ms(_IDLE_LOOK_MS)
            if self._panel.watches and self._wanted is None and not self._busy and await self._somebody():
                self._wanted = self._panel.gallery.handles()

    async def _woken(self) -> None:
        try:
            await asyncio.wait_for_ms(self._wake.wait(), _ALIVE_MS)
        except asyncio.TimeoutError:
            pass

    async def _somebody(self) -> bool:
        try:
            await self._frame(quality.LENIENT)
            return bool(self._pipeline.faces)
        except CameraError:
            self.works = False
            return False
        finally:
            self._pipeline.wipe()

    async def _attempt(self, candidates: list) -> None:
        panel, gallery = self._panel, self._panel.gallery
        vote = Vote(panel.threshold, needed=_NEEDED, frames=_FRAMES)
        started = ticks_ms()
        deadline = ticks_add(started, _LOOK_MS)
        seen = {}
        winner = None
        while winner is None and not vote.over and self._wanted is candidates:
            if ticks_diff(ticks_ms(), deadline) > 0:
                break
            face, hint = await self._frame(quality.LENIENT, candidates)
            if self._wanted is not candidates:
                break
            panel.entry.show_face(self._pipeline.frame, face, hint)
            if hint:
                seen["hint"] = quality.HINTS[hint]
                await asyncio.sleep_ms(_PAUSE_MS)
                continue
            await self._drive(self._pipeline.embed_steps(), candidates)
            if self._wanted is not candidates:
                break
            at = ticks_ms()
            best, score, _, _ = gallery.match(self._pipeline.embedding, self._pipeline.model_id, candidates)
            times = dict(self._pipeline.times)
            times["match"] = ticks_diff(ticks_ms(), at)
            seen.update(times=times, box=list(face[1:5]), points=[list(p) for p in face[5]], hint="")
            winner = vote.push(best, score)
            await asyncio.sleep_ms(_PAUSE_MS)
        if self._wanted is not candidates:
            return
        seen["frames"] = vote.seen
        seen["ms"] = ticks_diff(ticks_ms(), started)
        self._count(winner, vote.seen)
        await panel.entry.face_done(winner, seen)

    def _count(self, winner, frames: int) -> None:
        """Only a face that was compared and not recognised is a failed attempt; nobody there is none."""
        if winner is not None:
            self._attempts.succeeded(_PANEL)
        elif frames and self._attempts.failed(_PANEL, self._panel.uptime.seconds()) >= 5:
            self._panel.vault.append("lockout", bytes(8), b"face")

    async def collect(self, templates: list, count: int, wait_s: int, told) -> None:
        """Adds `count` templates of the one person before the camera, for enrolment: strict about quality.

        `told(done, hint)` hears of each frame and may raise to end it.
        """
        deadline = ticks_add(ticks_ms(), wait_s * 1000)
        hint = quality.NO_FACE
        self._collecting = True
        try:
            while len(templates) < count:
                if ticks_diff(ticks_ms(), deadline) > 0:
                    raise _ERRORS.get(hint, PoorQuality)(quality.HINTS[hint])
                face, hint = await self._frame(quality.STRICT)
                self._panel.entry.show_enrolling(self._pipeline.frame, face, hint, len(templates), count)
                if not hint:
                    await self._drive(self._pipeline.embed_steps())
                    templates.append(bytearray(self._pipeline.embedding))
                told(len(templates), hint)
                await asyncio.sleep_ms(_PAUSE_MS)
        finally:
            self._collecting = False
            self._pipeline.wipe()
            self._panel.entry.idle()

    async def _free(self) -> None:
        """Ends an attempt, and waits until camera and pipeline are."""
        self.stop()
        while self._busy:
            self._panel.beat("link")
            await asyncio.sleep_ms(_PAUSE_MS)

    async def _frame(self, limits, wanted=None) -> tuple:
        """One frame, searched and judged: (face or None, hint)."""
        self._busy = True
        try:
            self._capture.take()
            await self._drive(self._pipeline.find_steps(), wanted)
            if wanted is not None and self._wanted is not wanted:
                return None, quality.NO_FACE
            return self._placed(*self._pipeline.judge(limits))
        finally:
            self._busy = False

    def _placed(self, face, hint: int) -> tuple:
        """Faces nearer or farther than people stand before this panel are asked to move."""
        settings = self._panel.settings
        if face is not None:
            if face[3] < settings["face_least"]:
                return face, quality.COME_CLOSER
            if settings["face_most"] and face[3] > settings["face_most"]:
                return face, quality.STEP_BACK
        return face, hint

    async def _drive(self, steps, wanted=None) -> None:
        """Gives way after each step; stops where it is when an attempt for `wanted` was ended, so that a PIN or a card
        has the processor to itself."""
        for _ in steps:
            self._panel.beat("face")
            if wanted is not None and self._wanted is not wanted:
                return
            await asyncio.sleep(0)
