"""The ways in, side by side: keypad, card and face end at one decision, with the same rights, doors and hours.

Each way has its own task, so that none waits for another. The screen belongs to whoever acted last.
"""

import asyncio

from firmware.access.policy import Decision, Facts, decide
from firmware.base.compat import const
from firmware.base.log import log
from firmware.base.ticks import ticks_add, ticks_diff, ticks_ms
from firmware.credentials.keypad import KeypadEntry
from firmware.credentials.nfc import CardReader
from firmware.crypto.hmac import zero
from firmware.door.door import ALARMS, ALARMS_OVER
from firmware.services.limits import PinLimits
from firmware.services.pins import Pins
from firmware.services.residents import GIVEN
from firmware.services.visits import Visits, kinds_of
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
        self._cards = CardReader(board.nfc, self._card_key, board.entropy) if board.has_nfc else None
        self.pins = Pins(panel)
        self.limits = PinLimits(panel)
        self._visits = Visits()
        self._typing_since = None  # the first key of what is being typed
        self._flat = ""
        self._digits = 0
        self._answer_until = None
        self._alarmed = False

    # The keypad

    async def run_keypad(self) -> None:
        while True:
            self._panel.beat("keypad")
            events = self.keypad.poll(ticks_ms())
            if not self.keypad.busy and not events:
                self._typing_since = None
            elif self._typing_since is None:
                self._typing_since = ticks_ms()
            for event in events:
                await getattr(self, "_on_" + event[0])(*event[1:])
            await asyncio.sleep_ms(_KEYS_MS)

    async def _on_typing(self, field: str, value) -> None:
        self._answer_until = None
        self._panel.board.buzzer.tone("key")
        self._light("working")
        if field == "flat":
            self._panel.screens.flat(value)
        else:
            self._digits = value
            self._show_pin()

    async def _on_flat(self, flat: str) -> None:
        """The flat is claimed: a PIN may follow, and the camera looks if somebody of that flat is enrolled."""
        panel = self._panel
        self._flat, self._digits = flat, 0
        candidates = [who for who in panel.residents.of_flat(flat) if panel.gallery and who in panel.gallery]
        if candidates and panel.face_on and not panel.face.locked and not panel.selfservice.open:
            panel.face.look(candidates)
        self._show_pin()

    def _show_pin(self) -> None:
        if not self._panel.face.looking:
            self._panel.screens.pin(self._flat, self._digits)

    async def _on_pin(self, flat: str, digits: bytearray) -> None:
        self._panel.face.stop()
        started = ticks_ms()
        wait_s = self.limits.wait_s(flat)
        if wait_s:
            zero(digits)
            self._admit("pin", None, False, {}, locked=True, wait_s=wait_s)
            return
        self._panel.screens.checking()
        found = await self.pins.check(flat, digits)
        if found is None:
            self.limits.failed(flat)
        else:
            self.limits.succeeded(flat)
        seen = {"ms": ticks_diff(ticks_ms(), started)}
        if found is not None and found.visit:
            self._visitor(flat, found, seen)
            return
        resident = found.resident if found else None
        duress = found is not None and found.duress
        self._admit("pin", resident, resident is not None, seen, duress=duress)

    def _visitor(self, flat: str, found, seen: dict) -> None:
        rights = self.pins.rights(found.visit)

        def spend():
            self.pins.spend(flat, found.visit)

        self._admit("pin", None, True, seen, rights=rights, spent=found.spent, before=spend, what="visitor")

    def _silent_alarm(self, resident) -> None:
        """Whoever stands beside the resident sees and hears nothing of it."""
        self._panel.events.add("alarm", what="duress")
        if self._panel.vault.in_service:
            self._panel.vault.append("door_alarm", resident.handle, b"duress")

    async def _on_refused(self, field: str) -> None:
        if field == "flat":
            self._panel.screens.flat("", refused=True)
        else:
            self._panel.screens.pin(self._flat, 0, refused=True)

    async def _on_withdraw(self) -> None:
        if self._panel.aim and self._panel.aim.on:
            self.keypad.reset()
            self._panel.aim.end()
        elif self._panel.vault.in_service and not self._panel.maintenance:
            self._panel.selfservice.begin()
        else:
            self.keypad.reset()

    async def _on_cancel(self) -> None:
        self._panel.face.stop()
        self._panel.selfservice.cancel()
        self.idle()

    async def _on_timeout(self) -> None:
        self._panel.face.stop()
        self._panel.selfservice.cancel()
        if self._panel.desk.open:
            self._panel.desk.unanswered()
            self.hold()
        elif self._panel.question.open:
            self._panel.question.answer(False)
        else:
            self.idle()

    async def _on_page(self, page: int) -> None:
        self._panel.desk.turn(page)

    async def _on_accept(self) -> None:
        self._answered(True)

    async def _on_decline(self) -> None:
        self._answered(False)

    def _answered(self, accepted: bool) -> None:
        if self._panel.question.open:
            self._panel.question.answer(accepted)
        elif self._panel.selfservice.confirming:
            self._panel.selfservice.answer(accepted)
        else:
            self._panel.desk.answer(accepted)
            self.hold()

    # The card

    async def run_cards(self) -> None:
        while True:
            self._panel.beat("cards")
            started = ticks_ms()
            desk = self._panel.card_desk
            lent = desk.lent
            if desk.uid is not None:
                self._cards.hold(desk.uid, started)
                if not lent:
                    desk.uid = None
            event = None if lent else self._cards.poll(started)
            if event is not None:
                self._card(event, started)
            await asyncio.sleep_ms(_CARDS_MS)

    def _card_key(self, uid: bytes):
        """What CardReader asks: a lost card has no key any more, and one without a key needs the site's policy."""
        panel = self._panel
        key = None if panel.refusals.lost(uid) else panel.residents.card_key(uid)
        return None if key is not None and not key and not panel.settings["uid_only"] else key

    def _card(self, event: tuple, started: int) -> None:
        self._panel.face.stop()
        self._forget_typing()
        if event[0] == "card_refused":
            self._admit("card", None, False, {"why": event[1]}, reason=event[1])
            return
        resident = self._panel.residents.of_card(event[1])
        seen = {"ms": ticks_diff(ticks_ms(), started)}
        what = "uid only" if event[0] == "uid" else ""
        self._admit("card", resident, resident is not None, seen, what=what)

    def _forget_typing(self) -> None:
        """Another way was taken; a notice that somebody is reading stays unanswered."""
        self._panel.question.drop()
        if self._panel.desk.open:
            self._panel.desk.unanswered()
        if self._panel.selfservice.confirming:
            self._panel.selfservice.cancel()
        if self.keypad:
            self.keypad.reset()

    # The face

    async def face_done(self, winner, seen: dict) -> None:
        """The end of an attempt: `winner` is a handle or None; `seen` goes to the events."""
        if winner is None and not seen["frames"]:
            # Nobody to compare: no failed attempt, and a PIN being typed goes on. Somebody who stood there and was
            # never seen well enough was failed by this way in.
            if seen.get("hint") not in (None, "", quality.HINTS[quality.NO_FACE]):
                self._panel.parity.note("face", False, "not_recognised", 0, self._panel.uptime.seconds())
            self._panel.events.add("face", opened=False, reason="no_face", **seen)
            self._show_pin()
            return
        resident = self._panel.residents.get(winner) if winner else None
        if resident is None or "face" not in kinds_of(self._panel.settings["second"]):
            self._forget_typing()  # else the PIN that is asked for may be half typed already
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

    def _admit(
        self,
        kind: str,
        resident,
        verified: bool,
        seen: dict,
        locked=False,
        wait_s=0,
        reason="",
        rights=None,
        spent=False,
        before=None,
        what="",
        duress=False,
    ) -> None:
        """Decides, moves the lock, writes the log, tells the person.

        `reason`: a refusal's more exact cause; `rights`: of somebody who is no resident; `spent`: the credential was
        good once; `before`: done before the lock moves; `what`: for the log, which credential of this kind it was.
        """
        panel = self._panel
        if panel.selfservice.asking:
            self._identified(kind, resident if verified else None, "locked_out" if locked else reason, wait_s)
            if duress and resident is not None:
                self._silent_alarm(resident)
            return
        now, source = panel.board.clock.now()
        consent = resident.consent if resident else None
        withdrawn = () if consent and consent.state == GIVEN else ("face",)
        facts = Facts(
            kind=kind,
            verified=verified,
            rights=resident.rights if resident else rights,
            door=panel.settings["door"],
            clock=source,
            battery_low=panel.clock_weak,
            provisioned=panel.vault.in_service,
            maintenance=panel.maintenance,
            lockdown=bool(panel.settings["lockdown"]),
            locked=(kind,) if locked else (),
            withdrawn=withdrawn + (kind,) if spent else withdrawn,
            one_to_many=not panel.settings["claim"],
            claimed=resident is not None and resident.flat == self._flat,
            passback=self._recent(resident),
            second=kinds_of(panel.settings["second"]),
            proven=self._visits.prove(resident.handle, kind, panel.uptime.seconds()) if resident and verified else (),
            duress=duress,
            holidays=panel.settings["holidays"],
            utc_offset_min=panel.settings["utc_offset_min"],
        )
        decision = decide(facts, now)
        panel.parity.note(kind, decision.allow, decision.reason, self._took(kind, seen), panel.uptime.seconds())
        if decision.allow:
            if before:
                before()
            panel.door.release(ticks_ms())
            self._visits.released(resident.handle if resident else b"", kind)
        panel.events.add(kind, opened=decision.allow, reason=decision.reason, **seen)
        handle = resident.handle if resident else bytes(8)
        self._tell(decision, reason, wait_s)
        if panel.vault.in_service:
            kind = "%s %s" % (kind, what) if what else kind
            detail = kind if decision.allow else "%s %s" % (kind, reason or decision.reason)
            panel.vault.append("opened" if decision.allow else "refused", handle, detail[:32].encode())

        if decision.alarm:
            self._silent_alarm(resident)

    def _took(self, kind: str, seen: dict) -> int:
        """From the first action: the first key, where the flat comes first; the card in the field; the face in view."""
        typed = kind == "pin" or (kind == "face" and self._panel.settings["claim"])
        if typed and self._typing_since is not None:
            return ticks_diff(ticks_ms(), self._typing_since)
        return seen.get("ms", 0)

    def _recent(self, resident) -> tuple:
        within_s = self._panel.settings["passback_min"] * 60
        if resident is None or not within_s:
            return ()
        return self._visits.recent(resident.handle, self._panel.uptime.seconds(), within_s)

    def _identified(self, kind: str, resident, reason: str, wait_s: int) -> None:
        """Who wants a face deleted is known now, or is not."""
        panel = self._panel
        if resident is not None:
            panel.selfservice.identified(resident)
            return
        panel.selfservice.cancel()
        panel.events.add(kind, opened=False, reason="not_recognised")
        panel.vault.append("refused", bytes(8), (kind + " delete").encode())
        self._tell(Decision(False, "not_recognised", False), reason, wait_s)

    def _tell(self, decision, reason: str, wait_s: int) -> None:
        panel = self._panel
        self._light("granted" if decision.allow else "denied")
        if decision.allow:
            panel.board.buzzer.tone("granted")
            panel.screens.granted()
        else:
            panel.board.buzzer.tone("denied")
            panel.screens.denied(reason or decision.reason, wait_s)
        self.hold()

    def on_door(self, event: str) -> None:
        """What the door reports: alarms go to the log and the buzzer."""
        panel = self._panel
        panel.events.add("door", what=event)
        if event == "opened":
            self._visits.opened(panel.uptime.seconds())
        elif event == "relocked":
            self._visits.relocked()
        if event in ALARMS or event in ALARMS_OVER:
            log("door", event)
            # A case that is opened in maintenance is work, not an alarm; the log has it all the same.
            if event in ALARMS and not (event == "tamper" and panel.maintenance):
                panel.board.buzzer.tone("alarm")
                self._alarmed = True
                self._light("alarm")
            if panel.vault.in_service:
                panel.vault.append("tamper" if event[:6] == "tamper" else "door_alarm", bytes(8), event.encode())
        if self._alarmed and (event in ALARMS_OVER or event == "closed"):
            self._alarmed = False
            self._rest()
        if event == "held_open":
            panel.screens.close_the_door()
            self.hold()

    def _light(self, name: str) -> None:
        light = self._panel.board.light
        if light:
            light.show(name)

    def _rest(self) -> None:
        """An alarm stays lit until it is over or the door is closed, whoever enters meanwhile."""
        self._light("alarm" if self._alarmed else "ready" if self._serves else "off")

    @property
    def _serves(self) -> bool:
        return self._panel.vault.in_service and not self._panel.maintenance

    # The screen at rest

    def keep_screen(self) -> None:
        """What comes now stays until it is answered."""
        self._answer_until = None

    def hold(self, ms: int = _ANSWER_MS) -> None:
        """What is on the screen stays for a while."""
        self._answer_until = ticks_add(ticks_ms(), ms)

    def idle(self) -> None:
        panel = self._panel
        self._answer_until = None
        self._rest()
        if panel.vault.fresh:
            panel.screens.not_provisioned()
        elif not self._serves:
            panel.screens.maintenance()
        else:
            panel.screens.idle(panel.face_on)

    def refresh(self) -> None:
        """The waiting screen anew, when nobody is reading or typing."""
        panel = self._panel
        busy = (self.keypad and self.keypad.busy) or panel.selfservice.open or panel.desk.open
        if self._answer_until is None and not busy:
            self.idle()

    async def run_screen(self) -> None:
        """Puts the waiting screen back when an answer has been read."""
        self.idle()
        while True:
            self._panel.beat("screen")
            if self._answer_until is not None and ticks_diff(ticks_ms(), self._answer_until) >= 0:
                self.idle()
            await asyncio.sleep_ms(_SCREEN_MS)
