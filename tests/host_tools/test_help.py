"""`--help` as a man page: every command has its sections, and every example in them runs, in one house and one day."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shlex
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools import cli
from host_tools.cli import fields
from host_tools.cli.help import Page, commands
from host_tools.demo.people import at_the_door, cast
from host_tools.enrol import templates_of
from host_tools.errors import EXIT_CODES
from host_tools.sim.control import Sim
from host_tools.vision.pictures import load_grey
from host_tools.vision.pipeline import FacePipeline
from tests.host_tools import stock
from tests.host_tools.test_cli_commands import Result, run

ROOT = Path(__file__).resolve().parents[2]
PORT = "/dev/ttyACM0"  # what the examples call a panel's port
COMMANDS = dict(commands(cli.app))
# The order of the day; what is not named comes in the order of the help, before the last ones.
FIRST = """
    sim start, panel provision, panel list, panel status, panel set-time, panel move, resident add, credential pin,
    credential card, sim card, sim keys, sim face, sim screen, sim status, consent notice, consent give, consent ask,
    consent show, image key, image bundle, panel update-key, panel update, enrol,
    wipe, receipt list, receipt save, receipt verify, consent withdraw, certificate
"""
LAST = "site key, site backup, site restore, resident move-out, panel retire, panel decommission, sim stop"
# Examples that are run somewhere else, since they take a machine of their own.
ELSEWHERE = {
    "demo": "tests/e2e/test_demo.py",
    "panel feed": "tests/e2e/test_selftest.py",
    "tech repl": "tests/e2e/test_tech.py",
}


def listed(words: str) -> list[str]:
    return [" ".join(word.split()) for word in words.split(",")]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_help_has_its_sections(words: str) -> None:
    command = COMMANDS[words]
    page = Page.of(command.help or "")
    assert page.purpose and page.changes.rstrip(".") and page.purpose[0].isupper(), words
    assert page.examples, f"{words} shows no example"
    assert all(example.startswith(f"$ menshen {words}".rstrip()) for example in page.examples), page.examples
    assert set(page.exits) <= set(EXIT_CODES)
    has_json = any("--json" in option.opts for option in command.params)
    assert bool(page.json) == has_json, f"{words}: --json and its fields"
    fields.parse(page.json or "{}")
    for other in page.see_also.split(", "):
        words_there = other.removeprefix("menshen ")
        known = words_there in COMMANDS or any(name.startswith(words_there + " ") for name in COMMANDS)
        assert not other.startswith("menshen ") or known or "COMMAND" in other, f"{words}: {other} does not exist"


def test_destructive_commands_can_be_tried_dry_and_scripted() -> None:
    """Whatever asks for a typed word has --yes and --dry-run, and the other way round."""
    for words, command in COMMANDS.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert ("--yes" in options) == ("--dry-run" in options), words
    for words in [
        "wipe",
        "resident move-out",
        "consent withdraw",
        "credential revoke",
        "credential lost",
        "panel retire",
        "panel decommission",
        "site restore",
        "site retention",
        "flash",
    ]:
        assert any("--dry-run" in parameter.opts for parameter in COMMANDS[words].params), words


def test_the_overview_names_every_exit_code() -> None:
    with pytest.MonkeyPatch.context() as patch:
        told = " ".join(run(patch, "--help").out.split())
    for code, meaning in EXIT_CODES.items():
        assert f" {code} {meaning}" in told


def test_every_command_in_the_pages_is_one_that_exists() -> None:
    """As they stand in the pages, `$ menshen ...` and `menshen ...`, every command and option is understood."""
    found = 0
    for page in ("host_tools/MANAGER.md", "README.md", "firmware/vault/README.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        shown = re.findall(r"^(?:\$ )?menshen (.+)$", text, re.MULTILINE) + re.findall(r"`menshen ([^`]+)`", text)
        for line in shown:
            words = shlex.split(line.split(" 2>")[0], comments=True)
            name = next((n for n in (" ".join(words[:2]), words[0]) if n in COMMANDS), None)
            inner = any(command.startswith(words[0] + " ") for command in COMMANDS)
            if (len(words) == 1 and inner) or words[0].isupper() or words[0].startswith("--"):
                continue  # a group, menshen COMMAND --help, menshen --install-completion
            assert name, f"{page}: menshen {line}"
            given = words[len(name.split()) :]
            if given and "--help" not in given and name not in ELSEWHERE:
                COMMANDS[name].make_context(name, [word for word in given if word != "..."])
            found += 1
    assert found > 40


class Day:
    """A folder with what the examples name, in which they are typed one after the other."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        self.port = ""
        from PIL import Image

        grace, _ = cast(None)
        Image.fromarray(grace.portrait).save(folder / "ann.jpg", quality=95)
        self.view = at_the_door(load_grey(folder / "ann.jpg"), FacePipeline(), height=150)
        for name, text in {
            "signed.pdf": "a scan of the signed notice",
            "residents.csv": "姓名,房号,到期日期\nAnn,301,\nDing,304,2027-12-31\n",
            "passphrase.txt": "correct horse battery staple",
            "wifi.txt": "a password",
        }.items():
            (folder / name).write_text(text)
        stock.write(folder / "MICROPYTHON.bin", stock.release())

    def type(self, example: str, *more: str) -> Result:
        words = [self.port if word == PORT else word for word in shlex.split(example)[2:]]
        stdin = ""
        if "<" in words:
            at = words.index("<")
            stdin = (self.folder / words[at + 1]).read_text() + "\n"
            del words[at : at + 2]
        return run(self.patch, *words, *more, stdin=stdin)

    def before(self, words: str) -> contextlib.AbstractContextManager[object]:
        """What the people around do while a command runs."""
        if words == "panel provision":
            sim = Sim.attach(self.folder / "panel")
            self.port = sim.port
            assert sim.wait_console("app: ready", timeout=60)
            sim.close()
        if words == "credential pin":
            assert self.type("$ menshen resident add Ann --flat 301").code == 0
            assert self.type("$ menshen resident add Tim --flat 301 --under-14").code == 0
            record = json.loads(self.type("$ menshen panel list --json").out)[0]
            (self.folder / "door.pub").write_text(record["device_pub"])
        if words == "policy check":
            for name in ("Bob", "Carla", "Ding", "Tim"):
                assert self.type(f"$ menshen credential pin {name}").code == 0
        if words in ("panel maintenance", "panel camera", "panel calibrate") or words.startswith("tech "):
            return self.pressing("#")
        if words == "consent ask":
            return self.pressing("888888#")
        if words == "enrol":
            sim = Sim.attach(self.folder / "panel")
            sim.show(self.folder / "ann.jpg", **self.view)
            sim.close()
        return contextlib.nullcontext()

    def kept_of_her(self) -> list[str]:
        """Files of this computer that hold a piece of the picture or of a template, however written."""
        _, templates = templates_of(self.folder / "ann.jpg")
        picture = (self.folder / "ann.jpg").read_bytes()
        grey = load_grey(self.folder / "ann.jpg")
        pieces = [*templates, picture[1000:1064], *(bytes(grey[row, 100:164]) for row in range(80, 200, 20))]
        needles = {form for piece in pieces for form in (piece, piece.hex().encode(), base64.b64encode(piece)[:80])}
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name != "ann.jpg"]
        mine = [path for path in files if not path.relative_to(self.folder).parts[0].endswith("panel")]
        assert {path.name for path in mine} >= {"site.db", "signed.pdf"}
        return [str(path) for path in mine for data in [path.read_bytes()] if any(needle in data for needle in needles)]

    @contextlib.contextmanager
    def pressing(self, keys: str) -> Iterator[None]:
        stop = threading.Event()

        def press() -> None:
            sim = Sim.attach(self.folder / "panel")
            while not stop.wait(0.3):
                sim.press(keys)
            sim.close()

        thread = threading.Thread(target=press)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("day")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder / "home"))
        (folder / "tmp").mkdir()
        patch.setattr(tempfile, "tempdir", str(folder / "tmp"))
        patch.setenv("MENSHEN_SITE", str(folder / "site.db"))
        patch.setenv("MENSHEN_SIM", str(folder / "panel"))
        yield Day(folder, patch)
        for panel in ("panel", "second-panel"):
            with contextlib.suppress(Exception):
                Sim.attach(folder / panel).stop()


