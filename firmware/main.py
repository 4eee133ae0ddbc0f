"""What the panel runs at power-up, after boot.py: picks the board and starts the app. Staged as /main.py."""

import slots

panel = None
try:
    import board

    from firmware.app import App

    panel = board.build()
    App(panel).run()
except Exception as error:
    slots.crashed(error, panel is not None and not panel.console.repl_open)
