"""A building for the requirements' tests: one virtual panel, a registry, residents, and a panel nobody can reach."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from host_tools import cli, consent, enrol, notices, panels, residents
from host_tools.errors import HostError
from host_tools.sim.control import Sim
from host_tools.site import Panel, Resident, Site

BOOT_S = 30.0


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class House:
    def __init__(self, folder: Path, sim: Sim, place: str) -> None:
        self.folder = folder
        self.sim = sim
        self.place = place
        self.site = Site.open(place)
        self.paper = folder / "signed.pdf"
        self.paper.write_bytes(b"a scan of the signed notice")
        sim.wait_console("app: ready", BOOT_S)
        self.panel: Panel = panels.provision(self.site, sim.port, "front door")
        self.model_id: bytes = self.status()["model_id"]
        self._flat = 300

    def close(self) -> None:
        self.site.close()

    def status(self) -> dict[str, Any]:
        return self.panel.request("status")

    def faces(self) -> int:
        return int(self.status()["faces"])

    def add(self, name: str, **rights: Any) -> Resident:
        self._flat += 1
        return residents.add(self.site, self.panel, name, str(self._flat), **rights)

    def agree(self, resident: Resident, notice: str = "face-door.en", **how: Any) -> Any:
        return consent.give(self.site, self.panel, resident, notices.load(notice), self.paper, **how)

    def enrol(self, resident: Resident, templates: list[bytes] | None = None, days: int = 365) -> list[bytes]:
        """Consent on paper, then a face that the test made up; its templates."""
        templates = templates or [os.urandom(128) for _ in range(4)]
        agreed = self.agree(resident)
        enrol.put(self.site, self.panel, resident, agreed, self.model_id, templates, days)
        return templates

    def resident_with_face(self, name: str) -> Resident:
        resident = self.add(name)
        self.enrol(resident)
        return resident

    def absent_panel(self, name: str, resident: Resident) -> bytes:
        """A panel on a dead port, on which the resident has the same consent and face."""
        panel_id = os.urandom(8)
        with self.site.registry.transaction() as db:
            db.execute(
                "INSERT INTO panels (panel_id, name, device_pub, link_key, port, state, added) "
                "VALUES (?, ?, ?, ?, 'socket://127.0.0.1:9', 'active', 0)",
                (panel_id, name, os.urandom(32), bytes(32)),
            )
            db.execute("INSERT INTO placements VALUES (?, ?, 'active')", (resident.handle, panel_id))
            db.execute(
                "INSERT INTO consents SELECT ?, handle, ?, notice, notice_version, notice_hash, state, "
                "evidence, asked, decided, withdrawn FROM consents WHERE handle = ?",
                (os.urandom(16), panel_id, resident.handle),
            )
            db.execute(
                "INSERT INTO enrolments (handle, panel_id, consent_id, model_id, templates, expiry, state, enrolled) "
                "SELECT handle, ?, consent_id, model_id, templates, expiry, state, enrolled FROM enrolments "
                "WHERE handle = ?",
                (panel_id, resident.handle),
            )
        return panel_id

    def retire(self, panel_id: bytes) -> None:
        with self.site.registry.transaction() as db:
            db.execute("UPDATE panels SET state = 'retired' WHERE panel_id = ?", (panel_id,))
            db.execute("DELETE FROM placements WHERE panel_id = ?", (panel_id,))
            db.execute("DELETE FROM deadlines WHERE panel_id = ?", (panel_id,))
            db.execute("UPDATE enrolments SET state = 'wiped' WHERE panel_id = ?", (panel_id,))

    def menshen(self, *words: str, stdin: str = "") -> Result:
        out, err = io.StringIO(), io.StringIO()
        self.panel.close()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MENSHEN_SITE", self.place)
            patch.setattr(sys, "argv", ["menshen", *words])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            try:
                cli.main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
        assert "Traceback" not in err.getvalue()
        return Result(code, out.getvalue(), err.getvalue())

    def flash(self) -> bytes:
        return (self.sim.state / "vault.bin").read_bytes()

    def power_off(self) -> None:
        self.panel.close()
        self.sim.kill()

    def power_on(self) -> None:
        self.sim.restart()
        deadline = time.monotonic() + BOOT_S
        while True:
            try:
                self.status()
                return
            except HostError:
                if time.monotonic() > deadline:
                    raise
