"""The panel's own examination, one check a request, so that the door goes on working between and during them.

A check answers with a verdict (`ok`, `failed`, `absent`: the board has no such part, `skipped`: not now, and why), a
sentence and figures. Nothing it reports is a secret, an identity or a picture.
"""

import asyncio
import gc
import os
import sys
from hashlib import sha256

from firmware.base.compat import const
from firmware.base.errors import CameraError, MenshenError, NotFound, VaultFull
from firmware.base.ticks import ticks_add, ticks_diff, ticks_ms
from firmware.capture.frame import light
from firmware.nn import golden, kernels
from firmware.nn.model import Model
from firmware.services import stages
from firmware.start import slots

OK, FAILED, ABSENT, SKIPPED = "ok", "failed", "absent", "skipped"
CHECKS = (
    "kernels s3",
    "kernels viper",
    "kernels plain",
    "vault",
    "random",
    "camera",
    "reader",
    "keypad",
    "display",
    "inputs",
    "lock",
    "clock",
    "memory",
    "stages",
)

HEAP_MOST = const(1_800_000)  # in use on a board, packs and arena included
FLASH_MOST = const(1_500_000)  # firmware and packs
_RANDOM_BLOCKS, _RANDOM_BYTES = const(32), const(32)
# Of 8,192 fair bits: 6 standard deviations; and a byte six times in a row comes once in 2**30 tests.
_ONES_OFF = const(272)
_MOST_REPEATS = const(5)
_TICK_MS = const(1500)
_RELOCK_MS = const(20_000)
_WAIT_MS = const(50)


