"""A technician's question on the screen: "#" allows what he asks for, on a board without keypad the exit button.

Anything else is a no: another key, silence, another way in, or that the panel is needed for something else.
"""

from firmware.base.compat import const
from firmware.base.errors import HalError, Refused
from firmware.base.ticks import ticks_ms

_MOST_S = const(60)


class Question:
    """One at a time; `open` while it stands on the screen."""

    def __init__(self, panel):
        self._panel = panel
        self._answered = None
        self._until = 0  # of the panel's uptime
        self._exit_down = True  # a button that is held from before is no answer

    @property
    def open(self) -> bool:
        return self._answered is not None

    @property
    def left_s(self) -> int:
        return max(0, self._until - self._panel.uptime.seconds())

    def put(self, draw, answered, most_s: int = _MOST_S) -> None:
        """`draw(by_key)` puts it on the screen, `answered(allowed)` hears the answer. Refused while somebody else is
        at the panel."""
        panel = self._panel
        keypad = panel.entry.keypad
        if self.open or panel.desk.open or panel.selfservice.open or (keypad and keypad.busy):
            raise Refused("somebody is using the panel: try again in a minute")
        panel.face.stop()
        self._answered, self._exit_down = answered, True
        self._until = panel.uptime.seconds() + min(_MOST_S, most_s)
        panel.entry.keep_screen()
        if keypad:
            keypad.ask(1, ticks_ms())
        draw(keypad is not None)

    def answer(self, allowed: bool) -> None:
        answered, self._answered = self._answered, None
        answered(allowed)
        self._panel.entry.idle()

    def drop(self) -> None:
        if self.open:
            if self._panel.entry.keypad:
                self._panel.entry.keypad.reset()
            self.answer(False)

    def tend(self) -> None:
        """In each of the supervisor's rounds."""
        if not self.open:
            return
        if not self.left_s:
            self.drop()
        elif self._panel.entry.keypad is None and self._pressed():
            self.answer(True)

    def _pressed(self) -> bool:
        """The exit button, from free to pressed."""
        try:
            down = self._panel.board.exit_button.pressed()
        except HalError:
            return False
        pressed, self._exit_down = down and not self._exit_down, down
        return pressed
