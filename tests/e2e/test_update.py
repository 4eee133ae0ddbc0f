"""An update of a virtual panel over the link: the door works before, during and after it, whatever is broken off."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.base.version import VERSION
from host_tools import consent, credentials, enrol, notices, panels, residents, update
from host_tools.errors import BundleInvalid, LinkFailed, RefusedByPanel, UpdateFailed, Usage
from host_tools.image import bundle as bundles
from host_tools.image import stage_vfs
from host_tools.image.bundle import Bundle
from host_tools.sim.control import Sim
from host_tools.site import Panel, Site

PIN, FLAT = "840613", "640137"
PATIENCE_S = 30.0
KEY = Ed25519PrivateKey.generate()


class House:
    def __init__(self, folder: Path, sim: Sim) -> None:
        self.folder, self.sim = folder, sim
        self.site = Site.open(folder / "site.db")
        assert sim.wait_console("app: ready", PATIENCE_S), sim.console()
        self.panel: Panel = panels.provision(self.site, sim.port, "door")
        self.zach = residents.add(self.site, self.panel, "Zach", FLAT)
        credentials.set_pin(self.site, self.panel, self.zach, PIN)
        self.panel.request("set_policy", open_s=1)

    def opens(self) -> bool:
        assert self.sim.wait_shut(20)
        since = time.time()
        self.sim.press(f"{FLAT}#{PIN}#")
        return self.sim.wait_lock(True, since=since, timeout=15)

    def bundle(self, version: str, *changes: tuple[str, str, str], key: Ed25519PrivateKey = KEY) -> Bundle:
        """This checkout's, with `changes` to its sources: (file, what, becomes)."""
        tree = self.folder / "staged"
        shutil.rmtree(tree, ignore_errors=True)
        stage_vfs("virtual", tree, version)
        for name, what, becomes in changes:
            path = tree / "a" / name
            assert what in path.read_text()
            path.write_text(path.read_text().replace(what, becomes, 1))
        return bundles.sign(tree / "a", key, "virtual", version)

    def version(self) -> str:
        found = str(self.panel.request("status")["firmware"])
        return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("update")
    with Sim.start(folder / "panel", blocks=64) as sim:
        made = House(folder, sim)
        yield made
        made.site.close()


def test_nothing_is_taken_before_a_key_is_pinned_nor_from_another(house: House) -> None:
    bundle = house.bundle("0.2.0")
    with pytest.raises(UpdateFailed, match="no update key"):
        update.plan(house.site, house.panel, bundle)
    update.pin(house.site, house.panel, KEY.public_key().public_bytes_raw())
    with pytest.raises(BundleInvalid, match="not signed"):
        update.plan(house.site, house.panel, house.bundle("0.2.0", key=Ed25519PrivateKey.generate()))
    with pytest.raises(RefusedByPanel, match="nother update key"):
        update.pin(house.site, house.panel, bytes(32))
    with pytest.raises(UpdateFailed, match="older"):
        update.plan(house.site, house.panel, house.bundle("0.0.9"))


def test_the_power_fails_while_it_is_staged_and_it_goes_on(house: House) -> None:
    bundle = house.bundle("0.2.0")
    plan = update.plan(house.site, house.panel, bundle)
    assert (plan.running, plan.version, plan.models, plan.enrol) == (VERSION, "0.2.0", [], [])

    def cut(what: str, done: int, total: int) -> None:
        if done > total // 2:
            house.sim.kill()

    with pytest.raises(LinkFailed):
        update.stage(house.panel, bundle, cut)
    seen = len(house.sim.console())
    house.sim.restart()
    assert house.sim.wait_console("app: ready", PATIENCE_S, after=seen)
    assert house.version() == VERSION and house.opens()
    begun = house.panel.request("update_begin", manifest=bundle.text, sig=bundle.signature)
    files = {item["name"]: item for item in begun["files"]}
    assert files["packs/embedder.pack"]["here"], "models that stay are not sent"
    assert files["firmware.pak"]["have"] > 30_000, "what was sent is still there"
    outcome = update.apply(house.panel, bundle)
    assert outcome.slot == "b" and house.version() == "0.2.0" and house.opens()
    state = update.state(house.panel)
    assert not state["trial"] and state["floor"] == "0.2.0" and state["other"] == VERSION
    kinds = [entry["detail"] for entry in house.panel.request("log", since=0, limit=32)["entries"]]
    assert "switch 0.2.0" in kinds and "confirmed 0.2.0" in kinds


