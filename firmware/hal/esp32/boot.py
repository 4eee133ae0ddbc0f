"""Runs as /boot.py before main.py: the slot's firmware becomes /firmware, and a panel in service cannot be interrupted
while it starts.

Ctrl-C leads to the REPL only on a panel without owner, or in maintenance (see README.md here). Firmware on trial that
hangs before the app feeds the watchdog is reset by it.
"""

from micropython import kbd_intr

kbd_intr(-1)

import slots  # noqa: E402
from esp32 import Partition  # noqa: E402
from machine import WDT, reset  # noqa: E402

_vault = Partition.find(Partition.TYPE_DATA, label="vault")
slots.closed = bool(_vault) and slots.has_keys(_vault[0].readblocks)
if not slots.closed:
    kbd_intr(3)
if slots.read()["trial"] is not None:
    WDT(timeout=60_000)
slots.restart = reset
slots.start()
