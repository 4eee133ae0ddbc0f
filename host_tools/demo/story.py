"""The story that the demo tells: consent, entry, refusal, withdrawal, each through the library that `menshen` uses."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from firmware.base.errors import MenshenError
from host_tools import consent, credentials, enrol, notices, panels, receipts, residents
from host_tools.demo.door import Door
from host_tools.demo.people import Person, at_the_door
from host_tools.demo.report import Attempt, Step
from host_tools.errors import HostError, NoConsent, ReceiptInvalid
from host_tools.sim.control import Sim
from host_tools.site import Panel, Resident, Site
from host_tools.vision.pipeline import FacePipeline

_BOOT_S = 20.0
_ANSWER_S = 10.0
# The frame at the door is not the portrait: another crop, scale, light, noise and a tilted head.
_AT_DOOR: dict[str, Any] = {
    "height": 104.0,
    "centre": (172.0, 126.0),
    "rotation": 5.0,
    "gain": 0.85,
    "gradient": 0.25,
    "blur": 0.8,
    "full_well": 4000.0,
    "seed": 7,
}


class Story:
    """Steps run in order on one virtual panel and one registry; each returns what it checked."""

    def __init__(self, sim: Sim, site: Site, people: tuple[Person, Person], cards: Path) -> None:
        self._sim = sim
        self._site = site
        self._grace, self._eileen = people
        self._cards = cards
        self._pipeline = FacePipeline()
        self._panel: Panel
        self._door: Door
        self._resident: dict[str, Resident] = {}
        self._pins: dict[str, str] = {}
        self._receipt = b""
        self._consents: list[bytes] = []

    def run(self, progress: Callable[[Step], None]) -> Iterator[Step]:
        """Each step once it is done; `progress` is told of it when it begins. A failed step ends the story."""
        first = self._grace.name.split()[0]
        other = self._eileen.name.split()[0]
        for name, title, act in (
            ("provision", "The panel is provisioned", self._provision),
            ("consent_and_enrol", f"{first} consents, is enrolled from a portrait, and her face opens", self._enrol),
            ("decline", f"{other} declines: card and PIN open, her face does not", self._decline),
            ("refuse_without_consent", "The panel itself refuses a face without consent", self._force),
            ("restart", "The power is cut and comes back: all still holds", self._restart),
            ("withdraw", f"{first} withdraws: wiped, read back, receipt signed", self._withdraw),
            ("restart_after_wipe", "The power is cut again: nothing comes back", self._restart_again),
        ):
            step = Step(name, title)
            progress(step)
            started = time.monotonic()
            try:
                act(step)
            except (HostError, MenshenError) as error:
                step.error = str(error)
            step.milliseconds = round(1000 * (time.monotonic() - started))
            yield step
            if not step.ok:
                return

    def peak_heap_bytes(self) -> int:
        return int(self._panel.request("status")["memory"]["heap_peak"])

    # The steps

    def _provision(self, step: Step) -> None:
        self._panel = panels.provision(self._site, self._sim.port, "front door")
        self._door = Door(self._sim, self._panel)
        status = panels.status(self._panel)
        pinned = self._panel.record.device_pub
        step.checks += [
            ("the panel made its own secret and Ed25519 device key", len(pinned) == 32),
            (f"the host pinned it: {panels.fingerprint(pinned)}", status["panel_id"] == self._panel.panel_id),
            ("no residents, no faces", (status["residents"], status["faces"]) == (0, 0)),
            ("it accepts no second provisioning", self._refuses_provisioning()),
        ]

    def _enrol(self, step: Step) -> None:
        resident = self._add(self._grace, "301")
        agreed = self._ask(resident, "88888#")
        step.checks.append(("she read the notice at the panel and accepted it with her own key", agreed == "given"))
        step.attempts.append(Attempt("The panel's thanks.", None, self._sim.screen()))
        enrolment = enrol.from_photo(self._site, self._panel, resident, self._grace.portrait)
        step.checks.append((f"{enrolment.templates} templates were stored, no picture", enrolment.templates > 0))
        credentials.issue_card(self._site, self._panel, resident, self._card(self._grace))
        attempt = self._show_face(self._grace, "301", "Her flat number, then her face.")
        step.attempts.append(attempt)
        step.checks.append(("a different frame of her opened the door", attempt.entered))

    def _decline(self, step: Step) -> None:
        resident = self._add(self._eileen, "302")
        state = self._ask(resident, "*")
        self._pins["302"] = credentials.set_pin(self._site, self._panel, resident)
        credentials.issue_card(self._site, self._panel, resident, self._card(self._eileen))
        faces = panels.status(self._panel)["faces"]
        tries = [
            self._show_face(self._eileen, "301", "Her face under the other's flat number."),
            self._type_pin("302", self._pins["302"], "Flat number and PIN."),
            self._tap(self._eileen, "Her card, which proved its key."),
            self._type_pin("302", self._wrong(self._pins["302"]), "A wrong PIN."),
        ]
        step.attempts += tries
        step.checks += [
            ("she declined, and the panel took that for an answer", state == "declined"),
            ("only the one face that was agreed to is stored", faces == 1),
            ("her face did not open the door", not tries[0].entered),
            ("flat number and PIN opened it", tries[1].entered),
            ("her card opened the same door", tries[2].entered),
            ("a wrong PIN did not", not tries[3].entered),
        ]

    def _force(self, step: Step) -> None:
        resident = self._resident[self._eileen.name]
        before = panels.status(self._panel)["faces"]
        try:
            enrol.from_photo(self._site, self._panel, resident, self._eileen.portrait)
            by_host = False
        except NoConsent:
            by_host = True
        model_id, templates = enrol.templates_of(self._eileen.portrait)
        step.checks += [
            ("the host tool refused to send her template", by_host),
            (
                "sent all the same, with a made-up consent, the panel refused it",
                self._panel_refuses(model_id, templates),
            ),
            ("nothing was stored", panels.status(self._panel)["faces"] == before),
        ]

    def _restart(self, step: Step) -> None:
        self._power_cycle()
        status = panels.status(self._panel)
        model_id, templates = enrol.templates_of(self._eileen.portrait)
        tries = [
            self._show_face(self._grace, "301", "Her face, after the power cut."),
            self._show_face(self._eileen, "301", "Somebody else's face under her flat number."),
            self._type_pin("302", self._pins["302"], "Flat number and PIN."),
            self._tap(self._eileen, "The card."),
        ]
        step.attempts += tries
        step.checks += [
            (
                "the same panel answers, with one face and two residents",
                (status["faces"], status["residents"]) == (1, 2),
            ),
            ("the face that was agreed to still opens", tries[0].entered),
            ("the other face still does not", not tries[1].entered),
            ("PIN and card still open", tries[2].entered and tries[3].entered),
            ("a face without consent is still refused", self._panel_refuses(model_id, templates)),
            ("it still accepts no second provisioning", self._refuses_provisioning()),
        ]

    def _withdraw(self, step: Step) -> None:
        resident = self._resident[self._grace.name]
        withdrawal = consent.withdraw(self._site, self._panel, resident)
        self._receipt = withdrawal.receipt or b""
        key = self._panel.record.device_pub
        proof = receipts.verify(self._receipt, key)
        face = self._show_unknown_face("Her face, after the withdrawal: the camera is not even looked at.")
        card = self._tap(self._grace, "Her card.")
        step.attempts += [face, card]
        step.checks += [
            (f"the panel erased flash block {proof.blocks[0]}, read it back, and signed a receipt", True),
            ("in the flash itself that block reads as erased", self._erased_in_flash(proof.blocks)),
            ("the receipt verifies with the pinned key alone", proof.handle == resident.handle),
            ("with any one byte changed it does not", self._changed_receipts_fail(key)),
            ("no face is stored any more", panels.status(self._panel)["faces"] == 0),
            ("her face no longer opens the door", not face.entered),
            ("her card still does", card.entered),
        ]

    def _restart_again(self, step: Step) -> None:
        self._power_cycle()
        face = self._show_unknown_face("Her face, after another power cut.")
        card = self._tap(self._grace, "Her card.")
        step.attempts += [face, card]
        kept = [receipt.data for receipt in self._site.receipts()]
        again = self._panel.request("receipts", since=0, limit=5)["receipts"]
        step.checks += [
            ("the wiped face did not come back", not face.entered and panels.status(self._panel)["faces"] == 0),
            ("her card still opens", card.entered),
            ("the panel gives the same receipt, byte for byte", self._receipt in kept and self._receipt in again),
        ]

    # What people do

    def _add(self, person: Person, flat: str) -> Resident:
        resident = residents.add(self._site, self._panel, person.name, flat)
        self._resident[person.name] = resident
        return resident

    def _ask(self, resident: Resident, keys: str) -> str:
        """Shows the notice and answers it: "8" turns a page, "#" accepts, "*" declines."""
        notice = notices.load()
        consent.ask(self._site, self._panel, resident, notice)
        for key in keys:
            self._sim.press(key)
            time.sleep(0.1)
        deadline = time.monotonic() + _ANSWER_S
        state = "asked"
        while state == "asked" and time.monotonic() < deadline:
            state = consent.refresh(self._site, self._panel, resident).state
            time.sleep(0.05)
        return state

    def _show_face(self, person: Person, flat: str, caption: str) -> Attempt:
        return self._door.attempt(caption, lambda: self._stand_before(person, flat), "face")

    def _show_unknown_face(self, caption: str) -> Attempt:
        """Of a flat with no face on file."""
        return self._door.watch(caption, lambda: self._stand_before(self._grace, "301"))

    def _stand_before(self, person: Person, flat: str) -> None:
        self._sim.show(person.at_door, **at_the_door(person.at_door, self._pipeline, **_AT_DOOR))
        self._sim.press(flat + "#")

    def _type_pin(self, flat: str, pin: str, caption: str) -> Attempt:
        return self._door.attempt(caption, lambda: self._sim.press(f"{flat}#{pin}#"), "pin")

    def _tap(self, person: Person, caption: str) -> Attempt:
        return self._door.attempt(caption, lambda: self._sim.tap(self._card(person)), "card")

    def _card(self, person: Person) -> Path:
        return self._cards / f"{person.name.replace(' ', '-').lower()}.card.json"

    @staticmethod
    def _wrong(pin: str) -> str:
        return pin[:-1] + str((int(pin[-1]) + 1) % 10)

    def _power_cycle(self) -> None:
        self._panel.close()
        self._sim.kill()
        self._sim.restart()
        deadline = time.monotonic() + _BOOT_S
        while True:
            try:
                panels.status(self._panel)
                return
            except HostError:
                if time.monotonic() > deadline:
                    raise

    # What must not work

    def _refuses_provisioning(self) -> bool:
        try:
            self._panel.connected().plain("provision", host_pub=os.urandom(32), site=os.urandom(8), name="x", time=0)
        except HostError:
            return True
        return False

    def _panel_refuses(self, model_id: bytes, templates: list[bytes]) -> bool:
        try:
            self._panel.request(
                "enrol_put",
                handle=self._resident[self._eileen.name].handle,
                consent_id=os.urandom(16),
                notice_hash=notices.load().hash,
                model_id=model_id,
                expiry=0,
                templates=templates,
            )
        except NoConsent:
            return True
        return False

    def _erased_in_flash(self, blocks: tuple[int, ...]) -> bool:
        flash = (self._sim.state / "vault.bin").read_bytes()
        return all(flash[4096 * block : 4096 * (block + 1)] == b"\xff" * 4096 for block in blocks)

    def _changed_receipts_fail(self, key: bytes) -> bool:
        for at in range(len(self._receipt)):
            changed = bytearray(self._receipt)
            changed[at] ^= 1
            try:
                receipts.verify(bytes(changed), key)
                return False
            except ReceiptInvalid:
                continue
        return True
