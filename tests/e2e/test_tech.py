"""A technician's work on a virtual panel, with the real mpremote: in by a token and a press, and out again."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools import credentials, diagnose, maintenance, panels, residents
from host_tools.errors import (
    HostError,
    LinkFailed,
    MaintenanceRefused,
    Provisioning,
    RefusedByPanel,
    ToolFailed,
    Usage,
)
from host_tools.link.carrier import SerialCarrier
from host_tools.sim.control import Sim
from host_tools.site import Panel, Site

ROOT = Path(__file__).resolve().parents[2]
MPREMOTE = str(Path(sys.executable).with_name("mpremote"))
PIN, FLAT, NAME = "840613", "640137", "Zacharias Quill"
PATIENCE_S = 20.0


class House:
    """A provisioned panel with somebody behind it; `seen` marks the console where a step begins."""

    def __init__(self, folder: Path, sim: Sim) -> None:
        self.folder, self.sim = folder, sim
        self.site = Site.open(folder / "site.db")
        assert sim.wait_console("app: ready", PATIENCE_S), sim.console()
        self.panel: Panel = panels.provision(self.site, sim.port, "Quill house")
        self.zach = residents.add(self.site, self.panel, NAME, FLAT)
        credentials.set_pin(self.site, self.panel, self.zach, PIN)
        credentials.issue_card(self.site, self.panel, self.zach, folder / "zach.json")

    def token(self, minutes: int = 30) -> bytes:
        made = maintenance.token(self.site, self.panel, minutes)
        self.panel.close()
        return made

    @contextlib.contextmanager
    def inside(self, key: str = "#", minutes: int = 30) -> Iterator[maintenance.Session]:
        with maintenance.session(self.sim.port, self.token(minutes), lambda text: self.sim.press(key)) as opened:
            yield opened

    def opens(self) -> bool:
        """By PIN, as on any day."""
        assert self.sim.wait_shut(20)
        since = time.time()
        self.sim.press(f"{FLAT}#{PIN}#")
        return self.sim.wait_lock(True, since=since, timeout=10)

    def closed(self) -> bool:
        """The door works, and what mpremote sends first finds no REPL (test_cli.py tries the program itself)."""
        carrier = SerialCarrier(self.sim.port)
        try:
            carrier.write(b"\r\x03\x03\r\x01print(6*7)\r\x04")
            heard = b"".join(carrier.read() for _ in range(10))
        finally:
            carrier.close()
        maintained = self.panel.request("status")["maintenance"]
        self.panel.close()
        return not maintained and b"42" not in heard and b">" not in heard and self.opens()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("tech")
    with Sim.start(folder / "panel", blocks=64) as sim:
        made = House(folder, sim)
        made.panel.request("set_policy", open_s=1)
        yield made
        made.site.close()


def test_a_fresh_panel_accepts_exactly_one_owner(tmp_path: Path) -> None:
    """Of two hosts that try at once one gets it, whichever; afterwards nobody does."""
    with (
        Sim.start(tmp_path / "panel", blocks=32) as sim,
        Site.open(tmp_path / "one.db") as one,
        Site.open(tmp_path / "two.db") as two,
    ):
        assert sim.wait_console("app: ready", PATIENCE_S)
        with maintenance.session(sim.port, None) as opened:
            assert not opened.asked
            said = opened.mpremote("exec", "print(6 * 7)", capture=True)
        assert said.stdout.strip() == "42", "until then its REPL is open"
        panel = panels.provision(one, sim.port, "door")
        panel.close()
        for name in ("door", "other"):
            with pytest.raises(Provisioning, match="another site"):
                panels.provision(two, sim.port, name)
        with pytest.raises(Provisioning, match="already"):
            panels.provision(one, sim.port, "again")
        sim.restart()
        assert sim.wait_console("app: ready", PATIENCE_S, after=len(sim.console()) - 1)
        with pytest.raises(Provisioning):
            panels.provision(two, sim.port, "door")
        assert panel.request("status")["panel_id"] == panel.panel_id


def test_mpremote_works_inside_and_nothing_is_open_behind(house: House) -> None:
    sent = house.folder / "sent.txt"
    sent.write_text("from the computer")
    (house.folder / "greeting.py").write_text("WORDS = 'hello'\n")
    with house.inside() as opened:
        assert opened.asked and 1700 < opened.seconds <= 1802
        assert opened.mpremote("exec", "import os; print(os.getcwd())", capture=True).stdout == "/\n"
        opened.mpremote("cp", str(sent), ":/sent.txt", capture=True)
        said = opened.mpremote(
            "mount", str(house.folder), "exec", "import greeting; print(greeting.WORDS)", capture=True
        )
        assert "hello" in said.stdout
    assert (house.sim.state / "vfs/sent.txt").read_text() == sent.read_text()
    assert house.closed()


def test_who_presses_star_or_nobody_lets_nobody_in(house: House) -> None:
    with pytest.raises(MaintenanceRefused), house.inside(key="*"):
        raise AssertionError("not reached")
    assert house.opens()


def test_a_token_lets_in_once(house: House) -> None:
    secret = house.token()
    with maintenance.session(house.sim.port, secret, lambda text: house.sim.press("#")):
        pass
    with pytest.raises(RefusedByPanel), maintenance.session(house.sim.port, secret):
        raise AssertionError("not reached")
    with pytest.raises(Usage, match="token"), maintenance.session(house.sim.port, None):
        raise AssertionError("not reached")


def test_a_failing_command_and_a_dead_mpremote_close_it_too(house: House) -> None:
    with pytest.raises(ToolFailed), house.inside() as opened:
        running = subprocess.Popen(
            [MPREMOTE, "connect", opened.port, "resume", "exec", "print('busy')\nwhile True: pass"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert running.stdout and "busy" in running.stdout.readline()
        running.kill()
        running.wait()
        opened.mpremote("exec", "1 // 0", capture=True)
    assert house.closed()


def test_a_command_that_is_ended_closes_it(house: House) -> None:
    command = [sys.executable, "-m", "host_tools.cli", "tech", "exec", "print('busy')\nwhile True: pass"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MENSHEN_SITE": str(house.folder / "site.db")}
    house.panel.close()
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert running.stderr and running.stdout
    assert "Press #" in running.stderr.readline()
    house.sim.press("#")
    assert "busy" in running.stdout.readline()
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert house.closed()


def test_the_repl_in_a_terminal(house: House) -> None:
    """`menshen tech repl`, typed in by hand and left by Ctrl-]."""
    house.panel.close()
    command = [sys.executable, "-m", "host_tools.cli", "tech", "repl"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MENSHEN_SITE": str(house.folder / "site.db")}
    master, slave = os.openpty()
    running = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(slave)
    try:
        assert running.stderr and "Press #" in running.stderr.readline()
        house.sim.press("#")
        heard = read_until(master, b"Ctrl-]")
        os.write(master, b"\rprint(6 * 7)\r")
        heard = read_until(master, b"42\n")
        os.write(master, b"\x1d")
        said = running.stderr.read()
        assert running.wait(60) == 0 and "the door is back" in said, (heard, said)
    finally:
        running.kill()
        os.close(master)
    assert house.closed()


def read_until(master: int, text: bytes) -> bytes:
    heard = b""
    deadline = time.monotonic() + PATIENCE_S
    while text not in heard:
        assert time.monotonic() < deadline, heard
        if select.select([master], [], [], 0.2)[0]:
            with contextlib.suppress(OSError):  # the other end has gone
                heard += os.read(master, 4096)
    return heard


def test_a_lost_cable_is_told_and_the_panel_ends_it_by_itself(house: House) -> None:
    """The token's end comes while the REPL is in use: the board restarts into service."""
    secret = house.token(1)
    seen = len(house.sim.console())
    cut: list[bool] = []

    def carrier(port: str):
        if cut:
            raise LinkFailed("the cable is out")
        return SerialCarrier(port)

    with (
        pytest.raises(LinkFailed, match="ends maintenance by itself"),
        pytest.MonkeyPatch.context() as patch,
        maintenance.session(house.sim.port, secret, lambda text: house.sim.press("#"), carrier) as opened,
    ):
        opened.mpremote("exec", "print(1)", capture=True)
        patch.setattr(maintenance, "_reset", lambda opened: (_ for _ in ()).throw(LinkFailed("gone")))
        cut.append(True)
    assert "stopped for the REPL" in house.sim.console()[seen:]
    # The board's own timer, brought forward: a minute is too long for a test.
    house.sim.hasten(120)
    assert house.sim.wait_console("app: ready", PATIENCE_S, after=seen), house.sim.console()[seen:]
    assert house.closed()