class Selftest:
    """`panel` is the app's Panel."""

    def __init__(self, panel):
        self._panel = panel
        self._board = panel.board

    async def run(self, check: str, release: bool) -> dict:
        """One of CHECKS; `release`: the lock may move. NotFound for a name that this firmware does not know."""
        if check not in CHECKS:
            raise NotFound("this firmware has no such check")
        started = ticks_ms()
        figures = {}
        try:
            if check[:8] == "kernels ":
                verdict, says = await self._kernels(check[8:], figures)
            elif check == "lock":
                verdict, says = await self._lock(release, figures)
            else:
                verdict, says = await getattr(self, "_" + check)(figures)
        except MenshenError as error:
            verdict, says = FAILED, str(error)
        except MemoryError:
            verdict, says = FAILED, "not enough memory is free"
        gc.collect()
        figures["ms"] = ticks_diff(ticks_ms(), started)
        return {"check": check, "verdict": verdict, "says": says, "figures": figures}

    async def turn(self) -> None:
        """The others' turn; a check that takes this many is not hanging."""
        self._panel.beat("link")
        await asyncio.sleep(0)

    async def _kernels(self, name: str, figures: dict) -> tuple:
        """The shipped networks on a known picture: packs, memory and arithmetic in one."""
        found = _kernel_set(name)
        if found is None:
            return ABSENT, "this machine does not run these"
        for network in ("detector",) if name == "plain" else ("detector", "embedder"):
            gc.collect()
            self._board.watchdog.relax()
            model = Model(slots.pack_path(self._board.root, network), kernels=found)
            height, width = model.input_shape
            model.load(golden.noise(height * width))
            steps = model.row_steps() if name == "plain" else model.steps()
            figures[network + "_ms"] = await stages.drive(steps, self.turn)
            expected = model.meta.get("golden")
            if expected is None:
                return SKIPPED, "the pack of the %s does not say what must come out" % network
            if [sha256(output).digest().hex() for output in model.outputs] != expected:
                return FAILED, "the %s computes something else than it must" % network
        return OK, "every output is as it must be"

    async def _vault(self, figures: dict) -> tuple:
        vault = self._panel.vault
        figures["quarantined"] = vault.quarantined
        try:
            figures["block"] = vault.exercise_flash()
        except VaultFull:
            return SKIPPED, "no block is free to be tried"
        if vault.quarantined:
            return FAILED, "%d blocks refuse to erase" % vault.quarantined
        return OK, "a free block was programmed, read back and erased"

    async def _random(self, figures: dict) -> tuple:
        blocks = [self._board.entropy(_RANDOM_BYTES) for _ in range(_RANDOM_BLOCKS)]
        ones = repeats = run = 0
        last = -1
        for block in blocks:
            for byte in block:
                run = run + 1 if byte == last else 1
                last = byte
                repeats = max(repeats, run)
                while byte:
                    ones += byte & 1
                    byte >>= 1
        total = 8 * _RANDOM_BLOCKS * _RANDOM_BYTES
        figures.update(bits=total, ones=ones, longest_repeat=repeats)
        if len(set(blocks)) < _RANDOM_BLOCKS:
            return FAILED, "the same block came twice"
        if abs(2 * ones - total) > 2 * _ONES_OFF or repeats > _MOST_REPEATS:
            return FAILED, "what comes is not random"
        return OK, "as random as so few bits can show"

    async def _camera(self, figures: dict) -> tuple:
        if not self._board.has_camera:
            return ABSENT, "this board has no camera"
        face = self._panel.face
        if not face.ready:
            return FAILED, "the models did not load, so that no picture can be taken"
        capture, _ = await face.borrow()
        try:
            started = ticks_ms()
            capture.take()
            figures["capture_ms"] = ticks_diff(ticks_ms(), started)
            mean, spread = light(capture.frame)
        except CameraError as error:
            return FAILED, "no picture came: %s" % error
        finally:
            face.give_back()
        figures.update(mean=mean, spread=spread)
        return (OK, "a picture came") if spread else (FAILED, "every pixel of the picture is alike")

    async def _reader(self, figures: dict) -> tuple:
        if not self._board.has_nfc:
            return ABSENT, "this board has no card reader"
        if self._panel.card_desk.lent:
            return SKIPPED, "the reader is on loan to a host"
        card = self._board.nfc.poll()
        return OK, "the reader answers; a card lies on it" if card else "the reader answers"

    async def _keypad(self, figures: dict) -> tuple:
        if not self._board.has_keypad:
            return ABSENT, "this board has no keypad"
        if self._panel.entry.keypad.busy:
            return SKIPPED, "somebody is typing"
        down = len(self._board.keypad.scan())
        return OK, "the keys can be read" if not down else "the keys can be read; one was pressed"

    async def _display(self, figures: dict) -> tuple:
        if not self._board.has_display:
            return ABSENT, "this board has no display"
        started = ticks_ms()
        self._board.display.show()
        figures["show_ms"] = ticks_diff(ticks_ms(), started)
        return OK, "the picture was sent; look whether it is there"

    async def _inputs(self, figures: dict) -> tuple:
        board = self._board
        figures.update(closed=board.door.closed(), exit=board.exit_button.pressed(), case_open=board.tamper.open())
        if board.fire is not None:
            figures["fire"] = board.fire.alarm()
        return OK, "door %s, exit button %s, case %s" % (
            "closed" if figures["closed"] else "open",
            "pressed" if figures["exit"] else "free",
            "open" if figures["case_open"] else "closed",
        )

    async def _lock(self, release: bool, figures: dict) -> tuple:
        panel = self._panel
        if not release:
            return SKIPPED, "the lock moves only when asked to"
        if panel.maintenance or panel.settings["lockdown"]:
            return SKIPPED, "the door opens for nobody now"
        panel.vault.append("opened", detail=b"selftest")
        panel.door.release(ticks_ms())
        started = ticks_ms()
        deadline = ticks_add(started, _RELOCK_MS)
        if not panel.door.released:
            return FAILED, "the lock did not obey"
        while panel.door.released:
            if ticks_diff(ticks_ms(), deadline) > 0:
                return FAILED, "the lock was released and does not lock again"
            self._panel.beat("link")
            await asyncio.sleep_ms(_WAIT_MS)
        figures["released_ms"] = ticks_diff(ticks_ms(), started)
        return OK, "the lock was released and has locked again"

    async def _clock(self, figures: dict) -> tuple:
        clock = self._board.clock
        before, source = clock.now()
        deadline = ticks_add(ticks_ms(), _TICK_MS)
        while ticks_diff(ticks_ms(), deadline) < 0:
            self._panel.beat("link")
            await asyncio.sleep_ms(_WAIT_MS)
        after, _ = clock.now()
        figures.update(time=after, source=source)
        if not source:
            return FAILED, "nothing has set the clock: menshen panel set-time"
        if not 1 <= after - before <= 3:
            return FAILED, "the clock does not go as it should"
        if clock.battery_low():
            return FAILED, "the clock's battery is low"
        return OK, "kept by the board" if source == 1 else "set in this run"

    async def _memory(self, figures: dict) -> tuple:
        """The limits are a board's: on a PC words are twice as long and the firmware lies there as source."""
        figures.update(self._panel.memory())
        figures["flash"] = _bytes_under(self._board.root + "/" + slots.running())
        figures["word_bits"] = 64 if sys.maxsize >> 32 else 32
        if figures["word_bits"] == 32 and figures["heap_used"] > HEAP_MOST:
            return FAILED, "more than %d bytes of the heap are in use" % HEAP_MOST
        if figures["word_bits"] == 32 and figures["flash"] > FLASH_MOST:
            return FAILED, "firmware and packs take more than %d bytes" % FLASH_MOST
        return OK, "%d kB of the heap in use, %d kB free" % (figures["heap_used"] // 1000, figures["heap_free"] // 1000)

    async def _stages(self, figures: dict) -> tuple:
        await stages.measure(self._panel, self.turn, figures)
        return OK, "milliseconds of each stage's own work"


def _kernel_set(name: str):
    """None where this machine cannot run it."""
    if name == "s3":
        machine = kernels.machine()
        if machine is None:
            return None
        from firmware.nn.s3 import Kernels

        return Kernels(machine)
    if name == "plain":
        from firmware.nn import kernels_plain

        return kernels_plain
    try:
        from firmware.nn import kernels_viper

        return kernels_viper
    except (SyntaxError, ValueError):
        return None


def _bytes_under(path: str) -> int:
    total = 0
    for entry in os.ilistdir(path):
        place = path.rstrip("/") + "/" + entry[0]
        if entry[1] == 0x4000:
            total += _bytes_under(place)
        else:
            total += os.stat(place)[6]
    return total
