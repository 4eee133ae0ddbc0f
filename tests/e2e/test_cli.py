"""`menshen` as a technician and a manager use it: one virtual panel left running, and what happens on bad input."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from host_tools.sim.control import Sim

MENSHEN = [sys.executable, "-m", "host_tools.cli"]
SMALL_FLASH_BLOCKS = 23


class House:
    """A registry, a virtual panel, pictures and cards in one folder; `run` calls `menshen` there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "MENSHEN_SITE": str(folder / "site.db"),
            "MENSHEN_SIM": str(folder / "panel"),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        }

    def run(self, *words: object, code: int = 0, stdin: str = "") -> str:
        """Standard output; the last line of what went wrong must be a sentence, never a traceback."""
        run = subprocess.run(
            [*MENSHEN, *map(str, words)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            env=self.environment,
        )
        assert run.returncode == code, f"{words}: {run.returncode}, not {code}\n{run.stdout}\n{run.stderr}"
        assert "Traceback" not in run.stdout + run.stderr
        if code:
            assert run.stderr.strip().endswith((".", "?")), run.stderr
        return run.stdout

    def begin(self, *words: object) -> subprocess.Popen[str]:
        """A command that waits for somebody."""
        command = [*MENSHEN, *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, text=True, cwd=self.folder, env=self.environment, **pipes)

    def json(self, *words: object, code: int = 0) -> dict:
        return json.loads(self.run(*words, "--json", code=code))


class NonsensePort:
    """A serial-like port where something that is no panel talks: noise, and frames with a wrong checksum."""

    def __enter__(self) -> str:
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._talk, daemon=True).start()
        return f"socket://127.0.0.1:{self._server.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _talk(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                while client.recv(4096):
                    client.sendall(bytes(range(256)) + b"\r\n~AAECAwQFBgcICQoLDA0ODw==\r\n~%%%\r\n")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("house"))
    folder = house.folder
    cbook = pytest.importorskip("matplotlib.cbook", reason="the portrait comes with matplotlib")
    portrait = Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    portrait.save(folder / "grace.jpg", quality=95)
    (folder / "cut.jpg").write_bytes((folder / "grace.jpg").read_bytes()[:4000])
    (folder / "words.jpg").write_text("no picture at all")
    Image.fromarray(np.full((480, 640), 128, np.uint8)).save(folder / "wall.png")
    twice = Image.new("RGB", (portrait.width * 2, portrait.height))
    twice.paste(portrait, (0, 0))
    twice.paste(portrait, (portrait.width, 0))
    twice.save(folder / "two.jpg", quality=95)
    port = house.json("sim", "start", "--blocks", SMALL_FLASH_BLOCKS)["port"]
    house.port = port
    yield house
    house.run("sim", "stop")


def faces(house: House) -> int:
    return house.json("panel", "status")["faces"]


def test_a_day_at_the_door(house):
    house.run("panel", "status", code=3)
    house.run("panel", "provision", "--port", house.port)
    house.run("panel", "provision", "--port", house.port, "--site", "other.db", code=15)
    house.run("resident", "add", "Grace", "--flat", "301")
    house.run("enrol", "Grace", "--photo", "grace.jpg", code=5)
    (house.folder / "signed.pdf").write_bytes(b"a scan of the signed paper")
    house.run("consent", "give", "Grace", "--paper", "signed.pdf")
    for picture, code in (("wall.png", 6), ("two.jpg", 7), ("cut.jpg", 8), ("words.jpg", 8), ("none.jpg", 8)):
        house.run("enrol", "Grace", "--photo", picture, code=code)
    assert faces(house) == 0
    house.run("enrol", "Grace", "--photo", "grace.jpg")
    assert faces(house) == 1
    house.run("credential", "pin", "Grace", "--choose", stdin="840613\n")
    house.run("credential", "pin", "Grace", "--choose", stdin="123456\n", code=2)
    house.run("credential", "card", "Grace", "grace.card.json")
    house.run("sim", "keys", "301#840613#", "--opens", "10")
    house.run("sim", "keys", "301#840614#", "--opens", "2", code=13)
    house.run("sim", "card", "grace.card.json", "--opens", "10")


