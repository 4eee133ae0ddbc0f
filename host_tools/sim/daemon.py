"""The simulator's process: world, bus, relay and the control port that `host_tools.sim.control.Sim` speaks
to."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from host_tools.sim.bus import BusServer
from host_tools.sim.camera import Scene, View
from host_tools.sim.card import Card
from host_tools.sim.control import CONSOLE_FILE, INFO_FILE, LOCK_FILE, TTY_FILE
from host_tools.sim.panel import PanelSpec, find_micropython
from host_tools.sim.relay import Relay
from host_tools.sim.world import World

_LINE_MAX = 64 * 1024 * 1024
_INPUTS = ("door_closed", "exit_pressed", "case_open", "fire_alarm", "battery_low")


class Controls:
    """What may be asked over the control port: the public methods, by name, with JSON arguments and
    values."""

    def __init__(self, world: World, relay: Relay, stop: Callable[[], None]) -> None:
        self._world, self._relay, self._stop = world, relay, stop
        self._started = time.time()

    def status(self) -> dict[str, Any]:
        world = self._world
        unix, source = world.now()
        return {
            "pid": os.getpid(),
            "panel_pid": self._relay.panel_pid,
            "port": self._relay.port,
            "uptime_s": round(time.time() - self._started, 1),
            "released": world.released,
            "passable": world.passable,
            "light": world.light,
            "clock": unix,
            "clock_source": source,
            "card": world.card_uid().hex() or None,
            **{name: getattr(world, name) for name in _INPUTS},
        }

    def show(self, photo: dict[str, Any] | None, view: dict[str, Any]) -> None:
        image = None
        if photo is not None:
            image = Image.frombytes("L", tuple(photo["size"]), base64.b64decode(photo["grey"]))
        self._world.show(Scene(image, View.of(view)))

    def press(self, keys: str) -> None:
        self._world.press(keys)

    def tap(self, card: str | None, seconds: float | None) -> None:
        held = Card.load(Path(card)) if card else None
        if held and card:
            path = Path(card)
            held.on_change = lambda: held.save(path)
        self._world.tap(held, seconds)

    def set_input(self, name: str, on: bool) -> None:
        if name not in _INPUTS:
            raise ValueError(f"no input {name!r}")
        setattr(self._world, name, bool(on))

    def clock_step(self, seconds: float) -> None:
        self._world.step_clock(seconds)

    def hasten(self, seconds: float) -> None:
        self._world.hasten(seconds)

    def cut_camera(self, cut: bool) -> None:
        self._world.cut_camera(cut)

    def kill(self) -> None:
        self._relay.cut_power()

    def restart(self) -> None:
        if self._relay.panel_pid is None:
            self._relay.restore_power()
        else:
            self._relay.reset()

    def lock_log(self) -> list[dict[str, Any]]:
        return list(self._world.lock_log)

    def buzzer_log(self) -> list[dict[str, Any]]:
        return list(self._world.buzzer_log)

    def light_log(self) -> list[dict[str, Any]]:
        return list(self._world.light_log)

    def wait_lock(self, released: bool, since: float, timeout: float) -> bool:
        def happened() -> bool:
            return any(e["released"] == released and e["time"] >= since for e in self._world.lock_log)

        return self._world.wait(happened, timeout)

    def screen(self) -> str | None:
        data = self._world.display
        return None if data is None else base64.b64encode(data).decode()

    def last_frame(self) -> str | None:
        frame = self._world.last_frame
        return None if frame is None else base64.b64encode(frame.tobytes()).decode()

    def stop(self) -> None:
        self._stop()


class ControlServer:
    """JSON lines on a loopback port; each request carries the token that only the state directory's owner
    reads."""

    def __init__(self, controls: Controls, token: str) -> None:
        self._controls, self._token = controls, token
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as lines, contextlib.suppress(OSError):
            while line := lines.readline(_LINE_MAX):
                sock.sendall(json.dumps(self._answer(line)).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not secrets.compare_digest(str(request["token"]), self._token):
                raise ValueError("wrong token")
            name = request["do"]
            if name.startswith("_") or not hasattr(Controls, name):
                raise ValueError(f"no such request: {name}")
            return {"ok": True, "value": getattr(self._controls, name)(**request["args"])}
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            return {"ok": False, "error": str(error) or type(error).__name__}


def serve(state: Path, heap: str, blocks: int, *, tty: bool, until_eof: bool, fed: bool = False) -> None:
    """Runs until asked to stop, SIGTERM, or with `until_eof` the end of standard input."""
    lock = (state / LOCK_FILE).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"a virtual panel runs in {state} already")
    find_micropython()
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    world = World(state / "rtc.json")
    bus = BusServer(world)
    spec = PanelSpec(vfs=state / "vfs", flash=state / "vault.bin", world=bus.address, heap=heap, blocks=blocks, fed=fed)
    relay = Relay(spec, world, bus, state / CONSOLE_FILE, state / TTY_FILE if tty else None)
    relay.start()
    relay.booted.wait()
    token = secrets.token_hex(16)
    control = ControlServer(Controls(world, relay, over.set), token)
    if until_eof:
        threading.Thread(target=_await_eof, args=(over,), daemon=True).start()
    info = {"pid": os.getpid(), "port": relay.port, "control": control.port, "token": token}
    _write_info(state / INFO_FILE, info)
    try:
        over.wait()
    finally:
        (state / INFO_FILE).unlink(missing_ok=True)
        relay.close()
        relay.join(10)
        bus.close()


def _await_eof(over: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    over.set()


def _write_info(path: Path, info: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(info), encoding="utf-8")
    part.replace(path)
