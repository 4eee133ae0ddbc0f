"""Consent asked and answered at the panel itself: the notice on the screen, the resident's key as the answer."""

from firmware.base.errors import EraseFailed
from firmware.base.log import log
from firmware.base.ticks import ticks_ms
from firmware.services.residents import DECLINED, GIVEN
from firmware.services.withdrawal import wipe


class ConsentDesk:
    """One question at a time; silence is no consent, and a question that was replaced stays unanswered."""

    def __init__(self, panel):
        self._panel = panel
        self._asked = None
        self._title = ""
        self._pages = []

    @property
    def open(self) -> bool:
        return self._asked is not None

    def ask(self, handle: bytes, consent_id: bytes, notice_hash: bytes, title: str, lines: list) -> None:
        panel = self._panel
        panel.face.stop()
        panel.selfservice.cancel()
        panel.question.drop()
        panel.entry.keep_screen()
        self._asked = (handle, consent_id, notice_hash)
        self._title = title
        self._pages = panel.screens.notice_pages(lines)
        panel.entry.keypad.ask(len(self._pages), ticks_ms())
        self.turn(0)

    def turn(self, page: int) -> None:
        self._panel.screens.notice(self._title, self._pages, page)

    def answer(self, accepted: bool) -> None:
        panel = self._panel
        handle, consent_id, notice_hash = self._asked
        self._close()
        now = panel.board.clock.now()[0]
        panel.residents.set_consent(handle, GIVEN if accepted else DECLINED, now, consent_id, notice_hash)
        panel.vault.append("consent_given" if accepted else "consent_declined", handle)
        if accepted:
            panel.screens.consent_recorded()
            return
        panel.screens.consent_declined()
        try:
            wipe(panel, handle, "notice")  # a face stored under the notice before this one
        except EraseFailed as error:  # it matches no more; the host hears that it is not certainly gone
            log("vault", str(error))

    def unanswered(self) -> None:
        self._close()
        self._panel.screens.consent_unanswered()

    def drop(self, handle: bytes) -> None:
        """Takes a resident's question back."""
        if self._asked and self._asked[0] == handle:
            self._panel.entry.keypad.reset()
            self.unanswered()

    def _close(self) -> None:
        self._asked = None
        self._pages = []