def test_wipe_receipt_and_what_is_left(house):
    house.run("wipe", "Grace", code=2)  # not on a terminal and no --yes
    assert faces(house) == 1
    house.run("wipe", "Grace", "--yes")
    assert faces(house) == 0
    key = house.json("panel", "list")[0]["device_pub"]
    receipt = house.folder / "grace.receipt"
    house.run("receipt", "save", 1, receipt)
    house.run("receipt", "verify", receipt, "--key", key)
    changed = bytearray(receipt.read_bytes())
    changed[40] ^= 1
    (house.folder / "changed").write_bytes(changed)
    house.run("receipt", "verify", house.folder / "changed", "--key", key, code=12)
    house.run("receipt", "verify", receipt, "--key", "00" * 32, code=12)
    (house.folder / "cut").write_bytes(receipt.read_bytes()[:100])
    house.run("receipt", "verify", house.folder / "cut", "--key", key, code=12)
    house.run("log")


def test_no_panel_and_a_port_that_talks_nonsense(house):
    house.run("panel", "provision", "--port", "socket://127.0.0.1:9", "--name", "nobody", code=3)
    house.run("panel", "provision", "--port", house.folder / "no-such-device", "--name", "nobody", code=3)
    with NonsensePort() as port:
        house.run("panel", "provision", "--port", port, "--name", "nobody", code=9)
    assert [panel["name"] for panel in house.json("panel", "list")] == ["door"]


def test_a_full_vault_refuses_and_keeps_what_it_had(house):
    before = house.json("panel", "status")["residents"]
    code, added = 0, 0
    for number in range(401, 401 + SMALL_FLASH_BLOCKS):
        try:
            house.run("resident", "add", f"Resident {number}", "--flat", number)
            added += 1
        except AssertionError:
            house.run("resident", "add", f"Resident {number}", "--flat", number, code=11)
            code = 11
            break
    assert code == 11, "the vault never filled"
    assert house.json("panel", "status")["residents"] == before + added
    house.run("sim", "card", "grace.card.json", "--opens", "10")


def test_a_registry_from_the_future_is_left_alone(house):
    future = house.folder / "future.db"
    house.run("resident", "list", "--site", future)
    with sqlite3.connect(future) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute(f"PRAGMA user_version = {version + 1}")
    db.close()
    before = future.read_bytes()
    house.run("resident", "list", "--site", future, code=10)
    assert future.read_bytes() == before
    (house.folder / "broken.db").write_bytes(b"not a database at all" * 100)
    house.run("resident", "list", "--site", house.folder / "broken.db", code=10)


def test_mpremote_is_shut_out_in_service_and_let_in_for_maintenance(house):
    mpremote = [str(Path(sys.executable).with_name("mpremote")), "connect", house.port]
    closed = subprocess.run([*mpremote, "exec", "print(6 * 7)"], capture_output=True, text=True, timeout=60)
    assert closed.returncode and "42" not in closed.stdout
    with_panel = Sim.attach(house.folder / "panel")
    asking = house.begin("panel", "maintenance", "on")
    assert "Press #" in asking.stderr.readline()
    with_panel.press("#")
    assert "Maintenance is on" in asking.communicate(timeout=60)[0]
    opened = subprocess.run([*mpremote, "resume", "exec", "print(6 * 7)"], capture_output=True, text=True, timeout=60)
    assert opened.returncode == 0 and opened.stdout.strip() == "42", opened.stderr
    with_panel.restart()
    assert with_panel.wait_console("app: ready", 20)
    with_panel.close()
    house.run("sim", "card", "grace.card.json", "--opens", "10")
