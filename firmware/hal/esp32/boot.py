"""Runs as /boot.py before main.py: the firmware's archive becomes /firmware, and a panel in service cannot be
interrupted while it starts.

Ctrl-C leads to the REPL only on a panel without owner, or in maintenance (see README.md here). A folder /firmware, put
there by a developer, goes before the archive.
"""

import os

from micropython import kbd_intr

os.chdir("/")  # relative paths, which imports are, then reach what is mounted below
if "firmware" not in os.listdir("/"):
    from archive import Archive

    os.mount(Archive("/firmware.pak"), "/firmware")

from firmware.hal.esp32.flash import PartitionFlash  # noqa: E402

if PartitionFlash().in_use():
    kbd_intr(-1)
