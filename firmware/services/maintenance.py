"""Maintenance: a token from the host, then a press on the panel, open the plain REPL; the door opens for nobody
meanwhile.

It ends when the host says so, at the token's own time, or with a restart. Once the REPL is entered the app no longer
runs: the board itself then restarts the panel at that time (Console.open_repl).
"""

from firmware.base.errors import AuthError, NotProvisioned, Refused
from firmware.link import maintenance as tokens

_SERIAL = "maint"  # the vault's counter of the tokens taken

OFF, ASKED, ON, REFUSED = "off", "asked", "on", "refused"


class Maintenance:
    """`on`: the REPL can be reached."""

    def __init__(self, panel):
        self._panel = panel
        self._state = OFF
        self._token = b""
        self._until = 0  # of the panel's uptime

    @property
    def on(self) -> bool:
        return self._state == ON

    def ask(self, token: bytes) -> dict:
        """Puts the question on the screen; asked again with the same token it tells what became of it.

        Each token is taken once. Refused while the case is open: maintenance comes first, so that who breaks the case
        open gains nothing.
        """
        if token == self._token and self._state != OFF:
            return self.report()
        panel = self._panel
        seconds, serial = self._check(token)
        if panel.board.tamper.open():
            raise Refused("the panel's case is open: close it, ask for maintenance, and open it then")
        self.end()
        panel.question.put(panel.screens.allow_maintenance, self._answered, seconds)
        self._state, self._token, self._until = ASKED, token, panel.uptime.seconds() + seconds
        panel.vault.set_counter(_SERIAL, serial)
        panel.vault.append("maintenance", detail=b"asked")
        return self.report()

    def report(self) -> dict:
        """`seconds`: until the question, or maintenance itself, ends."""
        left = max(0, self._until - self._panel.uptime.seconds()) if self.on else 0
        return {"state": self._state, "seconds": self._panel.question.left_s if self._state == ASKED else left}

    def end(self, token=None) -> None:
        """`token`: who asks to end it must hold the one that began it; None: the panel or its owner ends it."""
        if token is not None and token != self._token:
            raise AuthError("maintenance was not begun with this token")
        if self._state == ASKED:
            self._panel.question.drop()
        if self.on:
            self._state = OFF
            self._panel.vault.append("maintenance", detail=b"off")
            self._panel.board.console.open_repl(False)
            self._panel.entry.idle()

    def tend(self) -> None:
        """In each of the supervisor's rounds."""
        if self.on and self._panel.uptime.seconds() >= self._until:
            self.end()

    def _answered(self, allowed: bool) -> None:
        panel = self._panel
        allowed = allowed and not panel.board.tamper.open()
        self._state = ON if allowed else REFUSED
        panel.vault.append("maintenance", detail=b"on" if allowed else b"refused")
        if allowed:
            panel.board.console.open_repl(True, max(1, self._until - panel.uptime.seconds()))

    def _check(self, token: bytes) -> tuple:
        """(seconds from now to the token's end, its serial)."""
        panel = self._panel
        keys = panel.vault.keys
        if keys is None or not panel.vault.in_service:
            raise NotProvisioned("this panel has no owner: its REPL is open anyway")
        serial, expires = tokens.read(keys.link_key, keys.panel_id, token)
        now, source = panel.board.clock.now()
        if not source:
            raise Refused("the panel does not know the time, which the token's end needs")
        if now >= expires or expires - now > tokens.MOST_S:
            raise AuthError("the token has expired, or a clock is wrong: menshen panel set-time")
        if serial <= panel.vault.counter(_SERIAL):
            raise AuthError("the token was used, or a newer one was")
        return expires - now, serial
