"""One resident's face is wiped from every panel of a fleet: some are real virtual panels, some are away, repeat
themselves, or lose their power in the middle of it.

All is run as in service: Mosquitto over TLS, two processes of `menshen fleet run`, and the command `menshen wipe`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_tools import consent, enrol, network, notices, panels, receipts, residents
from host_tools.errors import EXIT_CODES, Queued
from host_tools.link.mqtt import Address
from host_tools.sim.control import Sim
from host_tools.site import Resident, Site
from tests.fleet import street
from tests.fleet.broker import Mosquitto
from tests.fleet.panels import MODEL_ID

ROOT = Path(__file__).resolve().parents[2]
BOOT_S = 120.0
DONE_S = 240.0
LATE, TWICE, CUT = 10, 5, 1  # per cent

_Process = subprocess.Popen[str]


@dataclass
class Outcome:
    """Times in seconds from the command's start until the registry had a panel's receipt."""

    panels: int = 0
    receipts: int = 0
    missing: int = 0
    duplicates_applied: int = 0
    seconds: list[float] = field(default_factory=list)
    late_seconds: list[float] = field(default_factory=list)
    restarts: int = 0
    memory_mb: list[tuple[float, float]] = field(default_factory=list)  # of each service: early, at the end
    command: int = 0
    faults: list[str] = field(default_factory=list)

    def public(self) -> dict[str, Any]:
        return {
            "panels": self.panels,
            "receipts": self.receipts,
            "missing": self.missing,
            "duplicates_applied": self.duplicates_applied,
            "seconds_p50": _percentile(self.seconds, 50),
            "seconds_p95": _percentile(self.seconds, 95),
        }


def _percentile(values: list[float], share: int) -> float:
    ordered = sorted(values) or [0.0]
    return round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 1)


class Fleet:
    """`talk` hears what is going on. `place`: the registry, a file or a URL."""

    def __init__(
        self, folder: Path, count: int, real: int, place: str = "", processes: int = 2, talk: Any = print
    ) -> None:
        self._folder, self._talk = folder, talk
        self._place = place or str(folder / "site.db")
        self._real, self._processes = real, processes
        self._stack = contextlib.ExitStack()
        os.environ["MENSHEN_BROKER_LOGIN"] = str(folder / "login.json")
        self.site = self._stack.enter_context(Site.open(self._place))
        self.broker = Mosquitto(folder / "broker")
        self.houses = [street.House() for _ in range(count - real)]
        self.sims: list[Sim] = []
        self.outcome = Outcome(panels=count)
        self._streets: list[_Process] = []
        self._arrived: dict[bytes, float] = {}
        self._early_mb: list[float] = []

    def __enter__(self) -> Fleet:
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # Building it

    def _build(self) -> None:
        self._talk(f"starting {self._real} virtual panels")
        for number in range(self._real):
            self.sims.append(self._stack.enter_context(Sim.start(self._folder / f"panel-{number}", blocks=64)))
        self.resident = self._enrol_really() if self._real else self._new_resident()
        self._settle_houses()
        made = self.broker.configure(self.site)
        self.broker.start()
        self._stack.callback(self.broker.stop)
        self.broker.login.login.store()
        for number in range(self._real):
            panel = self.site.panel(f"real-{number}")
            network.change(self.site, panel, **network.BrokerLogin.read(made.logins[panel.name]).for_panel())
            network.wait_connected(panel)
            panels.move(self.site, panel.name, self.broker.url).close()
        by_id = {record.panel_id: made.logins[record.name] for record in self.site.panel_records()}
        for house in self.houses:
            house.login = by_id[house.vault.panel_id]

    def _enrol_really(self) -> Resident:
        paper = self._folder / "signed.pdf"
        paper.write_bytes(b"a scan")
        for number, sim in enumerate(self.sims):
            assert sim.wait_console("app: ready", BOOT_S)
            panel = panels.provision(self.site, sim.port, f"real-{number}")
            resident = residents.add(self.site, panel, "Grace", "301")
            agreed = consent.give(self.site, panel, resident, notices.load(), paper)
            model_id = panel.request("status")["model_id"]
            enrol.put(self.site, panel, resident, agreed, model_id, [os.urandom(128) for _ in range(4)])
        return resident

    def _new_resident(self) -> Resident:
        with self.site.registry.transaction() as db:
            db.execute(
                "INSERT INTO residents (handle, name, flat, doors, schedule, valid_from, valid_until, state, added) "
                "VALUES (?, 'Grace', '301', 1, '[]', 0, 0, 'active', ?)",
                (os.urandom(8), self.site.now()),
            )
        return self.site.resident("Grace")

    def _settle_houses(self) -> None:
        """The protocol-level panels are known to the site, with the same face; every tenth is away, and so on."""
        handle, now = self.resident.handle, self.site.now()
        site_id = self.site.site_id
        address = Address("mqtts", "127.0.0.1", self.broker.ports[1])
        every = list(enumerate(self.houses))
        for number, house in every:
            house.vault.faces.add(handle)
            house.late = number % 100 < LATE
            house.twice = LATE <= number % 100 < LATE + TWICE
            if LATE + TWICE <= number % 100 < LATE + TWICE + CUT:
                house.cut_at = ("before", "after")[number // 100 % 2]
        with self.site.registry.transaction() as db:
            for number, house in every:
                vault, consent_id = house.vault, secrets.token_bytes(16)
                db.execute(
                    "INSERT INTO panels (panel_id, name, device_pub, link_key, port, state, added) "
                    "VALUES (?, ?, ?, ?, ?, 'active', ?)",
                    (vault.panel_id, f"door-{number:04}", vault.device_pub, vault.link_key,
                     address.of_panel(site_id, vault.panel_id), now),
                )  # fmt: skip
                db.execute("INSERT INTO placements VALUES (?, ?, 'active')", (handle, vault.panel_id))
                db.execute(
                    "INSERT INTO consents (consent_id, handle, panel_id, notice, notice_version, notice_hash, state, "
                    "evidence, asked, decided) VALUES (?, ?, ?, 'face-door.en', 1, ?, 'given', '{}', ?, ?)",
                    (consent_id, handle, vault.panel_id, bytes(32), now, now),
                )
                db.execute(
                    "INSERT INTO enrolments (handle, panel_id, consent_id, model_id, templates, expiry, state, "
                    "enrolled) VALUES (?, ?, ?, ?, 4, 0, 'stored', ?)",
                    (handle, vault.panel_id, consent_id, MODEL_ID, now),
                )

    # Running it

    def run(self) -> Outcome:
        late_sim = self.sims[-1] if self.sims else None
        late = {house.vault.panel_id for house in self.houses if house.late}
        self._start_streets()
        self._wait_online(self.outcome.panels)
        if late_sim:
            late_sim.kill()
            late.add(self.site.panel(f"real-{len(self.sims) - 1}").panel_id)
        self._order_streets()
        self._wait_online(self.outcome.panels - len(late))
        with self._services() as services:
            started = time.time()
            self._talk(f"wiping; {len(late)} panels are away")
            command = self._menshen("wipe", "Grace", "--everywhere", "--yes", "--json")
            self._wait_receipts(started, self.outcome.panels - len(late), services)
            self.outcome.seconds = list(self._arrived.values())
            self.outcome.command = command.wait(DONE_S)
            self._talk(f"online panels done after {max(self.outcome.seconds, default=0):.1f} s; the others come back")
            back = time.time()
            self._order_streets()
            if late_sim:
                late_sim.restart()
            self._wait_receipts(started, self.outcome.panels, services)
            arrived = self._arrived
            self.outcome.late_seconds = [arrived[panel] - (back - started) for panel in arrived if panel in late]
            self._wait_acknowledged()
            self.outcome.memory_mb = [
                (early, _memory_mb(service.pid)) for early, service in zip(self._early_mb, services, strict=True)
            ]
        self._judge()
        return self.outcome

    def _start_streets(self) -> None:
        for number in range(self._processes):
            path = self._folder / f"street-{number}.json"
            street.write(path, self.site.site_id, self.houses[number :: self._processes])
            log = self._stack.enter_context((self._folder / f"street-{number}.log").open("a"))
            command = [sys.executable, "-m", "tests.fleet.street", str(path)]
            process = self._start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
            self._streets.append(process)

    def _order_streets(self) -> None:
        """Panels that are late lose their power, or have it back."""
        for process in self._streets:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()

    def _wait_online(self, count: int) -> None:
        broker = self.broker.connect()
        try:
            broker.watch(f"menshen/{self.site.site_id.hex()}/+")
            deadline = time.monotonic() + BOOT_S
            while (online := sum(broker.states.values())) != count:
                assert time.monotonic() < deadline, f"{online} panels are online, not {count}"
                time.sleep(0.1)
        finally:
            broker.close()

    @contextlib.contextmanager
    def _services(self) -> Iterator[list[_Process]]:
        services = [self._menshen("fleet", "run", log=f"service-{n}") for n in range(2)]
        try:
            yield services
        finally:
            for service in services:
                service.send_signal(signal.SIGTERM)
            for service in services:
                if service.wait(DONE_S) != 0:
                    self.outcome.faults.append(f"a service ended with {service.returncode}")

    def _wait_receipts(self, started: float, count: int, services: list[_Process]) -> None:
        """Until the registry has so many panels' receipts; notes when each came."""
        deadline = time.monotonic() + DONE_S
        while len(self._arrived) < count and time.monotonic() < deadline:
            now = time.time() - started
            for row in self.site.registry.rows("SELECT panel_id FROM receipts WHERE handle = ?", self.resident.handle):
                self._arrived.setdefault(bytes(row["panel_id"]), now)
            if len(self._arrived) > count // 4 and not self._early_mb:
                self._early_mb = [_memory_mb(service.pid) for service in services]
            time.sleep(0.1)

    def _wait_acknowledged(self) -> None:
        """A service that has kept a receipt tells the panel so, which is its last word."""
        deadline = time.monotonic() + DONE_S
        query = "SELECT 1 FROM panels WHERE receipts_next = 0 AND state = 'active'"
        while self.site.registry.row(query) and time.monotonic() < deadline:
            time.sleep(0.1)

    def _judge(self) -> None:
        outcome = self.outcome
        kept = [kept for kept in self.site.receipts() if kept.handle == self.resident.handle]
        outcome.receipts = len(kept)
        outcome.missing = outcome.panels - len({receipt.panel_id for receipt in kept})
        for receipt in kept:
            receipts.verify(receipt.data, self.site.panel_record(receipt.panel_id).device_pub)
        told = {"duplicates_applied": 0, "restarts": 0, "receipts": 0, "waiting": 0, "faces": 0}
        for process in self._streets:
            out, _ = process.communicate(timeout=DONE_S)
            for name, value in json.loads(out).items():
                told[name] += value
        outcome.duplicates_applied = (
            told["duplicates_applied"] + outcome.receipts - len({receipt.panel_id for receipt in kept})
        )
        outcome.restarts = told["restarts"]
        if told["receipts"] != len(self.houses) or told["faces"]:
            outcome.faults.append(f"the panels made {told['receipts']} receipts, {told['faces']} faces are left")
        if told["waiting"]:
            outcome.faults.append(f"{told['waiting']} receipts were never acknowledged")
        if self.site.registry.row("SELECT 1 FROM deadlines WHERE state = 'pending'"):
            outcome.faults.append("a deletion is still pending")
        if outcome.command not in (0, Queued.exit_code):
            outcome.faults.append(f"menshen wipe ended with {outcome.command} ({EXIT_CODES.get(outcome.command)})")

    def _menshen(self, *words: str, log: str = "menshen") -> _Process:
        out = self._stack.enter_context((self._folder / f"{log}.log").open("a"))
        return self._start(
            [sys.executable, "-m", "host_tools.cli", *words, "--site", self._place], stdout=out, stderr=out
        )

    def _start(self, command: list[str], **streams: Any) -> _Process:
        env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(command, text=True, cwd=ROOT, env=env, **streams)
        self._stack.callback(process.kill)
        return process


def _memory_mb(pid: int) -> float:
    """Resident; 0 where the system does not tell."""
    with contextlib.suppress(OSError, IndexError):
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        return int(text.split("VmRSS:")[1].split()[0]) / 1024
    return 0.0
