"""Maintenance: the token that the host makes, the press that the panel waits for, and the way out again.

site -> token(...) -> whoever goes to the panel -> session(port, token): `mpremote` works inside it
"""

from __future__ import annotations

import binascii
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from firmware.link import maintenance as tokens
from host_tools.errors import HostError, LinkFailed, MaintenanceRefused, NoPanel, ToolFailed, Usage
from host_tools.link import bridge
from host_tools.link.carrier import SerialCarrier
from host_tools.link.client import PanelClient, connect
from host_tools.site import Panel, Site
from host_tools.site.panel import OpenCarrier

MINUTES = 30
MOST_MINUTES = tokens.MOST_S // 60

_POLL_S = 0.3
_HELLO_S = 0.6  # a running app answers at once
_CLOSING_S = 30.0  # for a restart
_RESET_S, _RESETS = 20.0, 3

Progress = Callable[[str], None]


def token(site: Site, panel: Panel, minutes: int = MINUTES) -> bytes:
    """Good once, for this panel, until `minutes` from now; used, it makes all older ones worthless."""
    if not 1 <= minutes <= MOST_MINUTES:
        raise Usage(f"Maintenance lasts 1 to {MOST_MINUTES} minutes.")
    record = panel.record
    made = tokens.make(record.link_key, record.panel_id, site.new_counter(panel), site.now() + 60 * minutes)
    site.note("maintenance_token", panel=record.panel_id, minutes=minutes)
    return bytes(made)


def parse(text: str) -> bytes:
    """A token as `menshen tech token` prints it."""
    try:
        found = binascii.unhexlify(text.strip())
    except ValueError:
        found = b""
    if len(found) != tokens.TOKEN_BYTES:
        raise Usage(f"This is no maintenance token: it has {2 * tokens.TOKEN_BYTES} hex digits. Copy it whole.")
    return found


def allow(client: PanelClient, secret: bytes, say: Progress = lambda text: None) -> int:
    """Asks, and waits for the person at the panel; for how many seconds the REPL is open then."""
    answer = client.plain("maintain", token=secret)
    say(f"Press # on the panel to allow it (or its exit button, where it has no keys): {answer['seconds']} s.")
    try:
        while answer["state"] == "asked":
            time.sleep(_POLL_S)
            answer = client.plain("maintain", token=secret)
    except BaseException:
        with contextlib.suppress(HostError):
            client.plain("maintain", token=secret, end=True)
        raise
    if answer["state"] != "on":
        raise MaintenanceRefused(
            "Nobody at the panel allowed maintenance. Stand before it, run this again and press # when it asks."
        )
    return int(answer["seconds"])


def end(panel: Panel) -> None:
    panel.request("maintenance_end")


class Session:
    """An open REPL; `asked` is False on a panel without owner, whose REPL is always open."""

    def __init__(self, port: str, asked: bool, seconds: int) -> None:
        self.port, self.asked, self.seconds = port, asked, seconds
        self.entered = False  # the app has been interrupted: only a restart brings it back

    def mpremote(self, *words: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """Runs it on this panel without a soft reset, which would end maintenance; its streams are ours unless
        `capture`. Raises ToolFailed."""
        self.entered = True
        mpremote = str(Path(sys.executable).with_name("mpremote"))
        try:
            with bridge.device(self.port) if "repl" in words else contextlib.nullcontext(self.port) as device:
                command = [mpremote, "connect", device, "resume", *words]
                done = subprocess.run(command, text=True, capture_output=capture, check=False)
        except OSError as error:
            raise ToolFailed(f"mpremote cannot be started: {error.strerror}. Install Menshen again.") from error
        if done.returncode:
            said = ((done.stderr or "") + (done.stdout or "")).strip().splitlines()[-1:] if capture else []
            raise ToolFailed(f"mpremote ended with {done.returncode}{': ' + said[0] if said else ''}. See its message.")
        return done


@contextmanager
def session(
    port: str, secret: bytes | None, say: Progress = lambda text: None, open_carrier: OpenCarrier = SerialCarrier
) -> Iterator[Session]:
    """Opens the REPL of the panel on `port`, and closes it behind the block, however that ends.

    `secret`: the token; a panel without owner needs none. Should the panel not be reached again it ends maintenance
    by itself when the token does.
    """
    client, hello = connect(open_carrier(port))
    try:
        asked = bool(hello["provisioned"])
        if asked and secret is None:
            raise Usage("This panel is in service: maintenance needs a token. Run this with its site, or with --token.")
        seconds = allow(client, secret, say) if asked and secret else 0
    finally:
        client.close()
    opened = Session(port, asked, seconds)
    with _ended_by_signals():
        try:
            yield opened
        finally:
            _close(opened, secret, open_carrier)


def _close(opened: Session, secret: bytes | None, open_carrier: OpenCarrier) -> None:
    """By a restart, or by the link where the app still runs; then it is looked whether the app is back."""
    try:
        if opened.entered or not _end_by_link(opened, secret, open_carrier):
            _reset(opened)
        _await_app(opened, open_carrier)
    except (HostError, OSError, subprocess.TimeoutExpired) as error:
        until = time.strftime("%H:%M", time.localtime(time.time() + opened.seconds))
        rest = f"It ends maintenance by itself before {until}" if opened.asked else "Switch it off and on"
        raise LinkFailed(
            f"The panel on {opened.port} could not be reached to end maintenance. {rest}; check the cable."
        ) from error


def _end_by_link(opened: Session, secret: bytes | None, open_carrier: OpenCarrier) -> bool:
    try:
        client, hello = connect(open_carrier(opened.port), timeout_s=_HELLO_S)
    except (NoPanel, LinkFailed):
        return False
    try:
        if hello.get("maintenance") and secret is not None:
            client.plain("maintain", token=secret, end=True)
        return True
    finally:
        client.close()


def _reset(opened: Session) -> None:
    """Tried again where the first try came to nothing: a busy computer loses what a REPL said."""
    command = [str(Path(sys.executable).with_name("mpremote")), "connect", opened.port, "reset"]
    for _ in range(_RESETS):
        with contextlib.suppress(subprocess.TimeoutExpired):
            if not subprocess.run(command, capture_output=True, timeout=_RESET_S, check=False).returncode:
                return
    raise LinkFailed("the panel does not restart")


def _await_app(opened: Session, open_carrier: OpenCarrier) -> None:
    deadline = time.monotonic() + _CLOSING_S
    while True:
        try:
            client, hello = connect(open_carrier(opened.port), timeout_s=_HELLO_S)
            client.close()
        except (NoPanel, LinkFailed):
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
            continue
        if opened.asked and hello.get("maintenance"):
            raise LinkFailed("maintenance is still on")
        return


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal run the clean-up too, as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    for number in (int(signal.SIGTERM), int(signal.SIGHUP)):
        with contextlib.suppress(ValueError):  # not in the main thread
            before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
