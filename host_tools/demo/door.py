"""One try at the virtual door, from the first action to what the lock did, with pictures of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from host_tools.demo.report import Attempt
from host_tools.errors import LinkFailed
from host_tools.sim.control import Sim
from host_tools.site import Panel

_PATIENCE_S = 15.0
_POLL_S = 0.05
_DOOR_POLL_S = 0.15  # the panel looks at the contact every 50 ms
_STAGES = ("detect", "align", "embed", "match")


class Door:
    """`attempt` acts as a person before the panel and reports what the panel and its lock made of it."""

    def __init__(self, sim: Sim, panel: Panel) -> None:
        self._sim = sim
        self._panel = panel

    def attempt(self, caption: str, act: Callable[[], None], way: str) -> Attempt:
        """`act` presses keys, shows a face or taps a card; `way` is the kind of credential that must decide."""
        since = time.time()
        seq = self._next_event()
        act()
        event = self._decision(seq, way)
        screen, frame = self._sim.screen(), self._sim.last_frame()
        released = any(entry["released"] and entry["time"] >= since for entry in self._sim.lock_log())
        if released:
            self._walk_through()
        self._sim.tap(None)
        self._sim.show(None)
        if event["opened"] != released:
            raise LinkFailed(f"The panel says opened={event['opened']}, its lock says released={released}.")
        times = {stage: event["times"][stage] for stage in _STAGES if stage in event.get("times", {})}
        if "ms" in event:
            times["altogether"] = event["ms"]
        return Attempt(
            caption=caption,
            opened=released,
            screen=screen,
            frame=frame if way == "face" else None,
            box=tuple(event["box"]) if event.get("box") else None,
            points=[(x / 16, y / 16) for x, y in event.get("points", ())],
            times_ms=times,
        )

    def watch(self, caption: str, act: Callable[[], None], seconds: float = 2.0) -> Attempt:
        """`act`, where the panel is to do nothing at all; somebody then presses * to go away."""
        since = time.time()
        act()
        time.sleep(seconds)
        released = any(entry["released"] and entry["time"] >= since for entry in self._sim.lock_log())
        attempt = Attempt(caption, released, self._sim.screen())
        self._sim.show(None)
        self._sim.press("*")
        return attempt

    def _next_event(self) -> int:
        seq = 0
        while True:
            page = self._panel.request("events", since=seq, limit=12)
            seq = page["next"]
            if not page["events"]:
                return int(seq)

    def _decision(self, seq: int, way: str) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            page = self._panel.request("events", since=seq, limit=12)
            for event in page["events"]:
                if event["kind"] == way:
                    return dict(event)
            seq = page["next"]
            time.sleep(_POLL_S)
        raise LinkFailed(f"The panel came to no decision about the {way} within {_PATIENCE_S:.0f} s.")

    def _walk_through(self) -> None:
        """Opens and closes the door, upon which the panel locks it again."""
        since = time.time()
        self._sim.set_door(False)
        time.sleep(_DOOR_POLL_S)
        self._sim.set_door(True)
        self._sim.wait_lock(False, since=since)
