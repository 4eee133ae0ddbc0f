"""A main.py for the virtual panel whose tasks die or hang when a file `fault` says so: "keypad die", "cards hang", ...

Staged in place of firmware/main.py; the firmware under it is unchanged. A fault strikes once, where the named task
sleeps between two turns of its loop.
"""

import asyncio as real
import os

import board

from firmware.app import App
from firmware.door import door
from firmware.link import server
from firmware.services import entry, face

_FILE = "fault"


def _due(name):
    """What shall happen to the task `name`, taken once."""
    try:
        with open(_FILE) as file:
            wanted, what = file.read().split()
    except (OSError, ValueError):
        return None
    if wanted != name:
        return None
    os.remove(_FILE)
    print("FAULT", name, what)
    return what


async def _suffer(what):
    if what == "die":
        raise RuntimeError("injected")
    if what == "hang":
        await real.Event().wait()
    while what == "spin":
        pass


class Faulty:
    """asyncio for one module: `of` tells which task sleeps, by the length of its sleep."""

    def __init__(self, of):
        self._of = of

    def __getattr__(self, name):
        return getattr(real, name)

    async def sleep_ms(self, ms):
        name = self._of(ms)
        what = name and _due(name)
        if what:
            await _suffer(what)
        await real.sleep_ms(ms)

    async def sleep(self, s):
        await self.sleep_ms(int(s * 1000)) if s else await real.sleep(0)

    async def wait_for_ms(self, awaited, ms):
        what = _due("face")
        if what:
            await _suffer(what)
        return await real.wait_for_ms(awaited, ms)


entry.asyncio = Faulty({15: "keypad", 50: "cards", 250: "screen"}.get)
door.asyncio = Faulty({50: "door"}.get)
server.asyncio = Faulty({10: "link"}.get)
face.asyncio = Faulty({}.get)

App(board.build()).run()
