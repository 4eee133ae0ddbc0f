"""A whole panel without simulator: the app's services on a real vault, before a board of plain objects."""

import asyncio

import framebuf

from firmware.access.policy import Rights
from firmware.access.schedule import Schedule
from firmware.app import Panel
from firmware.base.ticks import ticks_ms
from firmware.credentials.pin import ITERATIONS
from firmware.crypto.hmac import pbkdf2_sha256
from firmware.hal.virtual.network import VirtualNetwork
from tests.firmware.vault_house import House

SALT = b"flat 301's salt."
COUNT = ITERATIONS


class Recorder:
    """Stands for every output: whatever is called on it is noted."""

    width, height = 240, 320

    def __init__(self):
        self.calls = []
        self.fb = framebuf.FrameBuffer(bytearray(38400), 240, 320, framebuf.GS4_HMSB)

    def __getattr__(self, name):
        def note(*args, **_):
            self.calls.append((name,) + args)

        return note


class Board:
    """`typed` is what the keypad has; `card` what lies on the reader."""

    name = "test"
    fire = lock_back = None
    has_camera, has_keypad, has_nfc, has_display = False, True, True, True
    takes_frames = False

    def __init__(self, house):
        self.root = "/nowhere"
        self.flash = house._flash
        self.entropy = house.entropy
        self.clock = house.clock
        self.lock, self.buzzer, self.display, self.console = Recorder(), Recorder(), Recorder(), Recorder()
        self.light = Recorder()
        self.network = VirtualNetwork()
        self.keypad = self.nfc = self.door = self.exit_button = self.tamper = self
        self.typed, self.card = "", None

    def scan(self):
        typed, self.typed = self.typed, ""
        return typed

    def poll(self):
        return self.card.uid if self.card else None

    def transceive(self, apdu):
        return self.card.transceive(apdu)

    def closed(self):
        return True

    def pressed(self):
        return False

    def open(self):
        return False


class Entrance:
    """`panel` after power-on; `at` moves its uptime."""

    def __init__(self, blocks=24):
        self.house = House(blocks)
        self.restart()

    def restart(self):
        self.house.open()
        self.board = Board(self.house)
        self.panel = Panel(self.board)
        self.panel.screens = Recorder()
        self.uptime = 0
        self.panel.uptime.seconds = lambda: self.uptime

    def resident(self, handle, flat, pin=b"", duress=b"", salt=SALT, rights=None):
        residents = self.panel.residents
        residents.put_rights(handle, flat, rights or Rights(1, Schedule.always(), 0, 0))
        if pin:
            residents.set_pin(handle, salt, COUNT, pbkdf2_sha256(pin, salt, COUNT))
        if duress:
            residents.set_pin(handle, salt, COUNT, pbkdf2_sha256(duress, salt, COUNT), True)

    def type(self, keys):
        """Whether the lock was released by it."""
        return self._released(lambda: self._keys(keys))

    def tap(self, card):
        self.board.card = card
        entry = self.panel.entry

        def read():
            entry._cards._held = None
            event = entry._cards.poll(ticks_ms())
            entry._card(event, ticks_ms())

        return self._released(read)

    def shown(self):
        """The last answer on the screen: ("granted",) or ("denied", reason, wait_s)."""
        return [call for call in self.panel.screens.calls if call[0] in ("granted", "denied")][-1]

    def log(self):
        return [(entry.kind, bytes(entry.detail)) for entry in self.panel.vault.log(0, 1000)]

    def _keys(self, keys):
        async def act():
            entry = self.panel.entry
            for key in keys:
                self.board.typed = key
                for event in entry.keypad.poll(ticks_ms()):
                    await getattr(entry, "_on_" + event[0])(*event[1:])

        asyncio.run(act())

    def _released(self, act):
        self.panel.door.relock()
        del self.board.lock.calls[:]
        act()
        return ("release", True) in self.board.lock.calls
