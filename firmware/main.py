"""What the panel runs at power-up: picks the board and starts the app. Staged as /main.py next to /board.py."""

import board

from firmware.app import App

App(board.build()).run()
