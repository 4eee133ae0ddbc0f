"""A live enrolment: the host begins it and asks how it goes, the face's own task looks and stores.

One at a time. Its outcome stays to be asked for until the next one begins; templates never stay.
"""

from firmware.base.errors import MenshenError, Refused
from firmware.crypto.hmac import zero
from firmware.link.ops import ENROLMENTS
from firmware.vision import quality

_NONE, _LOOKING, _STORED, _FAILED = ENROLMENTS


class LiveEnrolment:
    def __init__(self, panel):
        self._panel = panel
        self._wanted = None
        self._state = _NONE
        self._done = 0
        self._hint = quality.NO_FACE
        self._error = None

    @property
    def under_way(self) -> bool:
        return self._state == _LOOKING

    def begin(self, handle, consent_id, notice_hash, expiry: int, count: int, wait_s: int) -> dict:
        """Asked for again while it is under way it goes on; for somebody else it is refused."""
        self._panel.residents.check_consent(handle, consent_id, notice_hash)
        self._panel.face.check_works()
        wanted = (handle, consent_id, notice_hash, expiry, count, wait_s)
        if self.under_way and wanted[:3] != self._wanted[:3]:
            raise Refused("somebody else is being enrolled")
        if not self.under_way:
            self._wanted = wanted
            self._state = _LOOKING
            self._done = 0
            self._hint = quality.NO_FACE
            self._error = None
            self._panel.face.enrol(self)
        return self.answer(handle)

    def answer(self, handle: bytes) -> dict:
        """How the enrolment of this resident stands."""
        if self._wanted is None or self._wanted[0] != handle:
            return {"state": _NONE, "done": 0, "count": 0}
        answer = {"state": self._state, "done": self._done, "count": self._wanted[4]}
        if self._state == _LOOKING:
            answer["hint"] = quality.HINTS[self._hint]
        elif self._state == _STORED:
            answer["model_id"] = self._panel.gallery.model_id
        elif self._error:
            answer["err"] = self._error.code
            answer["msg"] = str(self._error)
        return answer

    async def run(self) -> None:
        """In the face's task; an error of the panel's is an outcome, anything else ends the task."""
        handle, consent_id, notice_hash, expiry, count, wait_s = self._wanted
        templates = []
        self._error = MenshenError("the enrolment was broken off")
        try:
            await self._panel.face.collect(templates, count, wait_s, self._look)
            self._check()
            self._panel.board.watchdog.relax()
            self._panel.enrol(handle, self._panel.gallery.model_id, consent_id, notice_hash, expiry, templates)
            self._state = _STORED
        except MenshenError as error:
            self._error = error
        finally:
            for template in templates:
                zero(template)
            if self._state == _LOOKING:
                self._state = _FAILED

    def _look(self, done: int, hint: int) -> None:
        """After each frame; consent may have been withdrawn meanwhile."""
        self._check()
        self._done = done
        self._hint = hint

    def _check(self) -> None:
        self._panel.residents.check_consent(*self._wanted[:3])
