"""A full house on the panel's side, under MicroPython: `micropython tests/memory/panel.py prepare|measure FOLDER ...`

FOLDER holds packs/ and picture, a grey frame. `prepare` fills the vault; `measure` with a number is a start and so many
attempts of the whole app, and prints one line of JSON. The board is made of plain objects that keep the HAL's
contracts, with the buffers that a real one has.
"""

import asyncio
import gc
import json
import os
import sys

import framebuf

from firmware.access.policy import Rights
from firmware.access.schedule import Schedule
from firmware.app import App, Panel
from firmware.base.ticks import ticks_diff, ticks_ms
from firmware.crypto.hmac import pbkdf2_sha256
from firmware.hal import api
from firmware.hal.heap import Heap
from firmware.hal.virtual.flash import FileFlash
from firmware.services.residents import GIVEN

BLOCKS = 1048
RESIDENTS = 512
FLATS = 128
TEMPLATES = 4
SALT = b"everybody's salt"
PIN = b"840613"
COUNT = 2000
CONSENT, NOTICE = b"c" * 16, b"n" * 32
SAMPLE_EVERY = 20
PATIENCE_S = 20
TRIES = 3


class Still:
    """Inputs at rest, outputs that nobody looks at."""

    width, height = 240, 320

    def __init__(self):
        self.fb = framebuf.FrameBuffer(bytearray(240 * 320 // 2), 240, 320, framebuf.GS4_HMSB)

    def show(self):
        pass

    def release(self, on):
        pass

    def closed(self):
        return True

    def pressed(self):
        return False

    def open(self):
        return False

    def tone(self, name):
        pass

    def feed(self):
        pass

    def relax(self):
        pass

    def read(self):
        return b""

    def write(self, data):
        pass

    def open_repl(self, on):
        pass


class Clock:
    def now(self):
        return 1_800_000_000, 2

    def set(self, unix):
        pass

    def battery_low(self):
        return False


class Camera:
    def __init__(self, path):
        self._path = path

    def power(self, on):
        pass

    def expose(self, level):
        pass

    def capture_into(self, buf):
        with open(self._path, "rb") as file:
            file.readinto(buf)


class Keypad:
    typed = ""

    def scan(self):
        keys, self.typed = self.typed, ""
        return keys


class Reader:
    card = None

    def poll(self):
        return self.card.uid if self.card else None

    def transceive(self, apdu):
        return self.card.transceive(apdu)


class Board(api.Board):
    name = "measured"
    capabilities = ("camera", "nfc", "keypad", "display")

    def __init__(self, folder):
        still = Still()
        self.root = folder
        self.flash = FileFlash(folder + "/vault.bin", BLOCKS)
        self.camera = Camera(folder + "/picture")
        self.keypad, self.nfc, self.clock = Keypad(), Reader(), Clock()
        self.display = self.lock = self.door = self.exit_button = self.tamper = still
        self.buzzer = self.console = self.watchdog = still
        self._heap = Heap()

    def entropy(self, n):
        return os.urandom(n)

    def memory(self):
        return self._heap.figures()


def handle_of(i):
    return b"res" + b"%05d" % i


def flat_of(i):
    return str(101 + i % FLATS)


def uid_of(i):
    return b"\x04uid%03d" % i


async def prepare(folder):
    """Everybody has hours, a PIN, a card, a consent and four templates; the first one's face is the picture's."""
    from tests.firmware.test_nfc import KEY

    panel = Panel(Board(folder))
    panel.vault.provision(b"panel-01", bytes(range(32)), bytes(32), b"door")
    panel.vault.confirm()
    templates = []
    await panel.face.collect(templates, TEMPLATES, 30, lambda done, hint: None)
    digest = pbkdf2_sha256(PIN, SALT, COUNT)
    schedules = [Schedule([(127, 0, 1440)])] + [Schedule([(31, 60 * i, 1380), (96, 480, 1440)]) for i in range(7)]
    for i in range(RESIDENTS):
        handle = handle_of(i)
        panel.residents.put_rights(handle, flat_of(i), Rights(1, schedules[i % 8], 1, 2_000_000_000 + i % 4))
        panel.residents.set_pin(handle, SALT, COUNT, digest)
        panel.residents.add_card(handle, uid_of(i), KEY)
        panel.residents.set_consent(handle, GIVEN, 1_700_000_000, CONSENT, NOTICE)
        faces = templates if i == 0 else [os.urandom(128) for _ in range(TEMPLATES)]
        panel.enrol(handle, panel.gallery.model_id, CONSENT, NOTICE, 1_900_000_000, faces)
        if i % 16 == 0:
            gc.collect()


class Visitors:
    """Who comes, one an hour: a face, a right PIN, a card, a wrong PIN, a face at another flat, by turns."""

    def __init__(self, panel):
        from tests.firmware.test_nfc import KEY, Card

        self._panel, self._board = panel, panel.board
        self._card, self._key = Card, KEY
        self._turn = 0
        panel.uptime.seconds = lambda: 3600 * self._turn  # else most of them would be locked out

    async def next(self):
        """One attempt to its end: (kind, opened). On a busy machine the supervisor may take a task for a hung one and
        start it again; who waited for it then comes once more.
        """
        for _ in range(TRIES):
            kind, event = await self._attempt()
            self._turn += 1
            if event:
                return kind, event["opened"]
        raise RuntimeError("no decision about a " + kind)

    async def _attempt(self):
        turn, i = self._turn % 5, self._turn
        _, seen = self._panel.events.since(1 << 29, 1)
        if turn == 2:
            self._board.nfc.card = self._card(uid_of(i % RESIDENTS), self._key)
        else:
            flat = flat_of(0 if turn == 0 else i)
            self._board.keypad.typed = flat + "#" + {1: "840613#", 3: "111222#"}.get(turn, "")
        kind = ("face", "pin", "card", "pin", "face")[turn]
        event = await self._event(kind, seen)
        self._board.nfc.card = None
        return kind, event

    async def _event(self, kind, seen):
        for _ in range(PATIENCE_S * 100):
            found, seen = self._panel.events.since(seen, 4)
            for event in found:
                if event["kind"] == kind:
                    return event
            await asyncio.sleep_ms(10)
        return None


async def measure(folder, attempts):
    started = ticks_ms()
    app = App(Board(folder))
    work = asyncio.create_task(app._main())
    while not hasattr(app, "_panel"):
        if work.done():
            await work  # to hear why
        await asyncio.sleep_ms(1)
    ready_ms = ticks_diff(ticks_ms(), started)
    panel = app._panel
    booted = panel.memory()
    figures = {"ready_ms": ready_ms, "boot": booted, "residents": len(panel.residents), "faces": len(panel.gallery)}
    visitors = Visitors(panel)
    opened = {}
    samples = []
    for i in range(attempts):
        kind, yes = await visitors.next()
        opened[kind] = opened.get(kind, 0) + bool(yes)
        if (i + 1) % SAMPLE_EVERY == 0:
            samples.append(panel.memory()["heap_used"])
    work.cancel()
    figures.update(attempts=attempts, opened=opened, samples=samples)
    print(json.dumps(figures))


def main(what, folder, attempts="0"):
    asyncio.run(prepare(folder) if what == "prepare" else measure(folder, int(attempts)))


if __name__ == "__main__":
    main(*sys.argv[1:])