def test_the_report_names_nobody(house: House) -> None:
    sim = house.sim
    assert house.opens()
    sim.press(f"{FLAT}#111111#")
    sim.tap(house.folder / "zach.json", 0.5)
    assert sim.wait_lock(True, since=time.time() - 1, timeout=10)
    out = house.folder / "report.json"
    diagnose.write(diagnose.collect(house.site, house.panel), out)
    text = out.read_text()
    report = json.loads(text)
    card = next(credential for credential in house.site.credentials(house.zach) if credential.uid)
    identities = [
        NAME, *NAME.split(), FLAT, PIN, house.zach.handle.hex(), card.uid.hex(), "Quill house",
        house.panel.panel_id.hex(), house.panel.record.device_pub.hex(), house.panel.record.link_key.hex(),
    ]  # fmt: skip
    assert [who for who in identities if who.lower() in text.lower()] == []
    assert report["panel"]["board"] == "virtual" and report["panel"]["memory"]["heap_used"] > 100_000
    assert any("app: ready" in line for line in report["console"])
    assert report["log"]["counts"]["opened"] >= 1 and report["parity"]
    assert {check["name"] for check in report["selftest"]} >= {"vault", "camera", "memory"}
    assert any(attempt["kind"] == "pin" for attempt in report["attempts"])


def test_a_report_of_a_panel_that_is_not_there_is_an_error(house: House, tmp_path: Path) -> None:
    with Site.open(tmp_path / "empty.db") as site, pytest.raises(HostError):
        diagnose.collect(site, site.panel())
    with pytest.raises(Usage, match="cannot be written"):
        diagnose.write({}, tmp_path / "no/such/folder/x.json")
