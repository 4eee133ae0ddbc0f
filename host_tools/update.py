"""Updating a panel over the link: what changes and for whom is said first, then it is staged, switched and tried.

The panel checks everything itself (firmware/services/update.py); the host sends, watches, and gives its verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from firmware.link.bundle import CHUNK, number
from host_tools import selftest
from host_tools.errors import LinkFailed, NoPanel, RefusedByPanel, UpdateFailed
from host_tools.image.bundle import Bundle, verify
from host_tools.site import Panel, Site

_FINISH_S = 30.0
_RESTART_S = 90.0
_POLL_S = 0.3

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Plan:
    """What an update would do. `enrol`: flat/name of those whose face must be enrolled again, `unknown`: how many more
    the panel holds whom this registry does not know."""

    panel: str
    board: str
    running: str
    version: str
    to_send: int
    models: list[str] = field(default_factory=list)
    enrol: list[str] = field(default_factory=list)
    unknown: int = 0

    def public(self) -> dict[str, Any]:
        return {
            "panel": self.panel,
            "board": self.board,
            "running": self.running,
            "version": self.version,
            "bytes": self.to_send,
            "models": self.models,
            "enrol": self.enrol,
            "unknown": self.unknown,
        }

    def sentence(self) -> str:
        text = f"{self.panel} goes from {self.running} to {self.version}"
        text += f"; its models change: {', '.join(self.models)}. " if self.models else ". "
        if self.enrol or self.unknown:
            who = ", ".join(self.enrol + ([f"{self.unknown} unknown to this site"] if self.unknown else []))
            text += f"Faces must be enrolled again, since the new embedder cannot compare with theirs: {who}. "
            text += "Their cards and PINs go on. "
        return text + "The door works meanwhile, but for some seconds of the restart."


@dataclass(frozen=True)
class Outcome:
    version: str
    slot: str
    checks: list[selftest.Check]


def plan(site: Site, panel: Panel, bundle: Bundle) -> Plan:
    """Refused where the panel would refuse: another board, another key, an older version."""
    status, state = panel.request("status"), panel.request("update_state")
    if status["board"] != bundle.manifest.board:
        raise UpdateFailed(
            f"The bundle is for {bundle.manifest.board}, {panel.name} is a {status['board']}. Take its own bundle."
        )
    if "key" not in state:
        raise UpdateFailed(f"{panel.name} trusts no update key yet. Pin one: menshen panel update-key FILE.pub.")
    verify(bundle, state["key"])
    _not_older(bundle, state)
    models, enrol, unknown = [], [], 0
    wanted = bundle.manifest.models.get("embedder")
    if wanted and "model_id" in status and wanted != status["model_id"].hex():
        models.append("embedder")
        enrol = site.faces_of_other_models(panel, bytes.fromhex(wanted))
        unknown = max(0, int(status["faces"]) - len(enrol))
    return Plan(
        panel.name,
        status["board"],
        state["version"],
        bundle.manifest.version,
        bundle.manifest.bytes,
        models,
        enrol,
        unknown,
    )


def apply(panel: Panel, bundle: Bundle, progress: Progress = lambda what, done, total: None) -> Outcome:
    """Stages, switches, waits for the new firmware and lets it examine itself; back to the old one when it is worse.

    Broken off anywhere it can be run again: what was staged stays, and the door works on.
    """
    failed_before = _failed(_checks(panel))
    stage(panel, bundle, progress)
    progress("restart", 0, 0)
    old, state = switch(panel, bundle.manifest.version)
    progress("self-test", 0, 0)
    checks = _checks(panel)
    worse = sorted(_failed(checks) - failed_before)
    if state["trial"]:
        panel.request("update_verdict", version=bundle.manifest.version, well=not worse)
    if worse:
        panel.close()
        raise UpdateFailed(f"The new firmware failed its self-test ({', '.join(worse)}): {_back(panel, old)}")
    return Outcome(bundle.manifest.version, str(state["slot"]), checks)


def stage(panel: Panel, bundle: Bundle, progress: Progress = lambda what, done, total: None) -> None:
    """Sends what the panel has not, and lets it check every file; goes on where it was broken off."""
    for _ in range(2):  # a file that does not read back as it was sent is sent once more
        begun = panel.request("update_begin", manifest=bundle.text, sig=bundle.signature)
        missing = {item["name"]: item["have"] for item in begun["files"] if not item["here"]}
        total = sum(len(bundle.files[name]) for name in missing)
        sent = sum(missing.values())
        for name, have in missing.items():
            content = bundle.files[name]
            while have < len(content):
                progress("sending", sent, total)
                reply = panel.request("update_data", name=name, offset=have, data=content[have : have + CHUNK])
                sent += reply["have"] - have
                have = reply["have"]
        try:
            while left := panel.request("update_finish", timeout_s=_FINISH_S)["left"]:
                progress("checking", bundle.manifest.bytes - left, bundle.manifest.bytes)
            return
        except RefusedByPanel as error:
            if "send it again" not in str(error):
                raise
    raise UpdateFailed(f"The flash of {panel.name} does not keep what is written to it. Nothing was switched.")


def switch(panel: Panel, version: str) -> tuple[str, dict[str, Any]]:
    """Restarts into what was staged: (the version before, the panel's state). UpdateFailed when that does not come up
    and the old firmware is back."""
    old = str(panel.request("update_state")["version"])
    panel.request("update_switch", version=version)
    return old, _await_trial(panel, old, version)


def pin(site: Site, panel: Panel, key: bytes) -> None:
    panel.request("update_key", key=key)
    site.note("update_key", panel=panel.panel_id)


def state(panel: Panel) -> dict[str, Any]:
    return panel.request("update_state")


def _not_older(bundle: Bundle, known: dict[str, Any]) -> None:
    """The panel's own rule, said before anything is sent."""
    floor = max(number(known["version"]), number(known["floor"] or "0"))
    if number(bundle.manifest.version) < floor and not bundle.manifest.downgrade:
        raise UpdateFailed(
            f"The bundle's {bundle.manifest.version} is older than what runs or ran there ({known['version']}). "
            "Only a bundle that was signed as a downgrade may replace it."
        )
    if number(known["version"]) < bundle.manifest.needs:
        raise UpdateFailed(f"The bundle needs a newer firmware than {known['version']} first. Install that before it.")


def _checks(panel: Panel) -> list[selftest.Check]:
    return list(selftest.run(panel, selftest.names(panel)))


def _failed(checks: list[selftest.Check]) -> set[str]:
    return {check.name for check in checks if check.verdict == selftest.FAILED}


def _await_trial(panel: Panel, old: str, version: str) -> dict[str, Any]:
    """The panel's state once the new firmware answers. UpdateFailed when it does not and the old one is back."""
    deadline = time.monotonic() + _RESTART_S
    while True:
        panel.close()
        try:
            found = state(panel)
        except (NoPanel, LinkFailed) as error:
            if time.monotonic() > deadline:
                raise UpdateFailed(
                    f"{panel.name} does not answer after its restart. It goes back to {old} by itself after three "
                    "starts; if it stays silent, switch it off and on."
                ) from error
            time.sleep(_POLL_S)
            continue
        failed = found.get("failed")
        if failed and failed.get("version") == version:
            raise UpdateFailed(f"The new firmware was given up, {failed.get('why')}: {_back(panel, old)}")
        if found["version"] == version and found["slot"] and (found["trial"] or found["floor"] == version):
            return found
        time.sleep(_POLL_S)


def _back(panel: Panel, old: str) -> str:
    return f"{panel.name} goes back to {old}. Send what `menshen panel diagnose` writes to the bundle's maker."
