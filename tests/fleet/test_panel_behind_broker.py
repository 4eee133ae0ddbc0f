"""A virtual panel behind Mosquitto: it catches up before it looks at a face, and whatever the broker does, believes it
nothing."""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from PIL import Image

from firmware.link.messages import encode_frame, plain
from firmware.link.mqtt import packet, publish, text
from host_tools import consent, credentials, enrol, ledger, network, notices, panels, receipts, residents, wipe
from host_tools.demo.people import at_the_door, cast
from host_tools.errors import HostError, LinkFailed, NoPanel
from host_tools.fleet import certificates
from host_tools.link.mqtt import Broker, Login
from host_tools.sim.control import Sim
from host_tools.site import Panel, Resident, Site, deadlines
from host_tools.vision.pictures import load_grey
from host_tools.vision.pipeline import FacePipeline
from tests.fleet.broker import Mosquitto
from tests.fleet.line import Line, Spoil, honest
from tests.host_tools.test_cli_commands import run

PATIENCE_S = 40.0
LOOK_S = 2.5  # several times as long as a face takes to open
PUBLISH = 3


def until(happened: Callable[[], Any]) -> Any:
    """What `happened` gives when it is true; a link that fails meanwhile is asked again."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if found := happened():
                return found
            problem: object = "did not happen"
        except HostError as error:
            problem = error
        assert time.monotonic() < deadline, problem
        time.sleep(0.05)


class House:
    """One panel with Grace's face in it, its link over a cable and over the broker, and the lines to that."""

    def __init__(self, folder: Path, sim: Sim, site: Site) -> None:
        self.folder, self.sim, self.site = folder, sim, site
        assert sim.wait_console("app: ready", PATIENCE_S)
        self.cable = sim.port
        panels.provision(site, self.cable, "door")
        self.broker = Mosquitto(folder / "broker", tls=False)
        self.broker.configure(site)
        self.broker.start()
        login = network.BrokerLogin.read(self.broker.made.logins["door"])
        self.line = Line(login.address.port)
        self.host_line = Line(self.broker.login.address.port)
        self.broker.login.login.store()
        panel = self.panel(self.cable)
        network.change(site, panel, **{**login.for_panel(), "port": self.line.port})
        network.wait_connected(panel)
        self.grace = residents.add(site, panel, "Grace", "301")
        self.pin = credentials.set_pin(site, panel, self.grace)
        portrait = cast(None)[0].portrait
        Image.fromarray(portrait).save(folder / "grace.jpg", quality=95)
        self.view = at_the_door(load_grey(folder / "grace.jpg"), FacePipeline(), height=150)
        (folder / "signed.pdf").write_bytes(b"a scan")
        panel.close()
        self.over_broker()

    def panel(self, port: str) -> Panel:
        return panels.move(self.site, "door", port)

    def over_broker(self) -> Panel:
        return self.panel(f"mqtt://127.0.0.1:{self.host_line.port}")

    @property
    def door(self) -> Panel:
        return self.site.panel("door")

    def enrol(self) -> None:
        consent.give(self.site, self.door, self.grace, notices.load(), self.folder / "signed.pdf")
        enrol.from_photo(self.site, self.door, self.grace, self.folder / "grace.jpg")

    def faces(self) -> int:
        return int(self.door.request("status")["faces"])

    def stand_there(self) -> float:
        """Grace types her flat's number and looks into the camera; when she began."""
        self.sim.show(self.folder / "grace.jpg", **self.view)
        self.sim.wait_shut()
        since = time.time()
        self.sim.press("301#")
        return since

    def opens(self, seconds: float) -> bool:
        """Whether her face opens the door."""
        opened = self.sim.wait_lock(True, since=self.stand_there(), timeout=seconds)
        self.sim.show(None)
        return opened

    def receipts_of(self, resident: Resident) -> list[bytes]:
        return [kept.data for kept in self.site.receipts() if kept.handle == resident.handle]

    def honest(self) -> None:
        for line in (self.line, self.host_line):
            line.to_client = line.to_broker = honest
            line.up.set()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("broker")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MENSHEN_BROKER_LOGIN", str(folder / "login.json"))
        with Sim.start(folder / "sim", blocks=64) as sim, Site.open(folder / "site.db") as site:
            house = House(folder, sim, site)
            yield house
            for end in (house.line, house.host_line):
                end.close()
            house.broker.stop()


@pytest.fixture(autouse=True)
def honest_lines(house: House) -> Iterator[None]:
    yield
    house.honest()


# Catching up


