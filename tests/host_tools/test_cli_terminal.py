"""`menshen` on a terminal and off it: completion, colour, one document on stdout, and questions only to somebody."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path

import pytest

from host_tools import cli
from host_tools.cli.common import progress, waiting
from host_tools.site import Site
from tests.host_tools.test_cli_commands import run

COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-8]|4[0-8]|9[0-7])[;m]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two residents, one with a blank in the name, and a panel that is switched off."""
    path = tmp_path / "site.db"
    with Site.open(path) as site, site.registry.transaction() as db:
        for name in ("Ann", "Wang Fang"):
            db.execute(
                "INSERT INTO residents (handle, name, flat, doors, schedule, valid_from, valid_until, state, added) "
                "VALUES (?, ?, '301', 1, '[]', 0, 0, 'active', 0)",
                (os.urandom(8), name),
            )
        db.execute(
            "INSERT INTO panels (panel_id, name, device_pub, link_key, port, state, added) "
            "VALUES (?, 'front door', ?, ?, 'socket://127.0.0.1:9', 'active', 0)",
            (os.urandom(8), bytes(32), bytes(32)),
        )
    monkeypatch.setenv("MENSHEN_SITE", str(path))
    return path


def offered(patch: pytest.MonkeyPatch, shell: str, *words: str) -> list[str]:
    with patch.context() as inner:
        inner.setenv("_MENSHEN_COMPLETE", f"complete_{shell}")
        inner.setenv("COMP_WORDS", " ".join(words))
        inner.setenv("COMP_CWORD", str(len(words) - 1))
        return [line for line in run(inner).out.splitlines() if line]


def test_names_of_residents_panels_and_commands_are_completed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(monkeypatch, "bash", "menshen", "enrol", "A") == ["Ann"]
    assert offered(monkeypatch, "bash", "menshen", "wipe", "W") == ["Wang\\ Fang"]
    assert offered(monkeypatch, "bash", "menshen", "panel", "retire", "f") == ["front\\ door"]
    assert offered(monkeypatch, "bash", "menshen", "log", "--panel", "f") == ["front\\ door"]
    assert offered(monkeypatch, "bash", "menshen", "resident", "mo") == ["move-out"]
    assert offered(monkeypatch, "bash", "menshen", "enrol", "Nobody") == []


def test_completion_makes_no_registry_and_says_nothing_of_a_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENSHEN_SITE", str(tmp_path / "none.db"))
    assert offered(monkeypatch, "bash", "menshen", "enrol", "A") == []
    assert not list(tmp_path.iterdir())
    (tmp_path / "none.db").write_text("no database")
    assert offered(monkeypatch, "bash", "menshen", "enrol", "A") == []


def test_colour_is_for_terminals_without_no_color(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    piped = run(monkeypatch, "resident", "list")
    assert "\x1b" not in piped.out + piped.err and "301\tAnn" in piped.out
    monkeypatch.setenv("TERM", "xterm-256color")
    for no_color, coloured in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", no_color)
        out = Terminal()
        monkeypatch.setattr(sys, "stderr", out)
        assert list(progress([1, 2], "Counting")) == [1, 2]
        with waiting("Waiting"):
            pass
        assert bool(COLOUR.search(out.getvalue())) == coloured and "Counting" in out.getvalue()


def test_a_table_shows_names_as_they_are(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks like markup is somebody's name."""
    with Site.open(site) as opened, opened.registry.transaction() as db:
        db.execute("UPDATE residents SET name = '[red]Ann' WHERE name = 'Ann'")
    out = Terminal()
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["menshen", "resident", "list"])
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.raises(SystemExit):
        cli.main()
    assert "[red]Ann" in out.getvalue()


def test_status_tells_a_silent_panel_and_what_is_overdue_by_its_exit_code(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = run(monkeypatch, "status", "--json")
    (panel,) = json.loads(silent.out)["panels"]
    assert silent.code == 3 and panel["answers"] is False and panel["last_seen"] == 0 and panel["problems"]
    assert run(monkeypatch, "status", "--offline").code == 0
    with Site.open(site) as opened, opened.registry.transaction() as db:
        db.execute(
            "INSERT INTO deadlines (handle, panel_id, cause, reference, opened, due, state) "
            "SELECT ?, panel_id, 'request', '', 1, 2, 'pending' FROM panels",
            (os.urandom(8),),
        )
    late = run(monkeypatch, "status", "--offline", "--json")
    assert late.code == 18 and json.loads(late.out)["panels"][0]["overdue"] == 1
    told = run(monkeypatch, "status")
    assert told.code == 18 and "does not answer" in told.out + told.err and "deadlines --retry" in told.err


def test_stdout_holds_one_document_also_when_something_fails(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, code in (
        (("panel", "status"), 3),
        (("panel", "explode"), 2),
        (("consent", "show", "Ann"), 5),
        (("status",), 3),
        (("resident", "add"), 2),
    ):
        failed = run(monkeypatch, *words, "--json")
        assert failed.code == code and failed.err.strip(), words
        document = json.loads(failed.out)
        assert "panels" in document or (document["exit_code"] == code and document["message"]), words


def test_a_question_is_asked_of_somebody_only_and_a_wrong_word_changes_nothing(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = run(monkeypatch, "panel", "retire", "front door")
    assert nobody.code == 2 and "--yes" in nobody.err
    for typed, code in (("no\n", 2), ("front door\n", 0)):
        stdin = Terminal(typed)
        with monkeypatch.context() as inner:
            inner.setattr(sys, "argv", ["menshen", "panel", "retire", "front door"])
            inner.setattr(sys, "stdin", stdin)
            with pytest.raises(SystemExit) as end:
                cli.main()
        assert int(end.value.code or 0) == code
    assert json.loads(run(monkeypatch, "panel", "list", "--json").out) == []
