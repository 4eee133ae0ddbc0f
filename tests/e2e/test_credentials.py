"""PINs, visitors and cards on a virtual panel: issued by the host, judged by the panel, kept across a power cut."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools import credentials, lost_cards, panels, residents, visitors
from host_tools.errors import HostError, RefusedByPanel, Usage
from host_tools.personalise import personalise
from host_tools.readers import panel_reader
from host_tools.sim.card import FACTORY_KEY, Card
from host_tools.sim.control import Sim
from host_tools.sim.desfire import DesfireCard
from host_tools.site import Panel, Resident, Site

PATIENCE_S = 15.0


class House:
    def __init__(self, folder: Path, sim: Sim, site: Site) -> None:
        self.folder, self.sim, self.site = folder, sim, site
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.panel: Panel = panels.provision(site, sim.port, "door")
                break
            except HostError:
                if time.monotonic() > deadline:
                    raise
        self.ann: Resident = residents.add(site, self.panel, "Ann", "301")
        self.bob: Resident = residents.add(site, self.panel, "Bob", "302")

    def decides(self, act, kind: str) -> dict:
        """The panel's event after `act`."""
        seq = self.next_event()
        act()
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            page = self.panel.request("events", since=seq, limit=12)
            for event in page["events"]:
                if event["kind"] == kind:
                    return dict(event)
            seq = page["next"]
            time.sleep(0.02)
        raise AssertionError(f"no decision about a {kind}")

    def next_event(self) -> int:
        seq = 0
        while (page := self.panel.request("events", since=seq, limit=12))["events"]:
            seq = page["next"]
        return int(page["next"])

    def types(self, keys: str) -> bool:
        return bool(self.decides(lambda: self.sim.press(keys), "pin")["opened"])

    def taps(self, path: Path) -> dict:
        event = self.decides(lambda: self.sim.tap(path), "card")
        self.sim.tap(None)
        time.sleep(0.8)  # a card is new again after it was away for 0.6 s
        return event

    def log(self) -> list[tuple[str, str]]:
        entries, since = [], 0
        while (page := self.panel.request("log", since=since, limit=32))["entries"]:
            entries += [(entry["kind"], entry["detail"]) for entry in page["entries"]]
            since = page["next"]
        return entries

    def power_cut(self) -> None:
        self.panel.close()
        self.sim.kill()
        self.sim.restart()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                panels.status(self.panel)
                return
            except HostError:
                if time.monotonic() > deadline:
                    raise


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("credentials")
    with Sim.start(folder / "sim") as sim, Site.open(folder / "site.db") as site:
        yield House(folder, sim, site)


@pytest.mark.parametrize("kind", [Card, DesfireCard])
def test_a_factory_card_is_personalised_and_opens(house: House, kind: type[Card]) -> None:
    path = house.folder / f"{kind.kind}.json"
    kind.create().save(path)
    uid = credentials.issue_card(house.site, house.panel, house.ann, path)
    assert FACTORY_KEY not in Card.load(path).keys
    event = house.taps(path)
    assert event["opened"] and event["ms"] < 300
    copy = house.folder / "copy.json"
    kind(uid, [FACTORY_KEY] * kind.key_count).save(copy)
    assert house.taps(copy)["why"] in ("wrong_key", "malformed")
    assert credentials.issue_card(house.site, house.panel, house.ann, path) == uid, "done again, it changes nothing"
    assert house.taps(path)["opened"]


def test_the_panel_never_learns_the_master_key(house: House) -> None:
    path = house.folder / "secret.json"
    credentials.issue_card(house.site, house.panel, house.ann, path)
    keys = Card.load(path).keys
    sent = []
    asked = house.panel.request
    house.panel.request = lambda op, **fields: sent.append(fields) or asked(op, **fields)  # type: ignore[method-assign]
    try:
        credentials.issue_card(house.site, house.panel, house.ann, path)
    finally:
        del house.panel.request
    assert [fields["key"] for fields in sent if "key" in fields] == [keys[1]]
    assert keys[0] not in [value for fields in sent for value in fields.values()]


def test_another_sites_card_is_refused_by_host_and_panel(house: House) -> None:
    path = house.folder / "foreign.json"
    card = Card.create()
    personalise(card.transceive, card.uid, bytes(range(16)), b"site-xyz")
    card.save(path)
    with pytest.raises(Usage, match="another site"):
        credentials.issue_card(house.site, house.panel, house.bob, path)
    assert house.taps(path)["why"] == "unknown_card"
    credentials.admit_card(house.site, house.panel, house.bob, card.uid)  # a slip of the hand: our key, their card
    assert house.taps(path)["why"] == "wrong_key"