@pytest.mark.parametrize(
    ("name", "what", "becomes"),
    [
        ("firmware/app.py", "import asyncio\n", "import asyncio\nraise ValueError('broken')\n"),
        ("firmware/app.py", "            panel.supervisor.look()\n", "            while True: pass\n"),
    ],
    ids=["dies", "hangs"],
)
def test_firmware_that_does_not_come_up_is_rolled_back(house: House, name: str, what: str, becomes: str) -> None:
    before = house.version()
    update.stage(house.panel, house.bundle("0.9.0", (name, what, becomes)))
    with pytest.raises(UpdateFailed, match="did not come up"):
        update.switch(house.panel, "0.9.0")
    assert house.version() == before and house.opens()
    state = update.state(house.panel)
    assert state["failed"]["version"] == "0.9.0" and not state["trial"]
    assert ("broken" in state.get("crash", "")) == ("broken" in becomes)


def test_other_models_name_whose_face_must_be_enrolled_again(house: House) -> None:
    """And the old faces stay where they are, unused; cards and PINs go on."""
    panel, site = house.panel, house.site
    old = panel.request("status")["model_id"]
    paper = house.folder / "signed.pdf"
    paper.write_bytes(b"a scan of the signed notice")
    agreed = consent.give(site, panel, house.zach, notices.load("face-door.en"), paper)
    enrol.put(site, panel, house.zach, agreed, old, [bytes(range(128))], 365)
    bundle = _with_other_embedder(house)
    plan = update.plan(site, panel, bundle)
    assert plan.models == ["embedder"] and plan.enrol == [f"{FLAT}/Zach"] and plan.unknown == 0
    assert f"{FLAT}/Zach" in plan.sentence()
    update.apply(panel, bundle)
    status = panel.request("status")
    assert status["model_id"] != old and status["faces"] == 1 and house.opens()


def _with_other_embedder(house: House) -> Bundle:
    tree = house.folder / "staged"
    shutil.rmtree(tree, ignore_errors=True)
    stage_vfs("virtual", tree, "0.3.0")
    path = tree / "a/packs/embedder.pack"
    pack = bytearray(path.read_bytes())
    pack[48:56] = b"anothers"
    pack[16:48] = hashlib.sha256(pack[:16] + pack[48:]).digest()
    path.write_bytes(pack)
    return bundles.sign(tree / "a", KEY, "virtual", "0.3.0")


def test_bundles_and_keys_that_are_none_are_told(tmp_path: Path) -> None:
    public = bundles.make_key(tmp_path / "house.key")
    assert bundles.read_public(tmp_path / "house.key.pub").hex() == public
    assert (tmp_path / "house.key").stat().st_mode & 0o77 == 0
    with pytest.raises(Usage, match="never overwritten"):
        bundles.make_key(tmp_path / "house.key")
    with pytest.raises(Usage, match="no public key"):
        bundles.read_public(tmp_path / "house.key")
    with pytest.raises(Usage, match="no signing key"):
        bundles.read_key(tmp_path / "house.key.pub")
    with pytest.raises(Usage, match="cannot be read"):
        bundles.read(tmp_path / "none.zip")
    (tmp_path / "none.zip").write_bytes(b"not a zip")
    with pytest.raises(BundleInvalid, match="no update bundle"):
        bundles.read(tmp_path / "none.zip")
    made = bundles.build("virtual", bundles.read_key(tmp_path / "house.key"), "1.2")
    bundles.write(made, tmp_path / "good.zip")
    assert bundles.read(tmp_path / "good.zip") == made or bundles.read(tmp_path / "good.zip").files == made.files
    whole = (tmp_path / "good.zip").read_bytes()
    for at in range(0, len(whole), len(whole) // 40):
        (tmp_path / "bad.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            bundles.verify(bundles.read(tmp_path / "bad.zip"), bytes.fromhex(public))
        except BundleInvalid:
            continue
        assert bundles.read(tmp_path / "bad.zip").files == made.files, "a byte that means nothing"
    with pytest.raises(Usage, match="no version"):
        bundles.build("virtual", KEY, "newest")
