"""Requirements 5 and 9 on a virtual panel: a resident deletes the own face with the keypad alone, and the panel itself
is given up at the end. What the screen shows, the flash holds and the host gets is one and the same."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Iterator

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from firmware.ui import qr
from firmware.vault import chain, clearance
from host_tools import credentials, panels, receipts, residents
from host_tools.errors import HostError, RefusedByPanel
from host_tools.sim.control import Sim
from host_tools.site import Panel, Resident, Site

PATIENCE_S = 15.0
NOTICE = bytes(range(32))


class Home:
    def __init__(self, sim: Sim, site: Site) -> None:
        self.sim, self.site = sim, site
        self.panel: Panel = within(lambda: panels.provision(site, sim.port, "door"))
        self.ann: Resident = residents.add(site, self.panel, "Ann", "301")
        self.pin = credentials.set_pin(site, self.panel, self.ann)
        self.model_id = self.panel.request("status")["model_id"]

    def enrol(self) -> None:
        """A template of noise: nobody's face is needed to be deleted."""
        who = {"handle": self.ann.handle, "consent_id": os.urandom(16), "notice_hash": NOTICE}
        self.panel.request("consent_grant", **who)
        self.panel.request("enrol_put", **who, model_id=self.model_id, expiry=0, templates=[os.urandom(128)] * 4)
        assert self.faces() == 1

    def faces(self) -> int:
        return int(self.panel.request("status")["faces"])

    def flash(self) -> bytes:
        return (self.sim.state / "vault.bin").read_bytes()


def within(act):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except (HostError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("selfservice")
    with Sim.start(folder / "sim") as sim, Site.open(folder / "site.db") as site:
        assert sim.wait_console("app: ready", PATIENCE_S), sim.console()
        yield Home(sim, site)


def shown_code(sim: Sim) -> np.ndarray:
    """The modules of the QR code on the screen."""
    light = (sim.screen() == 255).all(axis=2)[60:]
    rows, columns = np.flatnonzero(light.sum(axis=1) > 150), np.flatnonzero(light[:200].sum(axis=0) > 100)
    assert len(rows) and len(columns), "no code is shown"
    square = light[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return ~square[1::3, 1::3][4:-4, 4:-4]


def expected_code(receipt: bytes) -> np.ndarray:
    code = qr.Code(base64.b64encode(receipt))
    return np.frombuffer(bytes(code.modules), np.uint8).reshape(code.size, code.size) == 1


def test_requirement_5_withdrawal_at_the_panel_alone(home: Home) -> None:
    home.enrol()
    before = home.flash()
    home.sim.press(f"*301#{home.pin}#")
    time.sleep(0.5)
    assert home.faces() == 1
    home.sim.press("#")
    within(lambda: check(home.faces() == 0))
    waiting = home.panel.request("receipts", since=0, limit=5)["receipts"]
    proof = receipts.verify(waiting[-1], home.panel.record.device_pub)
    assert (proof.handle, proof.reason) == (home.ann.handle, "withdrawn")
    within(lambda: check(np.array_equal(shown_code(home.sim), expected_code(waiting[-1]))))
    block = proof.blocks[0]
    erased, record = home.flash()[4096 * block :][:4096], before[4096 * block :][:4096]
    assert erased == b"\xff" * 4096 and record[80:112] not in home.flash()
    assert home.panel.request("consent_state", handle=home.ann.handle)["state"] == "withdrawn"


def test_the_receipt_waits_until_the_host_has_acknowledged_it(home: Home) -> None:
    assert home.panel.request("status")["receipts_waiting"] == 1
    with pytest.raises(RefusedByPanel):
        home.panel.request("decommission", panel_id=home.panel.panel_id)
    receipts.collect(home.site, home.panel)
    assert home.panel.request("status")["receipts_waiting"] == 0


def test_requirement_21_the_host_can_check_the_panel_s_chain(home: Home) -> None:
    links, since, before = [], 0, None
    while (page := home.panel.request("log_export", since=since, limit=20))["entries"]:
        before = page["before"] if before is None else before
        links += [(entry[:64], entry[64:]) for entry in page["entries"]]
        since = page["next"]
    status = home.panel.request("status")
    assert before == chain.START and chain.first_break(before, links) == -1
    assert (since, links[-1][1]) == (status["log_next"], status["log_head"]) and status["log_damage"] == []
    assert chain.first_break(before, links[:3] + links[4:]) == 3


def test_a_panel_given_up_is_empty_and_says_so(home: Home) -> None:
    home.enrol()
    panel = home.panel
    with pytest.raises(RefusedByPanel):
        panel.request("decommission", panel_id=bytes(8))
    data = None
    while data is None:
        data = panel.request("decommission", timeout_s=30.0, panel_id=panel.panel_id).get("clearance")
    found = clearance.verify(data, panel.record.device_pub, signed)
    assert (found.panel_id, found.facts.faces, found.facts.residents) == (panel.panel_id, 1, 1)
    flash = home.flash()
    assert flash[2 * 4096 :] == b"\xff" * (len(flash) - 2 * 4096) and found.blocks == len(flash) // 4096 - 2
    panel.request("decommission_done", clearance_hash=hashlib.sha256(data).digest())
    within(lambda: check(home.flash() == b"\xff" * len(flash)))
    panel.close()
    within(lambda: panels.provision(home.site, home.sim.port, "door again"))


def check(holds: bool) -> None:
    assert holds


def signed(key: bytes, message: bytes, signature: bytes) -> bool:
    Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    return True