@pytest.mark.timeout(1800)
def test_every_example_runs_and_json_is_as_documented(day: Day) -> None:
    for words in ELSEWHERE:
        assert words in (ROOT / ELSEWHERE[words]).read_text()
    first, last = listed(FIRST), listed(LAST)
    assert {*first, *last} <= set(COMMANDS)
    between = [words for words in COMMANDS if words not in {*first, *last, *ELSEWHERE, ""}]
    wrong: list[str] = []
    for words in [*first, *between, *last]:
        page = Page.of(COMMANDS[words].help or "")
        with day.before(words):
            real = [example for example in page.examples if "--dry-run" not in example]
            for example in page.examples:
                # The last one that does something, and all dry runs, are asked for JSON too.
                with_json = bool(page.json) and (example not in real or example == real[-1])
                done = day.type(example, *(["--json"] if with_json and "--json" not in example else []))
                wrong += told_wrong(example, page, done, with_json or "--json" in example)
        if words in ("enrol", "resident move-out"):
            assert day.kept_of_her() == []
    assert not wrong, "\n".join(wrong)


def told_wrong(example: str, page: Page, done: Result, with_json: bool) -> list[str]:
    if done.code:
        return [f"{example}: exit code {done.code}: {done.err.strip()}"]
    if not with_json:
        return [] if done.out.strip() or page.json.startswith("[") else [f"{example} prints nothing"]
    if "--dry-run" in example:
        document = json.loads(done.out)
        plan = {name: value for name, value in document.items() if name not in ("dry_run", "would")}
        wrong = [] if document["dry_run"] is True and document["would"] else ["says not what it would do"]
        return [f"{example}: {problem}" for problem in wrong + (fields.mismatches(page.json, plan) if plan else [])]
    return [f"{example}: {problem}" for problem in dict.fromkeys(fields.mismatches(page.json, json.loads(done.out)))]
