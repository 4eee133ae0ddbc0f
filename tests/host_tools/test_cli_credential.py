"""`menshen credential` as its users type it: readers, visitors, lost cards, risks that must be confirmed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools.sim.card import Card
from host_tools.site import Site, history
from tests.host_tools.test_cli_commands import Menshen, menshen, place

__all__ = ("menshen", "place")  # fixtures


@pytest.fixture
def blank(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "blank.json"
    Card.create().save(path)
    yield path


def test_a_card_has_one_place(menshen: Menshen, blank: Path) -> None:
    assert menshen("credential", "card", "Ann").code == 2
    assert menshen("credential", "card", "Ann", str(blank), "--at-panel").code == 2
    assert menshen("credential", "card", "Ann", "--uid", "zz").code == 2
    assert "There is no reader" in menshen("credential", "card", "Ann", "--reader", "/dev/none").err
    made = menshen("credential", "card", "Ann", str(blank), "--json").json
    assert made["uid"] == Card.load(blank).uid.hex()
    assert menshen("credential", "card", "Ann", "--uid", made["uid"]).code == 0, "known already: done again"
    other = blank.with_name("desfire.json")
    assert menshen("credential", "card", "Ann", str(other), "--desfire").code == 0
    assert Card.load(other).kind == "desfire"


def test_a_card_is_personalised_at_the_panel(menshen: Menshen, blank: Path) -> None:
    assert menshen("sim", "card", str(blank)).code == 0
    made = menshen("credential", "card", "Ann", "--at-panel", "--json")
    assert made.code == 0 and "Hold the card" in made.err
    assert made.json["uid"] == Card.load(blank).uid.hex()
    menshen("sim", "card")
    time.sleep(0.8)  # a card is new again after it was away for 0.6 s
    assert menshen("sim", "card", str(blank), "--opens", "10").code == 0
    menshen("sim", "card")


def test_a_lost_card_asks_for_its_name(menshen: Menshen, blank: Path) -> None:
    uid = menshen("credential", "card", "Ann", str(blank), "--json").json["uid"]
    assert menshen("credential", "lost", uid).code == 2
    assert menshen("sim", "card", str(blank), "--opens", "10").code == 0
    menshen("sim", "card")
    told = menshen("credential", "lost", uid, "--yes", "--json")
    assert told.json == {"uid": uid, "panels": {"door": "confirmed"}}
    again = menshen("credential", "card", "Ann", str(blank))
    assert again.code == 2 and "reported lost" in again.err
    assert menshen("credential", "lost", "--json").json == {"uid": None, "panels": {"door": 1}}


def test_the_history_tells_of_credentials_and_rules(menshen: Menshen, place: Path, blank: Path) -> None:
    with Site.open(place / "site.db") as site, site.registry.transaction() as db:
        before = len(history.entries(db))
    uid = menshen("credential", "card", "Ann", str(blank), "--json").json["uid"]
    assert menshen("credential", "pin", "Ann").code == 0
    assert menshen("credential", "pin", "Ann", "--duress").code == 0
    assert menshen("credential", "revoke", "Ann", "duress", "--yes").code == 0
    assert menshen("credential", "revoke", "Ann", "card", "--uid", uid, "--yes").code == 0
    assert menshen("credential", "revoke", "Ann", "pin", "--yes").code == 0
    assert menshen("policy", "set", "--open-s", "6").code == 0
    assert menshen("credential", "uid-only", "off").code == 0
    with Site.open(place / "site.db") as site, site.registry.transaction() as db:
        told = [(entry.action, json.loads(entry.detail)) for entry in history.entries(db)[before:]]
    assert told == [
        ("credential_issued", {"kind": "card"}),
        ("credential_issued", {"kind": "pin"}),
        ("credential_revoked", {"kind": "card", "dropped": 1}),
        ("credential_revoked", {"kind": "pin", "dropped": 1}),
        ("policy_set", {"open_s": 6}),
        ("policy_set", {"uid_only": False}),
    ], "and nothing of the duress PIN"


def test_a_visitor_gets_a_code_and_loses_it(menshen: Menshen) -> None:
    made = menshen("credential", "visitor", "301", "--hours", "24", "--uses", "2", "--json").json
    assert len(made["code"]) == 12 and made["uses"] == 2 and made["valid_until"] > made["valid_from"]
    assert menshen("credential", "visitor", "301", "--hours", "3").code == 2
    assert menshen("credential", "visitor", "999").code == 2
    assert menshen("credential", "visitor", "301", "--revoke", made["code"], "--yes").code == 0
    assert menshen("credential", "visitor", "301", "--revoke", "000000999999", "--yes").code == 2


def test_what_a_uid_risks_is_said_and_confirmed(menshen: Menshen, blank: Path) -> None:
    uid = Card.load(blank).uid.hex()
    refused = menshen("credential", "uid-only", "on")
    assert refused.code == 2 and "Anybody who has stood near such a card" in refused.err
    assert menshen("credential", "card", "Ann", "--uid-only", uid).code == 4
    assert menshen("credential", "uid-only", "on", "--yes", "--json").json == {"uid_only": True}
    assert menshen("credential", "card", "Ann", "--uid-only", uid).code == 0
    assert menshen("credential", "uid-only", "off").code == 0


def test_a_duress_pin_needs_a_pin_first(menshen: Menshen) -> None:
    assert menshen("credential", "pin", "Ann", "--duress").code == 4
    assert menshen("credential", "pin", "Ann").code == 0
    made = menshen("credential", "pin", "Ann", "--duress", "--json").json
    assert len(made["pin"]) == 6
    assert menshen("credential", "revoke", "Ann", "duress", "--yes", "--json").json == {"dropped": 1}
