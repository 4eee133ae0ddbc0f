"""The composition root: builds and wires everything, then owns every task.

Each task stands alone, so that a broken camera or model leaves keypad and card untouched; services/supervise.py
restarts one that dies or hangs. Only the supervisor's round feeds the watchdog.
"""

import asyncio
import gc

from firmware.base.compat import const
from firmware.base.errors import (
    EraseFailed,
    MenshenError,
    ModelMismatch,
    PackError,
    Refused,
    VaultCorrupt,
    VaultError,
)
from firmware.base.log import log
from firmware.base.ticks import Uptime, ticks_add, ticks_diff, ticks_ms
from firmware.biometrics.dot import dots
from firmware.biometrics.match import Gallery
from firmware.capture.frame import Capture
from firmware.crypto.hmac import zero
from firmware.door import locks
from firmware.door.door import Door
from firmware.link.server import Server
from firmware.nn import kernels
from firmware.nn.model import Model, shared_arena
from firmware.services.card_desk import CardDesk
from firmware.services.clearing import Clearing
from firmware.services.commands import Commands
from firmware.services.desk import ConsentDesk
from firmware.services.enrolment import LiveEnrolment
from firmware.services.entry import Entry
from firmware.services.events import Events
from firmware.services.face import FaceWay
from firmware.services.maintenance import Maintenance
from firmware.services.parity import Parity
from firmware.services.question import Question
from firmware.services.refusals import Refusals
from firmware.services.residents import ASKED, ENDED, GIVEN, Residents
from firmware.services.selfservice import SelfService
from firmware.services.settings import Settings
from firmware.services.supervise import ROUND_MS, Supervisor
from firmware.services.uplink import Uplink
from firmware.start import slots
from firmware.ui.screens import Screens
from firmware.vault.vault import Vault
from firmware.vision.pipeline import FacePipeline

_COLLECT_ROUNDS = const(3)
_START_SHARE = const(16)  # of the free heap: collected whenever a start has filled it, so that what stays lies together
_RETENTION_S = const(60)
_RESTART_MS = const(600)


def _gallery(model_id: bytes) -> Gallery:
    machine = kernels.machine()
    if machine is None:
        return Gallery(model_id, dots)
    from firmware.nn.s3.match import Matcher

    matcher = Matcher(machine)
    return Gallery(model_id, matcher.dots, scan=matcher.scan)


