"""Runs as /boot.py before main.py: a panel in service cannot be interrupted while it starts.

Ctrl-C leads to the REPL only on a panel without owner, or in maintenance (see README.md here).
"""

from micropython import kbd_intr

from firmware.hal.esp32.flash import PartitionFlash

if PartitionFlash().in_use():
    kbd_intr(-1)
