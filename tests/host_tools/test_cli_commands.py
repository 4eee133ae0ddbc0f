"""`menshen` as its users type it, on a virtual panel: what it prints, what it changes, and its exit codes."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from host_tools import cli
from host_tools.cli import fields
from host_tools.cli.help import Page, commands
from host_tools.sim.control import Sim

STARTED = "app: ready"
PATIENCE_S = 20.0


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Menshen = Callable[..., Result]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running virtual panel, provisioned, with Ann in flat 301."""
    folder = tmp_path_factory.mktemp("cli")
    with Sim.start(folder / "sim") as sim, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MENSHEN_SITE", str(folder / "site.db"))
        patch.setenv("MENSHEN_SIM", str(folder / "sim"))
        deadline = time.monotonic() + PATIENCE_S
        while (made := run(patch, "panel", "provision", "--port", sim.port)).code == 3 and time.monotonic() < deadline:
            pass
        assert made.code == 0, made.err
        assert run(patch, "resident", "add", "Ann", "--flat", "301").code == 0
        yield folder


@pytest.fixture
def menshen(place: Path, monkeypatch: pytest.MonkeyPatch) -> Menshen:
    monkeypatch.setenv("MENSHEN_SITE", str(place / "site.db"))
    monkeypatch.setenv("MENSHEN_SIM", str(place / "sim"))
    return lambda *words, stdin="": run(monkeypatch, *words, stdin=stdin)


def run(patch: pytest.MonkeyPatch, *words: str, stdin: str = "") -> Result:
    out, err = io.StringIO(), io.StringIO()
    with patch.context() as inner:
        inner.setattr(sys, "argv", ["menshen", *words])
        inner.setattr(sys, "stdin", io.StringIO(stdin))
        inner.setattr(sys, "stdout", out)
        inner.setattr(sys, "stderr", err)
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    assert "Traceback" not in err.getvalue()
    return Result(code, out.getvalue(), err.getvalue())


def undocumented(words: str, document: Any) -> list[str]:
    """What `menshen WORDS --json` printed and its help does not say, or the other way round."""
    page = Page.of(dict(commands(cli.app))[words].help or "")
    return fields.mismatches(page.json, document)


def picture(path: Path, side: int = 300) -> Path:
    Image.fromarray(np.full((side, side), 120, np.uint8)).save(path)
    return path


def test_no_panel_on_the_port(menshen: Menshen, tmp_path: Path) -> None:
    site = str(tmp_path / "empty.db")
    failed = menshen("panel", "provision", "--site", site, "--port", str(tmp_path / "nothing"))
    assert failed.code == 3 and "No panel on" in failed.err
    assert menshen("panel", "status", "--site", site).code == 3
    assert menshen("panel", "list", "--site", site, "--json").json == []


def test_a_panel_belongs_to_one_site_only(menshen: Menshen, place: Path, tmp_path: Path) -> None:
    port = menshen("panel", "list", "--json").json[0]["port"]
    assert menshen("panel", "provision", "--port", port, "--name", "again").code == 15
    thief = menshen("panel", "provision", "--site", str(tmp_path / "thief.db"), "--port", port)
    assert thief.code == 15 and "another site" in thief.err


def test_status_and_time(menshen: Menshen) -> None:
    status = menshen("panel", "status", "--json").json
    assert status["board"] == "virtual" and abs(status["time"] - time.time()) < 10
    assert menshen("panel", "set-time", "--time", "1800000000", "--json").json["time"] - 1_800_000_000 in (0, 1)
    assert menshen("panel", "set-time").code == 0


def test_a_registry_that_cannot_be_used(menshen: Menshen, tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"nothing of the kind" * 300)
    failed = menshen("resident", "list", "--site", str(broken), "--json")
    assert failed.code == 10 and failed.json["exit_code"] == 10


def test_usage_errors(menshen: Menshen) -> None:
    assert menshen("panel", "explode").code == 2
    assert menshen("resident", "add", "Bob", "--flat", "3a").code == 2
    assert menshen("resident", "add", "Ann", "--flat", "301").code == 2
    assert menshen("consent", "ask", "Nobody").code == 2
    assert menshen("enrol", "Ann").code == 2
    assert menshen("sim", "keys", "abc").code == 2
    assert menshen("consent", "notice", "no-such").code == 2


def test_no_face_without_consent(menshen: Menshen, tmp_path: Path) -> None:
    refused = menshen("enrol", "Ann", "--photo", str(picture(tmp_path / "ann.png")))
    assert refused.code == 5 and "consent ask" in refused.err
    assert menshen("consent", "show", "Ann").code == 5
    assert menshen("panel", "status", "--json").json["faces"] == 0