class Panel:
    """What the panel has, for its services; built once, every buffer at its final size."""

    def __init__(self, board):
        self.board = board
        self._restart_at = None
        self.uptime = Uptime()
        self.settings = Settings(board.root)
        self.events = Events()
        self.parity = Parity(board.root, board.clock)
        self.screens = Screens(board.display)
        self.screens.starting()
        self.door = Door(
            locks.build(locks.KINDS[self.settings["lock"]], board.lock, board.lock_back),
            board.door,
            board.exit_button,
            self.settings["open_s"] * 1000,
            fire=board.fire,
            tamper=board.tamper,
        )
        self.supervisor = Supervisor(self.door.relock)
        self.beat = self.supervisor.beat
        self.vault = Vault(board.flash, board.entropy, board.clock)
        self.residents = Residents(self.vault)
        self.refusals = Refusals(self.vault, board.clock)
        self.uplink = Uplink(self)
        self.gallery = None
        self.threshold = 0
        self.face = FaceWay(self, *self._vision())
        self.enrolment = LiveEnrolment(self)
        self.desk = ConsentDesk(self)
        self.selfservice = SelfService(self)
        self.clearing = Clearing(self)
        self.card_desk = CardDesk(self)
        self.question = Question(self)
        self.upkeep = Maintenance(self)
        self.aim = None  # services.aim.Aim, once somebody has asked
        self.entry = Entry(self)
        self.face.adjust()
        self._open_vault()

    def _vision(self) -> tuple:
        """(frame source, pipeline), or Nones: without camera or models the other ways in go on."""
        paths = [slots.pack_path(self.board.root, name) for name in ("detector", "embedder")]
        try:
            arena = shared_arena(*paths)
            detector, embedder = [Model(path, arena=arena) for path in paths]
        except PackError as error:
            log("models", str(error))
            return None, None
        self.threshold = embedder.meta["threshold_q14"]
        self.gallery = _gallery(embedder.model_id)
        if not self.board.has_camera:
            return None, None
        capture = Capture(self.board.camera)
        return capture, FacePipeline(detector, embedder, capture.frame)

    def _open_vault(self) -> None:
        """Everything that a power cut left unfinished is finished here, before the first attempt at the door."""
        try:
            log("vault", str(self.vault.open()))
        except VaultError as error:  # newer firmware's: nothing can be read, and nothing is touched
            log("vault", str(error))
        if not self.vault.in_service:
            self.board.console.open_repl(self.vault.fresh)
            return
        self._load_refusals()
        bad = self.residents.load()
        if bad:
            log("vault", "%d residents' records cannot be read" % bad)
        for handle in self.vault.face_handles():
            self._load_face(handle)
        self.uplink.load()
        self.vault.append("started")
        self.keep_retention()
        self.board.console.open_repl(False)

    def _load_refusals(self) -> None:
        self.entry.limits.load()
        try:
            self.refusals.load()
        except VaultCorrupt as error:  # what is lost with it, the host sends again
            log("vault", str(error))

    def _load_face(self, handle: bytes) -> None:
        """Takes a face into the gallery; one that no consent covers any more is wiped instead."""
        try:
            meta, templates = self.vault.read_face(handle)
        except VaultCorrupt as error:
            log("vault", str(error))
            return
        try:
            consent = self.residents.get(handle).consent if self.residents.knows(handle) else None
            # A question about a changed notice does not end the consent that the face was stored under; a no does.
            if consent is None or consent.state not in (ASKED, GIVEN):
                self._wipe_and_go_on(handle, ENDED.get(consent.state, "withdrawn") if consent else "removed")
            elif self.gallery is not None and meta.model_id == self.gallery.model_id:
                self.gallery.add(handle, meta.model_id, templates)
            else:
                log("vault", "a face is of another embedder: enrol again")
        finally:
            for template in templates:
                zero(template)

    def enrol(self, handle, model_id, consent_id, notice_hash, expiry: int, templates: list) -> None:
        """Stores a face and lets it match; the caller has checked the consent."""
        if self.gallery is None:
            raise Refused("this panel has no models: faces cannot be used")
        if model_id != self.gallery.model_id:
            raise ModelMismatch("the templates are of another embedder: update the host's models or the panel's")
        try:
            self.vault.put_face(handle, model_id, consent_id, notice_hash, expiry, templates)
        finally:
            # Also when the block of a replaced record would not erase: the new face is stored then.
            if handle in self.vault.face_handles():
                self._load_face(handle)

    def stop_matching(self, handle: bytes) -> None:
        if self.gallery is not None:
            self.gallery.remove(handle)

    def wipe_face(self, handle: bytes, reason: str) -> bytes:
        """The signed receipt; the face stops matching before the flash is touched."""
        self.stop_matching(handle)
        return self.vault.wipe_face(handle, reason)

    def _wipe_and_go_on(self, handle: bytes, reason: str) -> None:
        """A block that resists is logged, out of use, and tried again at each start."""
        try:
            self.wipe_face(handle, reason)
        except EraseFailed as error:
            log("vault", str(error))

    def keep_retention(self) -> None:
        """Faces and log entries end by themselves; without a believable clock nothing is said to have expired."""
        now, source = self.board.clock.now()
        if source and self.vault.in_service:
            for handle in self.vault.expired_faces(now):
                self._wipe_and_go_on(handle, "expired")
            self.vault.purge_log(now)

    def bury(self, tombstones: list) -> int:
        """Wipes what an older copy of the flash brought back; how many faces and residents went."""
        faces, residents = self.vault.face_handles(), self.vault.resident_handles()
        try:
            self.vault.bury(tombstones)
        finally:
            risen = [handle for handle in faces if handle not in self.vault.face_handles()]
            for handle in risen:
                self.stop_matching(handle)
            left = self.vault.resident_handles()
            gone = [handle for handle in residents if handle not in left]
            for handle in gone:
                self.residents.forget(handle)
        return len(risen) + len(gone)

    def forget(self) -> None:
        """The panel is given up: nobody is known any more."""
        self.face.stop()
        if self.gallery is not None:
            for handle in list(self.gallery.handles()):
                self.gallery.remove(handle)
        self.residents.forget_all()
        self.entry.idle()

    def hold_faces(self) -> None:
        """Until `release_faces`; an attempt under way ends without an answer."""
        if self.face.looking:
            self.face.stop()
            self.entry.face_failed("catching_up")

    def release_faces(self) -> None:
        self.face.wake()
        self.entry.refresh()

    @property
    def maintenance(self) -> bool:
        return self.upkeep.on

    @property
    def face_on(self) -> bool:
        return self.face.works and bool(self.settings["face"]) and not self.uplink.holding

    @property
    def watches(self) -> bool:
        """One-to-many: the camera looks for somebody without being asked."""
        busy = (self.entry.keypad and self.entry.keypad.busy) or self.selfservice.open
        resting = not busy and not self.maintenance and self.vault.in_service
        return self.face_on and not self.settings["claim"] and resting and len(self.gallery) > 0

    @property
    def clock_weak(self) -> bool:
        """The clock's battery is low: what it kept while the power was off is not believed."""
        return self.board.clock.battery_low()

    def apply_settings(self) -> None:
        self.door.set_release(self.settings["open_s"] * 1000)
        self.face.adjust()
        self.face.wake()
        self.entry.idle()

    def restart(self) -> None:
        """Soon: an answer that is on its way still leaves."""
        self._restart_at = ticks_add(ticks_ms(), _RESTART_MS)

    @property
    def over(self) -> bool:
        return self._restart_at is not None and ticks_diff(ticks_ms(), self._restart_at) >= 0

    def memory(self) -> dict:
        """The heap's live bytes: what is garbage does not count."""
        gc.collect()
        return self.board.memory()