def test_a_card_is_personalised_at_the_panels_own_reader(house: House) -> None:
    path = house.folder / "at-panel.json"
    Card.create().save(path)
    threading.Timer(0.5, lambda: Sim.attach(house.sim.state).tap(path)).start()
    seen = house.next_event()
    with panel_reader(house.panel, wait_s=10) as reader:
        uid = credentials.personalise_card(house.site, house.panel, house.bob, reader)
    time.sleep(1.0)  # the panel knows it now, and still opens nothing before it has been taken away
    house.sim.tap(None)
    assert not [e for e in house.panel.request("events", since=seen, limit=12)["events"] if e["kind"] == "card"]
    assert uid == Card.load(path).uid and FACTORY_KEY not in Card.load(path).keys
    time.sleep(0.8)
    assert house.taps(path)["opened"]


def test_a_panel_without_a_card_says_so(house: House) -> None:
    with pytest.raises(Usage, match="no card"), panel_reader(house.panel, wait_s=1):
        pass


def test_a_lost_card_stays_lost(house: House) -> None:
    path = house.folder / "lost.json"
    uid = credentials.issue_card(house.site, house.panel, house.bob, path)
    assert house.taps(path)["opened"]
    assert lost_cards.report(house.site, uid) == {"door": "confirmed"}
    assert not house.taps(path)["opened"]
    with pytest.raises(Usage, match="reported lost"):
        credentials.issue_card(house.site, house.panel, house.bob, path)
    house.power_cut()
    with pytest.raises(RefusedByPanel):  # as a registry from an old backup would try
        house.panel.request("card_put", handle=house.bob.handle, uid=uid, key=Card.load(path).keys[1])
    assert not house.taps(path)["opened"]
    assert lost_cards.resend(house.site, house.panel) == 1


def test_a_card_lost_while_the_panel_is_away_is_barred_later(house: House) -> None:
    path = house.folder / "away.json"
    uid = credentials.issue_card(house.site, house.panel, house.bob, path)
    house.panel.close()
    house.sim.kill()
    assert lost_cards.report(house.site, uid) == {"door": "pending"}
    house.sim.restart()
    house.power_cut()
    credentials.issue_card(house.site, house.panel, house.bob, house.folder / "new.json")
    assert lost_cards.states(house.site, uid) == {"door": "confirmed"}
    assert not house.taps(path)["opened"]


def test_a_duress_pin_opens_and_is_noted(house: House) -> None:
    usual = credentials.set_pin(house.site, house.panel, house.ann)
    forced = credentials.set_pin(house.site, house.panel, house.ann, duress=True)
    assert house.types(f"301#{usual}#")
    assert 0 < panels.status(house.panel)["pin_ms"] < 300
    assert ("door_alarm", "duress") not in house.log()
    assert house.types(f"301#{forced}#")
    assert ("door_alarm", "duress") in house.log()
    with pytest.raises(RefusedByPanel):
        credentials.set_pin(house.site, house.panel, house.ann, usual, duress=True)
    assert credentials.revoke(house.site, house.panel, house.ann, "duress") == 1
    assert not house.types(f"301#{forced}#")


def test_a_visitors_code_is_written_while_the_panel_is_off(house: House) -> None:
    house.panel.close()
    house.sim.kill()
    once = visitors.write(house.site, house.panel, "301", hours=2)
    often = visitors.write(house.site, house.panel, "301", hours=24, uses=0)
    house.sim.restart()
    house.power_cut()
    assert house.types(f"301#{once.code}#")
    assert not house.types(f"301#{once.code}#")
    assert all(house.types(f"301#{often.code}#") for _ in range(3))
    assert not house.types(f"302#{often.code}#")
    visitors.revoke(house.site, house.panel, "301", often.code)
    assert not house.types(f"301#{often.code}#")
    with pytest.raises(Usage, match="wrote no such code"):
        visitors.revoke(house.site, house.panel, "302", often.code)
    with pytest.raises(Usage, match="Nobody lives"):
        visitors.write(house.site, house.panel, "999")


def test_a_card_by_its_uid_needs_the_policy(house: House) -> None:
    path = house.folder / "bare.json"
    card = Card.create()
    card.save(path)
    with pytest.raises(RefusedByPanel):
        credentials.admit_uid(house.site, house.panel, house.bob, card.uid)
    credentials.set_uid_only(house.site, house.panel, True)
    credentials.admit_uid(house.site, house.panel, house.bob, card.uid)
    assert house.taps(path)["opened"]
    credentials.set_uid_only(house.site, house.panel, False)
    assert not house.taps(path)["opened"]
    noted = [entry for entry in house.log() if "uid" in entry[1]]
    assert noted == [
        ("policy_set", "uid_only on"),
        ("credential_set", "card uid only"),
        ("opened", "card uid only"),
        ("policy_set", "uid_only off"),
    ]


def test_a_lockout_survives_the_power_cut(house: House) -> None:
    pin = credentials.set_pin(house.site, house.panel, house.bob)
    wrong = pin[:-1] + str((int(pin[-1]) + 1) % 10)
    for _ in range(4):
        while house.decides(lambda: house.sim.press(f"302#{wrong}#"), "pin")["reason"] == "locked_out":
            time.sleep(0.5)
    house.power_cut()
    assert house.decides(lambda: house.sim.press(f"302#{pin}#"), "pin")["reason"] == "locked_out"