def test_a_wipe_sent_while_the_panel_was_off_is_obeyed_before_it_looks_at_a_face(house: House) -> None:
    house.enrol()
    assert house.opens(PATIENCE_S)  # so that what follows could fail
    house.sim.kill()
    until(lambda: house_away(house))
    outcomes = wipe.wipe_everywhere(house.site, house.grace)
    assert "waits for it at the broker" in outcomes[0].problem
    ledger.retry(house.site)  # asked again, but not left there twice
    assert deadlines.pending(house.site)[0].tries == 2
    house.line.up.clear()  # the network takes its time
    said = len(house.sim.console())
    house.sim.restart()
    assert house.sim.wait_console("app: ready", PATIENCE_S, after=said)
    assert not house.opens(LOOK_S)
    since = time.time()
    house.sim.press(f"301#{house.pin}#")  # no other way waits
    assert house.sim.wait_lock(True, since=since, timeout=PATIENCE_S)
    assert house.panel(house.cable).request("network")["holding"]
    house.line.up.set()
    until(lambda: not house.door.request("network")["holding"])
    assert house.faces() == 0
    assert not house.opens(LOOK_S)
    house.over_broker()
    ledger.retry(house.site)
    assert not deadlines.pending(house.site) and len(house.receipts_of(house.grace)) == 1


def house_away(house: House) -> bool:
    house.door.close()
    try:
        house.door.request("status")
    except NoPanel:
        return True
    return False


def test_a_broker_that_is_not_there_keeps_faces_waiting_for_a_bounded_time(house: House) -> None:
    house.enrol()
    network.change(house.site, house.door, hold_s=2)
    house.panel(house.cable)
    house.line.up.clear()
    said = len(house.sim.console())
    house.sim.restart()
    assert house.sim.wait_console("network: faces wait no longer", PATIENCE_S, after=said)
    assert house.opens(PATIENCE_S)
    network.change(house.site, house.door, hold_s=60)


def test_a_panel_that_lost_its_broker_lets_faces_in_and_obeys_when_it_is_back(house: House) -> None:
    house.line.up.set()
    network.wait_connected(house.panel(house.cable))
    house.over_broker()
    house.line.up.clear()
    house.line.cut()
    until(lambda: house_away(house))
    assert house.opens(PATIENCE_S)
    wipe.wipe_everywhere(house.site, house.grace)
    house.line.up.set()
    until(lambda: house.faces() == 0)
    ledger.retry(house.site)
    assert not deadlines.pending(house.site) and len(house.receipts_of(house.grace)) == 2


# A broker that lies


def published(to: bytes, spoil: Callable[[bytes], list[bytes]]) -> Spoil:
    """Changes the messages to one topic; `spoil` gets the packet's body."""

    def changed(kind: int, flags: int, body: bytes) -> list[bytes]:
        topic = body[2 : 2 + struct.unpack_from(">H", body)[0]] if kind == PUBLISH else b""
        if not topic.endswith(to):
            return honest(kind, flags, body)
        return [packet(kind << 4 | flags, other) for other in spoil(body)]

    return changed


def test_what_a_broker_repeats_is_done_once(house: House) -> None:
    old: list[bytes] = []

    def thrice_and_all_that_was(body: bytes) -> list[bytes]:
        old.append(body)
        return [body, body, *old[-3:], body]

    house.line.to_client = published(b"/down", thrice_and_all_that_was)
    house.host_line.to_client = published(b"/up", lambda body: [body, body])
    before = house.door.request("status")["log_next"]
    for _ in range(3):
        house.door.request("set_time", time=int(time.time()))  # one entry in the panel's log each
    house.door.close()
    house.honest()
    after = house.panel(house.cable).request("status")["log_next"]
    house.over_broker()
    assert after - before == 3


def test_what_a_broker_invents_opens_no_door_and_changes_nothing(house: House) -> None:
    house.enrol()
    before = house.door.request("status")
    opened = [entry for entry in house.sim.lock_log() if entry["released"]]
    base = f"menshen/{house.site.site_id.hex()}/{house.door.panel_id.hex()}/"
    forged = [
        encode_frame(plain(1, {"op": "wipe_face", "handle": house.grace.handle.hex(), "reason": "request"})),
        encode_frame(plain(1, {"op": "maintenance", "on": True})),
        encode_frame(
            plain(1, {"op": "provision", "host_pub": bytes(32).hex(), "site": bytes(8).hex(), "name": "", "time": 1})
        ),
        encode_frame(b"\x01\x01\xff\xff\xff\x7f" + os.urandom(112)),
        encode_frame(b"\x01\x02\x01\x00\x00\x00" + os.urandom(112)),
        b"~" + b"A" * 9000,
        os.urandom(9000),
        b"",
    ]
    for number, frame in enumerate(forged, 1):
        house.line.say(publish(base + "down", number, frame))
    house.line.say(publish(base + "echo", 99, b"an old one") + publish("menshen/other/topic", 100, b"x"))
    after = until(lambda: house.door.request("status"))
    assert [entry for entry in house.sim.lock_log() if entry["released"]] == opened
    assert {name: after[name] for name in ("faces", "residents", "maintenance", "panel_id")} == {
        name: before[name] for name in ("faces", "residents", "maintenance", "panel_id")
    }
    said = len(house.sim.console())
    house.line.say(b"\xf0\xff\xff\xff\xff\xff")  # no packet at all
    assert house.sim.wait_console("network: connected", PATIENCE_S, after=said)
    assert until(house.faces) == 1


