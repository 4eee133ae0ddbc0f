"""The virtual panel: every peripheral a board can have, over the simulator's bus and a flash file."""

import os

from firmware.hal import api
from firmware.hal.fed import FedCamera
from firmware.hal.heap import Heap
from firmware.hal.virtual import system
from firmware.hal.virtual.bus import Bus
from firmware.hal.virtual.camera import VirtualCamera
from firmware.hal.virtual.clock import VirtualClock
from firmware.hal.virtual.console import VirtualConsole
from firmware.hal.virtual.display import VirtualDisplay
from firmware.hal.virtual.door import (
    VirtualBuzzer,
    VirtualDoor,
    VirtualExitButton,
    VirtualFire,
    VirtualLight,
    VirtualLock,
    VirtualTamper,
)
from firmware.hal.virtual.entry import VirtualKeypad, VirtualNfc
from firmware.hal.virtual.flash import FileFlash
from firmware.hal.virtual.network import VirtualNetwork


def _open_flash(path: str, blocks: int):
    # The chip's file lies outside the panel's filesystem, as the vault partition does on a board.
    directory, name = path.rsplit("/", 1)
    os.mount(os.VfsPosix(directory), "/chips")
    try:
        return FileFlash("/chips/" + name, blocks)
    finally:
        os.umount("/chips")


class VirtualBoard(api.Board):
    name = "virtual"
    capabilities = ("camera", "nfc", "keypad", "display")

    def __init__(self, bus, flash, fed=False):
        self._bus = bus
        self._heap = Heap()
        self.flash = flash
        self.camera = FedCamera() if fed else VirtualCamera(bus)
        self.keypad = VirtualKeypad(bus)
        self.nfc = VirtualNfc(bus)
        self.display = VirtualDisplay(bus)
        self.lock = VirtualLock(bus)
        self.door = VirtualDoor(bus)
        self.exit_button = VirtualExitButton(bus)
        self.tamper = VirtualTamper(bus)
        self.fire = VirtualFire(bus)
        self.buzzer = VirtualBuzzer(bus)
        self.light = VirtualLight(bus)
        self.clock = VirtualClock(bus)
        self.console = VirtualConsole(bus)
        self.network = VirtualNetwork()
        self.watchdog = system.VirtualWatchdog(bus)

    def entropy(self, n: int) -> bytes:
        return system.entropy(n)

    def reset(self) -> None:
        system.reset(self._bus)

    def memory(self) -> dict:
        return self._heap.figures()


def build() -> VirtualBoard:
    flash = _open_flash(os.getenv("MENSHEN_FLASH"), int(os.getenv("MENSHEN_FLASH_BLOCKS")))
    return VirtualBoard(Bus(os.getenv("MENSHEN_WORLD")), flash, os.getenv("MENSHEN_CAMERA") == "fed")