def test_consent_on_paper_then_pictures_that_do_not_serve(menshen: Menshen, tmp_path: Path) -> None:
    paper, blank, cut = tmp_path / "scan.pdf", picture(tmp_path / "blank.png"), tmp_path / "cut.png"
    paper.write_bytes(b"a scan")
    cut.write_bytes(picture(tmp_path / "whole.png").read_bytes()[:100])
    given = menshen("consent", "give", "Ann", "--paper", str(paper), "--json").json
    assert given["state"] == "given" and given["evidence"]["file"] == "scan.pdf"
    assert menshen("enrol", "Ann", "--photo", str(blank)).code == 6
    assert menshen("enrol", "Ann", "--photo", str(cut)).code == 8
    assert menshen("enrol", "Ann", "--photo", str(tmp_path / "none.png")).code == 8
    withdrawn = menshen("consent", "withdraw", "Ann", "--yes", "--json").json
    assert withdrawn["state"] == "withdrawn" and withdrawn["receipt"] is None
    assert menshen("enrol", "Ann", "--photo", str(blank)).code == 5


def test_declining_at_the_panel_is_an_answer(menshen: Menshen) -> None:
    asked = menshen("consent", "ask", "Ann", "--wait", "0")
    assert asked.code == 5 and "not answered" in asked.err
    assert menshen("sim", "keys", "*").code == 0
    deadline = time.monotonic() + PATIENCE_S
    while menshen("log", "--json").out.count("consent_declined") == 0 and time.monotonic() < deadline:
        pass
    declined = menshen("log", "--json").json
    assert any(entry["kind"] == "consent_declined" and entry["name"] == "Ann" for entry in declined)


def test_pin_and_card_open_and_a_wrong_pin_does_not(menshen: Menshen, tmp_path: Path) -> None:
    generated = menshen("credential", "pin", "Ann", "--json").json["pin"]
    assert len(generated) == 6
    assert menshen("credential", "pin", "Ann", "--choose", stdin="123456\n").code == 2
    chosen = menshen("credential", "pin", "Ann", "--choose", "--json", stdin="735192\n")
    assert chosen.json["pin"] is None
    assert menshen("sim", "keys", "301#735192#", "--opens", "10").code == 0
    assert menshen("sim", "keys", "301#735193#", "--opens", "1").code == 13
    card = tmp_path / "card.json"
    assert menshen("sim", "card", str(card)).code == 2
    uid = menshen("credential", "card", "Ann", str(card), "--json").json["uid"]
    assert menshen("sim", "card", str(card), "--opens", "10").code == 0
    ways = menshen("resident", "list", "--json").json[0]["ways"]
    assert ways == "pin, card"
    assert menshen("credential", "revoke", "Ann", "card", "--uid", uid).code == 2  # nobody confirms
    assert menshen("credential", "revoke", "Ann", "card", "--uid", uid, "--yes", "--json").json == {"dropped": 1}
    assert menshen("sim", "card", "--json").code == 0
    assert menshen("resident", "list", "--json").json[0]["ways"] == "pin"


def test_wiping_what_is_not_there_is_refused(menshen: Menshen) -> None:
    assert menshen("wipe", "Ann").code == 2
    refused = menshen("wipe", "Ann", "--yes", "--json")
    assert refused.code == 4 and "nothing was changed" in refused.json["message"].lower()


def test_a_receipt_of_another_kind_is_invalid(menshen: Menshen, tmp_path: Path) -> None:
    forged = tmp_path / "receipt.bin"
    forged.write_bytes(bytes(204))
    assert menshen("receipt", "verify", str(forged), "--key", "00" * 32).code == 12
    assert menshen("receipt", "verify", str(forged), "--key", "zz").code == 12
    assert menshen("receipt", "verify", str(tmp_path / "none"), "--key", "00" * 32).code == 2


def test_the_screen_can_be_saved(menshen: Menshen, tmp_path: Path) -> None:
    assert menshen("sim", "screen", str(tmp_path / "screen.png")).code == 0
    assert Image.open(tmp_path / "screen.png").size == (240, 320)


def test_a_resident_moves_out_and_leaves_no_name(menshen: Menshen, place: Path) -> None:
    assert menshen("resident", "add", "Somebody Unforgettable", "--flat", "302").code == 0
    assert menshen("resident", "move-out", "Somebody Unforgettable").code == 2
    assert menshen("resident", "move-out", "Somebody Unforgettable", "--yes").code == 0
    assert [resident["name"] for resident in menshen("resident", "list", "--json").json] == ["Ann"]
    assert b"Unforgettable" not in (place / "site.db").read_bytes()
