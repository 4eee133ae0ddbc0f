"""Runs as /boot.py before main.py: the slot's firmware can be imported from then on."""

import sys

import slots

slots.restart = sys.modules["machine"].reset
slots.start()