def test_what_a_broker_keeps_back_or_turns_round_fakes_no_receipt(house: House) -> None:
    """Answers are dropped, exchanged for older ones, or made up: nothing is confirmed, until the truth gets through."""
    heard: list[bytes] = []
    kept = len(house.receipts_of(house.grace))
    base = f"menshen/{house.site.site_id.hex()}/{house.door.panel_id.hex()}/up"

    def remembered(body: bytes) -> list[bytes]:
        heard.append(body)
        return [body]

    def older(body: bytes) -> list[bytes]:
        return [heard[0], *heard[-3:], heard[0]]

    def invented(body: bytes) -> list[bytes]:
        frame = encode_frame(plain(0, {"ok": True, "receipt": os.urandom(204).hex()}))
        return [text(base) + body[2 + len(base) : 4 + len(base)] + frame]

    house.door.close()
    house.host_line.to_client = published(b"/up", remembered)
    house.faces()
    for spoil in (lambda body: [], older, invented):
        house.host_line.to_client = published(b"/up", spoil)
        with pytest.raises((LinkFailed, NoPanel)):
            house.door.request("wipe_face", timeout_s=0.3, handle=house.grace.handle, reason="request")
        house.door.close()
        house.host_line.to_client = honest
        house.door.connected()
    deadlines.open_(house.site, house.grace.handle, house.door.panel_id, "request")
    assert deadlines.pending(house.site) and len(house.receipts_of(house.grace)) == kept
    ledger.retry(house.site)
    assert not deadlines.pending(house.site) and len(house.receipts_of(house.grace)) == kept + 1
    assert receipts.verify(house.receipts_of(house.grace)[-1], house.door.record.device_pub).reason == "request"


# TLS, logins, rights; by the commands that people type


def test_tls_logins_and_rights_by_the_commands_themselves(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENSHEN_SITE", str(house.folder / "site.db"))
    house.panel(house.cable).close()
    secure = Mosquitto(house.folder / "secure")
    ports = secure.configure(house.site)
    made = json.loads(
        run(monkeypatch, "fleet", "broker-config", str(ports.config.parent), "--host", "127.0.0.1", "--json",
            "--port", str(secure.ports[0]), "--host-port", str(secure.ports[1]), "--run-as", "root").out
    )  # fmt: skip
    secure.start()
    try:
        assert run(monkeypatch, "fleet", "login", made["host_login"]).code == 0
        told = run(monkeypatch, "panel", "network", "--login", made["panel_logins"]["door"], "--json")
        assert told.code == 0, told.err
        assert json.loads(told.out)["tls"] is True and "password" not in told.out
        assert run(monkeypatch, "panel", "move", "door", "--port", secure.url).code == 0
        status = run(monkeypatch, "panel", "status", "--json")
        assert status.code == 0 and json.loads(status.out)["panel_id"] == house.door.panel_id.hex()
        assert run(monkeypatch, "fleet", "run", "--once", "--json").code == 0
        _rights(house, secure, made)
        other = Login("menshen", "wrong", secure.login.login.ca)
        with pytest.raises(NoPanel, match="does not let this host in"):
            Broker(secure.login.address, other)
        with pytest.raises(NoPanel, match="certificate does not hold"):
            Broker(secure.login.address, Login(ca=certificates.authority("another").pem()))
        cable = house.panel(house.cable)
        network.change(house.site, cable, ca=certificates.der(certificates.authority("another").pem()))
        until(lambda: "certificate" in house.door.request("network")["problem"])
        assert "password" not in house.sim.console()
        for login in made["panel_logins"].values():
            secret = json.loads(Path(login).read_text())["password"]
            assert (
                secret not in house.sim.console()
                and secret.encode() not in (house.sim.state / "vault.bin").read_bytes()
            )
    finally:
        secure.stop()


def _rights(house: House, secure: Mosquitto, made: dict[str, Any]) -> None:
    """A panel's login reads and writes its own topics, and nothing of another's."""
    login = network.BrokerLogin.read(Path(made["panel_logins"]["door"]))
    site = house.site.site_id.hex()
    other = f"menshen/{site}/{'00' * 8}"
    heard: list[str] = []
    granted: list[Any] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="whoever", protocol=paho.MQTTv311)
    client.username_pw_set(login.login.user, login.login.password)
    client.tls_set_context(login.login.context())
    client.on_subscribe = lambda *words: granted.extend(words[3])
    client.connect(login.address.host, login.address.port)
    client.loop_start()
    hosts = secure.connect()
    try:
        hosts.watch(f"menshen/{site}/+")
        client.on_message = lambda _client, _data, message: heard.append(message.topic)
        client.subscribe([(f"{other}/down", 1), (f"menshen/{site}/+/up", 1), ("#", 1)])
        client.publish(f"{other}/up", b"forged", 1).wait_for_publish(5)
        client.publish(f"{other}/state", b"online", 1, retain=True).wait_for_publish(5)
        client.publish(f"menshen/{site}/{login.login.user}/state", b"online", 1).wait_for_publish(5)
        hosts.send(other, b"for another", 5)
        base = f"menshen/{site}/{login.login.user}"
        until(lambda: hosts.states.get(base))
        assert other not in hosts.states and not heard
    finally:
        hosts.close()
        client.disconnect()
        client.loop_stop()
