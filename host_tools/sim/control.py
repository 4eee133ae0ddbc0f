"""Start a virtual panel or find a running one, and be the people and things around it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from firmware.start.slots import SLOTS
from host_tools.errors import HostError, NoPanel, UnreadablePicture, Usage
from host_tools.image import stage_vfs
from host_tools.image.bundle import describe
from host_tools.sim.camera import HEIGHT, WIDTH, Frame, load_photo
from host_tools.sim.screen import render

INFO_FILE, LOCK_FILE, CONSOLE_FILE, DAEMON_LOG, TTY_FILE = (
    "sim.json",
    "lock",
    "console.log",
    "daemon.log",
    "tty",
)
_ANSWER_S = 15.0

Photo = str | Path | Image.Image | npt.NDArray[Any] | None


def _stage_firmware(vfs: Path) -> None:
    stage_vfs("virtual", vfs)
    describe(vfs / SLOTS[0], "virtual")


class Sim:
    """One virtual panel, reached through its state directory; one thread at a time, another attaches for
    itself.

    Times are Unix seconds of this PC's clock."""

    def __init__(self, state: Path, info: dict[str, Any], process: subprocess.Popen[bytes] | None = None) -> None:
        self.state = state
        self.port = f"socket://127.0.0.1:{info['port']}"
        self._info = info
        self._process = process
        self._socket = socket.create_connection(("127.0.0.1", info["control"]), timeout=_ANSWER_S)
        self._lines = self._socket.makefile("rb")

    @classmethod
    def start(
        cls,
        state: str | Path,
        *,
        stage: Callable[[Path], None] = _stage_firmware,
        heap: str = "8M",
        blocks: int = 1048,
        fed: bool = False,
        detach: bool = False,
        tty: bool = False,
        timeout: float = 20.0,
    ) -> Sim:
        """Switches the panel in `state` on; its flash, clock and files are those of the last time.

        `stage` fills its filesystem. It ends with this object or process, or outlives both if `detach`.
        `tty`: also make the device file `state`/tty. `fed`: it has no camera, frames come over the link."""
        state = Path(state).resolve()
        state.mkdir(parents=True, exist_ok=True)
        if _running(state):
            raise HostError(f"A virtual panel runs in {state} already. Stop it first: menshen sim stop.")
        stage(state / "vfs")
        process = _spawn(state, heap, blocks, fed=fed, detach=detach, tty=tty)
        try:
            info = _await_info(state, process, timeout)
            return cls(state, info, process)
        except BaseException:
            process.kill()
            raise

    @classmethod
    def attach(cls, state: str | Path) -> Sim:
        state = Path(state).resolve()
        info = _running(state)
        if info is None:
            raise NoPanel(f"No virtual panel runs in {state}. Start it: menshen sim start.")
        return cls(state, info)

    def __enter__(self) -> Sim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Switches the panel off and ends the simulator; what it stored stays in the state directory."""
        with contextlib.suppress(OSError, HostError):
            self._ask("stop")
        self.close()
        _await_end(self.state, self._process)

    def close(self) -> None:
        """Lets go of a panel that goes on running."""
        self._lines.close()
        self._socket.close()

    # People.

    def show(self, photo: Photo, **view: Any) -> None:
        """Puts `photo` before the camera (None: nobody); `view` as in host_tools.sim.camera.View."""
        self._ask("show", photo=None if photo is None else _packed(photo), view=view)

    def press(self, keys: str) -> None:
        self._ask("press", keys=keys)

    def tap(self, card: str | Path | None, seconds: float | None = None) -> None:
        """Holds a card's file to the reader, for `seconds` or until `tap(None)`."""
        self._ask("tap", card=None if card is None else str(Path(card).resolve()), seconds=seconds)

    def set_door(self, closed: bool) -> None:
        self._ask("set_input", name="door_closed", on=closed)

    def set_exit(self, pressed: bool) -> None:
        self._ask("set_input", name="exit_pressed", on=pressed)

    def set_tamper(self, case_open: bool) -> None:
        self._ask("set_input", name="case_open", on=case_open)

    def set_fire(self, alarm: bool) -> None:
        self._ask("set_input", name="fire_alarm", on=alarm)

    # Faults and time.

    def set_battery(self, low: bool) -> None:
        """Of the clock."""
        self._ask("set_input", name="battery_low", on=low)

    def clock_step(self, seconds: float) -> None:
        self._ask("clock_step", seconds=seconds)

    def hasten(self, seconds: float) -> None:
        """Brings the board's timer that ends maintenance forward."""
        self._ask("hasten", seconds=seconds)

    def cut_camera(self, cut: bool) -> None:
        self._ask("cut_camera", cut=cut)

    def kill(self) -> None:
        """Cuts the power: SIGKILL in the middle of whatever the panel does. It stays off until `restart`."""
        self._ask("kill")

    def restart(self) -> None:
        """Power back, or a reset when it is on."""
        self._ask("restart")

    # What the panel did.

    def status(self) -> dict[str, Any]:
        return dict(self._ask("status"))

    def door_state(self) -> dict[str, bool]:
        """{"released": may be opened, "closed": the contact}."""
        status = self.status()
        return {"released": status["released"], "closed": status["door_closed"]}

    def lock_log(self) -> list[dict[str, Any]]:
        """{"time", "released"} of each change, oldest first."""
        return list(self._ask("lock_log"))

    def buzzer_log(self) -> list[dict[str, Any]]:
        return list(self._ask("buzzer_log"))

    def light_log(self) -> list[dict[str, Any]]:
        """{"time", "light"} of each change, oldest first."""
        return list(self._ask("light_log"))

    def wait_lock(self, released: bool, *, since: float = 0.0, timeout: float = 10.0) -> bool:
        """Whether the lock went to `released` after `since`, waiting up to `timeout` seconds for it."""
        return bool(self._ask("wait_lock", timeout, released=released, since=since))

    def wait_shut(self, timeout: float = 10.0) -> bool:
        """Whether the lock holds, waiting up to `timeout` seconds for it."""
        since = time.time()  # first: it may lock while it is being asked
        return not self.door_state()["released"] or self.wait_lock(False, since=since, timeout=timeout)

    def screen(self) -> npt.NDArray[np.uint8]:
        """(320, 240, 3) RGB."""
        data = self._ask("screen")
        return render(None if data is None else base64.b64decode(data))

    def last_frame(self) -> Frame | None:
        """(240, 320) grey: what the camera delivered last; None before the first."""
        data = self._ask("last_frame")
        return None if data is None else np.frombuffer(base64.b64decode(data), np.uint8).reshape(HEIGHT, WIDTH)

    def console(self) -> str:
        """What the panel printed since the simulator started."""
        return (self.state / CONSOLE_FILE).read_text(encoding="utf-8", errors="replace")

    def wait_console(self, text: str, timeout: float = 10.0, *, after: int = 0) -> bool:
        """Whether the console prints `text` behind its first `after` characters within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while text not in self.console()[after:]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _ask(self, what: str, patience: float = 0.0, /, **args: Any) -> Any:
        request = {"do": what, "token": self._info["token"], "args": args}
        if patience:
            args["timeout"] = patience
        try:
            self._socket.settimeout(_ANSWER_S + patience)
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            line = self._lines.readline()
        except (OSError, ValueError) as error:
            raise NoPanel(f"The virtual panel in {self.state} does not answer ({error}).") from error
        if not line:
            raise NoPanel(f"The virtual panel in {self.state} has ended. Its log: {self.state / DAEMON_LOG}.")
        reply = json.loads(line)
        if not reply["ok"]:
            raise Usage(reply["error"])
        return reply["value"]


def _packed(photo: str | Path | Image.Image | npt.NDArray[Any]) -> dict[str, Any]:
    try:
        grey = load_photo(photo)
    except (UnidentifiedImageError, OSError) as error:
        raise UnreadablePicture(f"The picture cannot be read: {error}.") from error
    return {"size": grey.size, "grey": base64.b64encode(grey.tobytes()).decode()}


def _spawn(state: Path, heap: str, blocks: int, *, fed: bool, detach: bool, tty: bool) -> subprocess.Popen[bytes]:
    import host_tools

    command = [sys.executable, "-m", "host_tools.sim", "--state", str(state), "--heap", heap]
    command += ["--blocks", str(blocks)]
    command += ["--fed"] if fed else []
    command += ["--tty"] if tty else []
    command += [] if detach else ["--until-eof"]
    home = str(Path(host_tools.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    (state / INFO_FILE).unlink(missing_ok=True)
    with (state / DAEMON_LOG).open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if detach else subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=state,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )


def _await_info(state: Path, process: subprocess.Popen[bytes], timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        info = _read_info(state)
        if info and info["pid"] == process.pid:
            return info
        if process.poll() is not None:
            log = (state / DAEMON_LOG).read_text(errors="replace").strip()
            raise HostError(f"The simulator did not start: {log.splitlines()[-1] if log else 'no reason given'}")
        time.sleep(0.01)
    raise HostError(f"The simulator did not start within {timeout:g} seconds; see {state / DAEMON_LOG}.")


def _read_info(state: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((state / INFO_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _running(state: Path) -> dict[str, Any] | None:
    info = _read_info(state)
    if info is None:
        return None
    try:
        os.kill(info["pid"], 0)
        socket.create_connection(("127.0.0.1", info["control"]), timeout=2).close()
    except OSError:
        return None
    return info


def _await_end(state: Path, process: subprocess.Popen[bytes] | None) -> None:
    if process and process.stdin:
        process.stdin.close()
    deadline = time.monotonic() + _ANSWER_S
    while not _lock_free(state):
        if time.monotonic() > deadline:
            raise HostError(f"The simulator in {state} does not end; see {state / DAEMON_LOG}.")
        time.sleep(0.01)
    if process:
        process.wait(_ANSWER_S)


def _lock_free(state: Path) -> bool:
    """The simulator holds the lock as long as it lives, whoever its parent is."""
    with (state / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
