"""A building with two doors: one is away when somebody withdraws and somebody else moves out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools import certificate, consent, enrol, notices, panels, receipts, residents, wipe
from host_tools.errors import HostError, LinkFailed
from host_tools.sim.control import Sim
from host_tools.site import Panel, Resident, Site, deadlines

BOOT_S = 30.0


@pytest.fixture(scope="module")
def sims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Sim]]:
    folder = tmp_path_factory.mktemp("doors")
    with Sim.start(folder / "front", blocks=64) as front, Sim.start(folder / "back", blocks=64) as back:
        for sim in (front, back):
            assert sim.wait_console("app: ready", BOOT_S)
        yield [front, back]


@pytest.fixture(scope="module")
def site(sims: list[Sim], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site.open(tmp_path_factory.mktemp("data") / "site.db") as site:
        for sim, name in zip(sims, ("front", "back"), strict=True):
            panels.provision(site, sim.port, name)
        yield site


def on_both(site: Site, name: str, flat: str, paper: Path) -> Resident:
    paper.write_bytes(b"a scan")
    for door in ("front", "back"):
        panel = site.panel(door)
        resident = residents.add(site, panel, name, flat)
        agreed = consent.give(site, panel, resident, notices.load(), paper)
        model_id = panel.request("status")["model_id"]
        enrol.put(site, panel, resident, agreed, model_id, [os.urandom(128)])
    return resident


def faces(panel: Panel) -> int:
    return int(panel.request("status")["faces"])


def come_back(sim: Sim, panel: Panel) -> None:
    sim.restart()
    deadline = time.monotonic() + BOOT_S
    while True:
        try:
            panel.request("status")
            return
        except HostError:
            assert time.monotonic() < deadline


def test_withdrawn_everywhere_though_one_door_is_away(site: Site, sims: list[Sim], tmp_path: Path) -> None:
    front, back = site.panel("front"), site.panel("back")
    ann, bob = on_both(site, "Ann", "301", tmp_path / "a"), on_both(site, "Bob", "302", tmp_path / "b")
    carl = on_both(site, "Carl", "303", tmp_path / "c")
    back.close()
    sims[1].kill()
    done = dict(consent.withdraw_everywhere(site, ann))
    assert done["front"].receipt and done["back"].waiting and not done["back"].receipt
    residents.move_out(site, bob)
    assert "Bob" in [resident.name for resident in site.residents()]  # named until every panel has confirmed
    wipe.wipe_everywhere(site, carl, "order", "(2026) 7")
    told = certificate.gather(site, ann)
    assert [panel.state for panel in told.panels] == ["erased", "owed"] and not told.complete
    assert {deadline.panel_id for deadline in deadlines.pending(site)} == {back.panel_id}
    assert len(deadlines.pending(site)) == 3 and faces(front) == 0

    come_back(sims[1], back)  # whatever was asked first, what is owed came before it
    assert faces(back) == 0 and deadlines.pending(site) == []
    assert certificate.gather(site, ann).complete
    assert "Bob" not in [resident.name for resident in site.residents()]
    for resident in (ann, bob, carl):
        kept = [receipt for receipt in site.receipts() if receipt.handle == resident.handle]
        assert {receipt.panel_id for receipt in kept} == {front.panel_id, back.panel_id}
    page, paper = certificate.write(certificate.gather(site, bob, "Bob"), tmp_path / "bob")
    assert "receipt-2.bin" in page.read_text("utf-8") and paper.read_bytes()[:5] == b"%PDF-"


def test_an_acknowledgement_that_was_lost_is_said_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = site.panel("front")
    dora = on_both(site, "Dora", "304", tmp_path / "d")
    front.request("wipe_face", handle=dora.handle, reason="request")  # the answer with the receipt is lost

    def cut(op: str, timeout_s: float | None = None, **fields: object) -> dict[str, object]:
        if op == "receipts_ack":
            raise LinkFailed("the line broke")
        return Panel.request(front, op, timeout_s, **fields)

    monkeypatch.setattr(front, "request", cut)
    with pytest.raises(LinkFailed):
        receipts.collect(site, front)
    monkeypatch.undo()
    assert [receipt.handle for receipt in site.receipts()].count(dora.handle) == 1
    assert front.request("status")["receipts_waiting"] > 0
    assert receipts.collect(site, front) == [] and front.request("status")["receipts_waiting"] == 0
