"""The ways in, side by side: keypad, card and face end at one decision, with the same rights, doors and hours.

Each way has its own task, so that none waits for another. The screen belongs to whoever acted last.
"""

import asyncio

from firmware.access import lockout
from firmware.access.policy import Facts, decide
from firmware.base.compat import const
from firmware.base.log import log
from firmware.base.ticks import ticks_add, ticks_diff, ticks_ms
from firmware.credentials import pin
from firmware.credentials.keypad import KeypadEntry
from firmware.credentials.nfc import CardReader
from firmware.crypto.hmac import zero
from firmware.services.residents import GIVEN
from firmware.vision import quality

_KEYS_MS = const(15)
_CARDS_MS = const(50)
_ANSWER_MS = const(4000)  # how long an answer stays on the screen
_SCREEN_MS = const(250)


class Entry:
    """`panel` is the app's Panel; what a person does comes in here, what the door does goes out."""

    def __init__(self, panel):
        self._panel = panel
        board = panel.board
        self.keypad = KeypadEntry(board.keypad) if board.has_keypad else None
        self._cards = CardReader(board.nfc, panel.residents.card_key, board.entropy) if board.has_nfc else None
        self._pin_tries = lockout.Attempts(lockout.PIN)
        self._flat = ""
        self._digits = 0
        self._answer_until = None

    # The keypad

    async def run_keypad(self) -> None:
        while True:
            for event in self.keypad.poll(ticks_ms()):
                await getattr(self, "_on_" + event[0])(*event[1:])
            await asyncio.sleep_ms(_KEYS_MS)

    async def _on_typing(self, field: str, value) -> None:
        self._answer_until = None
        self._panel.board.buzzer.tone("key")
        if field == "flat":
            self._panel.screens.flat(value)
        else:
            self._digits = value
            self._show_pin()

    async def _on_flat(self, flat: str) -> None:
        """The flat is claimed: a PIN may follow, and the camera looks if somebody of that flat is enrolled."""
        panel = self._panel
        self._flat, self._digits = flat, 0
        candidates = [r.handle for r in panel.residents.of_flat(flat) if r.handle in panel.gallery]
        if candidates and panel.face_on and not panel.face.locked:
            panel.face.look(candidates)
        self._show_pin()

    def _show_pin(self) -> None:
        if not self._panel.face.looking:
            self._panel.screens.pin(self._flat, self._digits)

    async def _on_pin(self, flat: str, digits: bytearray) -> None:
        self._panel.face.stop()
        started = ticks_ms()
        now_s = self._panel.uptime.seconds()
        if self._pin_tries.wait_s(flat, now_s):
            zero(digits)
            self._admit("pin", None, False, {}, locked=True, wait_s=self._pin_tries.wait_s(flat, now_s))
            return
        self._panel.screens.checking()
        owners, verifiers = [], []
        for resident in self._panel.residents.of_flat(flat):
            verifier = self._panel.residents.pin_verifier(resident.handle)
            if verifier:
                owners.append(resident)
                verifiers.append(verifier)
        found = await pin.match(digits, verifiers)
        for salt, _, digest in verifiers:
            zero(salt)
            zero(digest)
        if found < 0:
            self._pin_tries.failed(flat, now_s)
        else:
            self._pin_tries.succeeded(flat)
        resident = owners[found] if found >= 0 else None
        self._admit("pin", resident, found >= 0, {"ms": ticks_diff(ticks_ms(), started)})

    async def _on_refused(self, field: str) -> None:
        if field == "flat":
            self._panel.screens.flat("", refused=True)
        else:
            self._panel.screens.pin(self._flat, 0, refused=True)

    async def _on_cancel(self) -> None:
        self._panel.face.stop()
        self.idle()

    async def _on_timeout(self) -> None:
        self._panel.face.stop()
        if self._panel.desk.open:
            self._panel.desk.unanswered()
            self._hold()
        else:
            self.idle()

    async def _on_page(self, page: int) -> None:
        self._panel.desk.turn(page)

    async def _on_accept(self) -> None:
        self._panel.desk.answer(True)
        self._hold()

    async def _on_decline(self) -> None:
        self._panel.desk.answer(False)
        self._hold()

    # The card

    async def run_cards(self) -> None:
        while True:
            started = ticks_ms()
            event = self._cards.poll(started)
            if event is not None:
                self._card(event, started)
            await asyncio.sleep_ms(_CARDS_MS)

    def _card(self, event: tuple, started: int) -> None:
        self._panel.face.stop()
        self._forget_typing()
        if event[0] == "card":
            resident = self._panel.residents.of_card(event[1])
            self._admit("card", resident, resident is not None, {"ms": ticks_diff(ticks_ms(), started)})
        else:
            self._admit("card", None, False, {"why": event[1]}, reason=event[1])

    def _forget_typing(self) -> None:
        """Another way was taken; a notice that somebody is reading stays unanswered."""
        if self._panel.desk.open:
            self._panel.desk.unanswered()
        if self.keypad:
            self.keypad.reset()

    # The face

    async def face_done(self, winner, seen: dict) -> None:
        """The end of an attempt: `winner` is a handle or None; `seen` goes to the events."""
        if winner is None and not seen["frames"]:
            # Nobody to compare: no failed attempt, and a PIN being typed goes on.
            self._panel.events.add("face", opened=False, reason="no_face", **seen)
            self._show_pin()
            return
        resident = self._panel.residents.get(winner) if winner else None
        self._forget_typing()
        self._admit("face", resident, resident is not None, seen)

    def face_failed(self, why: str) -> None:
        self._panel.events.add("face", opened=False, reason=why)
        if self.keypad and self.keypad.busy:
            self._panel.screens.pin(self._flat, self._digits)
        else:
            self.idle()

    def show_face(self, frame, face, hint: int) -> None:
        self._panel.screens.looking(self._flat, self._digits, frame, face, quality.HINTS[hint])

    def show_enrolling(self, frame, face, hint: int, done: int, total: int) -> None:
        self._panel.screens.enrolling(frame, done, total, face, quality.HINTS[hint])

    # One decision for all

    def _admit(self, kind: str, resident, verified: bool, seen: dict, locked=False, wait_s=0, reason="") -> None:
        """Decides, moves the lock, writes the log, tells the person. `reason`: a refusal's more exact cause."""
        panel = self._panel
        now, source = panel.board.clock.now()
        consent = resident.consent if resident else None
        facts = Facts(
            kind=kind,
            verified=verified,
            rights=resident.rights if resident else None,
            door=panel.settings["door"],
            clock_known=source != 0,
            provisioned=not panel.vault.fresh,
            maintenance=panel.maintenance,
            lockdown=bool(panel.settings["lockdown"]),
            locked=(kind,) if locked else (),
            withdrawn=() if consent and consent.state == GIVEN else ("face",),
            utc_offset_min=panel.settings["utc_offset_min"],
        )
        decision = decide(facts, now)
        if decision.allow:
            panel.door.release(ticks_ms())
        panel.events.add(kind, opened=decision.allow, reason=decision.reason, **seen)
        handle = resident.handle if resident else bytes(8)
        self._tell(decision, reason, wait_s)
        if not panel.vault.fresh:
            detail = kind if decision.allow else "%s %s" % (kind, reason or decision.reason)
            panel.vault.append("opened" if decision.allow else "refused", handle, detail[:32].encode())

    def _tell(self, decision, reason: str, wait_s: int) -> None:
        panel = self._panel
        if decision.allow:
            panel.board.buzzer.tone("granted")
            panel.screens.granted()
        else:
            panel.board.buzzer.tone("denied")
            panel.screens.denied(reason or decision.reason, wait_s)
        self._hold()

    def on_door(self, event: str) -> None:
        """What the door reports: alarms go to the log and the buzzer."""
        panel = self._panel
        panel.events.add("door", what=event)
        if event in ("forced", "held_open", "lock_fault", "contact_fault"):
            log("door", event)
            panel.board.buzzer.tone("alarm")
            if not panel.vault.fresh:
                panel.vault.append("door_alarm", bytes(8), event.encode())
        if event == "held_open":
            panel.screens.close_the_door()
            self._hold()

    # The screen at rest

    def keep_screen(self) -> None:
        """What comes now stays until it is answered."""
        self._answer_until = None

    def _hold(self) -> None:
        self._answer_until = ticks_add(ticks_ms(), _ANSWER_MS)

    def idle(self) -> None:
        panel = self._panel
        self._answer_until = None
        if panel.vault.fresh:
            panel.screens.not_provisioned()
        elif panel.maintenance:
            panel.screens.maintenance()
        else:
            panel.screens.idle(panel.face_on)

    async def run_screen(self) -> None:
        """Puts the waiting screen back when an answer has been read."""
        self.idle()
        while True:
            if self._answer_until is not None and ticks_diff(ticks_ms(), self._answer_until) >= 0:
                self.idle()
            await asyncio.sleep_ms(_SCREEN_MS)