class Ring:
    """What the link keeps across restarts, in the vault."""

    def __init__(self, panel):
        self._panel = panel
        self._vault = panel.vault

    def link_key(self):
        return self._vault.keys.link_key if self._vault.keys else None

    def confirmed(self) -> bool:
        return bool(self._vault.keys and self._vault.keys.confirmed)

    def confirm(self) -> None:
        self._vault.confirm()
        self._panel.board.console.open_repl(False)
        self._panel.entry.idle()

    def counter(self) -> int:
        return self._vault.counter("link")

    def set_counter(self, value: int) -> None:
        self._vault.set_counter("link", value)


class App:
    def __init__(self, board):
        self._board = board

    def run(self) -> None:
        """Until Ctrl-C, where the REPL is open: then the door is locked and the REPL follows."""
        try:
            asyncio.run(self._main())
        except KeyboardInterrupt:
            log("app", "stopped for the REPL")
        finally:
            self._board.lock.release(False)

    async def _main(self) -> None:
        gc.threshold(gc.mem_free() // _START_SHARE)
        panel = Panel(self._board)
        self._panel = panel
        gc.threshold(-1)
        gc.collect()
        commands = Commands(panel)

        def perform(op: str, fields: dict):
            self._board.watchdog.relax()  # one that wipes many faces signs as many receipts
            return commands.handle(op, fields)

        server = Server(
            [self._board.console, panel.uplink],
            Ring(panel),
            perform,
            self._board.entropy,
            beat=lambda: panel.beat("link"),
        )
        add = panel.supervisor.add
        if panel.entry.keypad:
            add("keypad", panel.entry.run_keypad)
        if self._board.has_nfc:
            add("cards", panel.entry.run_cards)
        add("door", lambda: panel.door.run(panel.entry.on_door, lambda: panel.beat("door")))
        add("screen", panel.entry.run_screen)
        add("link", server.run)
        if panel.face.works:
            add("face", panel.face.run)
        self._try_update(panel)
        panel.supervisor.start()
        log("app", "ready")
        await self._supervise()

    def _try_update(self, panel) -> None:
        """Firmware on trial watches itself; of all the rest nothing is loaded."""
        if slots.read(self._board.root)["trial"] is not None:
            from firmware.services import trial

            if trial.on(panel):
                panel.supervisor.add("trial", lambda: trial.run(panel))

    async def _supervise(self) -> None:
        panel = self._panel
        checked = ticks_ms() - _RETENTION_S * 1000  # at once: a panel that is often without power must get to it too
        rounds = 0
        while True:
            self._board.watchdog.feed()
            panel.supervisor.look()
            rounds += 1
            self._board.tick()
            panel.parity.tend(panel.uptime.seconds())
            if not panel.face.looking and rounds % _COLLECT_ROUNDS == 0:
                panel.memory()
            panel.uplink.tend()
            panel.clearing.tend()
            panel.question.tend()
            panel.upkeep.tend()
            if panel.aim:
                panel.aim.tend()
            if panel.clearing.over or panel.over:
                self._board.reset()
            if ticks_diff(ticks_ms(), checked) >= _RETENTION_S * 1000:
                checked = ticks_ms()
                self._board.watchdog.relax()
                try:
                    panel.keep_retention()
                except MenshenError as error:
                    log("vault", str(error))
            await asyncio.sleep_ms(ROUND_MS)
