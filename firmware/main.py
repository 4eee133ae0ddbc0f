"""What the panel runs at power-up: picks the board and starts the app. Staged as /main.py next to /board.py."""

import sys

import board

from firmware.app import App

panel = board.build()
try:
    App(panel).run()
except Exception as error:
    sys.print_exception(error)
    panel.crashed()
