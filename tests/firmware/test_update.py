"""Updates on a real LittleFS: staged, checked, switched, tried; the power cut after every operation of the flash."""

import asyncio
import json
import os
import struct
import sys
from hashlib import sha256

from firmware.base.errors import AuthError, BadRequest, MenshenError, Refused
from firmware.base.version import VERSION
from firmware.crypto import ed25519
from firmware.link import bundle
from firmware.services import trial
from firmware.services.update import Update
from firmware.start import archive, slots
from tests.firmware.vault_house import refused

ROOT = "/fs"
SEED = b"the maker's key, nobody else's.."
KEY = ed25519.public_key(SEED)
BLOCK, BLOCKS = 4096, 40
NEW = "7.2.0"


class Flash:
    """esp32.Partition's block protocol over RAM.

    Of the operation after `cut_after` half is done, of later ones nothing. Whatever still runs then changes nothing
    more, as if it did not run.
    """

    def __init__(self, image=None):
        self.memory = bytearray(image) if image else bytearray(b"\xff" * (BLOCK * BLOCKS))
        self.cut_after = None
        self.operations = 0

    def readblocks(self, block, buf, offset=0):
        at = block * BLOCK + offset
        buf[:] = self.memory[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=None):
        if offset is None:
            self.ioctl(6, block)
        at = block * BLOCK + (offset or 0)
        for i in range(self._share(len(buf))):
            self.memory[at + i] &= buf[i]

    def ioctl(self, operation, argument):
        if operation == 4:
            return BLOCKS
        if operation == 5:
            return BLOCK
        if operation == 6:
            at = argument * BLOCK
            share = self._share(BLOCK)
            self.memory[at : at + share] = b"\xff" * share
            return 0

    def _share(self, size: int) -> int:
        """How many bytes this operation changes."""
        self.operations += 1
        if self.cut_after is None:
            return size
        self.cut_after -= 1
        return size if self.cut_after >= 0 else size // 2 if self.cut_after == -1 else 0


class Panel:
    """What the update's service needs of the app's Panel."""

    name = "test"
    maintenance = False

    def __init__(self):
        self.board = self.vault = self.watchdog = self.face = self.supervisor = self.uptime = self
        self.root = ROOT
        self.log = []
        self.restarts = self.deaths = 0
        self.has_camera, self.ready = True, True
        self.now = 0

    def append(self, kind, detail=b""):
        self.log.append(detail)

    def relax(self):
        pass

    def beat(self, name):
        pass

    def restart(self):
        self.restarts += 1

    def seconds(self):
        return self.now

    def entropy(self, n):
        return os.urandom(n)


def mount(flash, make=False):
    if make:
        os.VfsLfs2.mkfs(flash)
    try:
        os.umount(ROOT)
    except OSError:
        pass
    os.mount(os.VfsLfs2(flash), ROOT)


def pak(text: bytes) -> bytes:
    """An archive of one module."""
    index = bytes([6]) + b"app.py" + struct.pack(archive.ENTRY, 0, len(text), len(text))
    head = struct.pack(archive.HEADER, archive.MAGIC, 1, len(index), b"")[:-32]
    return head + sha256(head + index + text).digest() + index + text


def contents(version: str, embedder: int = 1) -> dict:
    return {
        "board.py": b"VERSION = '" + version.encode() + b"'\n",
        "firmware.pak": pak((version.encode() + b" ") * 900),
        "packs/embedder.pack": bytes([embedder]) * 5000,
    }


def manifest(held: dict, version: str, **fields) -> bytes:
    listed = [[name, len(body), sha256(body).digest().hex()] for name, body in sorted(held.items())]
    found = {
        "format": 1,
        "board": "test",
        "version": version,
        "needs": {"firmware": "0"},
        "mpy": 0,
        "vault": 1,
        "downgrade": False,
        "models": {"embedder": "00"},
        "files": listed,
    }
    found.update(fields)
    return json.dumps(found).encode()


def signed(text: bytes, seed=SEED) -> dict:
    return {"manifest": text, "sig": ed25519.sign(seed, bundle.SIGNED + text)}


def write(slot: str, files: dict, text: bytes) -> None:
    for folder in (slot, slot + "/packs"):
        os.mkdir(ROOT + "/" + folder)
    files = dict(files)
    files["manifest.json"] = text
    for name, body in files.items():
        with open(ROOT + "/" + slot + "/" + name, "wb") as file:
            file.write(body)


def house() -> tuple:
    """(flash, panel, update): a flashed panel that runs slot a and trusts KEY."""
    if "/a" not in sys.path:
        sys.path.append("/a")
    flash = Flash()
    mount(flash, make=True)
    files = contents(VERSION)
    write("a", files, manifest(files, VERSION))
    with open(ROOT + "/settings.json", "w") as file:
        file.write("{}")
    panel = Panel()
    update = Update(panel)
    update.pin(KEY)
    return flash, panel, update


FILES = contents(NEW)
TEXT = manifest(FILES, NEW)
BUNDLE = signed(TEXT)


def send(update, files=FILES, package=BUNDLE, chunk=3072) -> None:
    for item in update.begin(**package)["files"]:
        body, have = files[item["name"]], item["have"]
        while not item["here"] and have < len(body):
            have = update.data(item["name"], have, body[have : have + chunk])["have"]


def refuses(error, update, package) -> bool:
    return refused(error, update.begin, package["manifest"], package["sig"])


def finish(update) -> None:
    while asyncio.run(update.finish())["left"]:
        pass


def install(update, files=FILES, package=BUNDLE, version=NEW) -> None:
    send(update, files, package)
    finish(update)
    update.switch(version)


def abandon(update) -> None:
    try:
        update._close()
    except OSError:
        pass


def is_new(slot: str) -> bool:
    for name, body in FILES.items():
        with open(ROOT + "/" + slot + "/" + name, "rb") as file:
            if file.read() != body:
                return False
    return True


def test_an_update_is_staged_checked_and_switched_to():
    _, panel, update = house()
    send(update)
    assert slots.read(ROOT)["slot"] == "a", "nothing is switched before every file is checked"
    assert refused(Refused, update.switch, NEW)
    finish(update)
    update.switch(NEW)
    assert panel.restarts == 1 and panel.log[-1] == b"switch 7.2.0"
    assert slots.read(ROOT)["trial"] == slots.TRIES and slots.choose(ROOT) == "b" and is_new("b")
    update.switch(NEW)
    assert panel.restarts == 1, "said again it is not done again"


def test_what_the_running_firmware_has_is_not_sent():
    _, _, update = house()
    begun = update.begin(**BUNDLE)
    assert {item["name"]: item["here"] for item in begun["files"]} == {
        "board.py": False,
        "firmware.pak": False,
        "packs/embedder.pack": True,
    }
    install(update)
    assert slots.choose(ROOT) == "b" and is_new("b")


def test_a_cut_after_any_operation_leaves_firmware_that_starts_and_the_update_goes_on():
    flash, _, update = house()
    base = bytes(flash.memory)
    before = flash.operations
    install(update)
    total = flash.operations - before
    assert 30 < total < 400, total
    states = set()
    for cut in range(total):
        flash = Flash(base)
        mount(flash)
        flash.cut_after = cut
        update = Update(Panel())
        try:
            install(update)
        except (OSError, MenshenError):  # it notices sooner or later that nothing is kept
            pass
        abandon(update)
        assert flash.cut_after < 0, "operation %d of %d never came" % (cut, total)
        flash = Flash(flash.memory)
        mount(flash)
        with open(ROOT + "/settings.json") as file:
            assert file.read() == "{}"
        slot = slots.choose(ROOT)
        states.add(slot)
        assert slots.whole(slot, ROOT) and slots.version(slot, ROOT) == (NEW if slot == "b" else VERSION), cut
        if slot == "b":
            assert is_new("b"), cut
            continue
        assert slots.read(ROOT)["trial"] is None
        install(Update(Panel()))
        assert slots.choose(ROOT) == "b" and is_new("b"), cut
    assert states <= {"a", "b"} and "a" in states


def test_a_cut_during_trial_and_confirmation_leaves_one_of_the_two():
    flash, _, update = house()
    install(update)
    base = bytes(flash.memory)
    before = flash.operations
    slots.choose(ROOT)
    trial.update.confirm(Panel())
    for cut in range(flash.operations - before):
        flash = Flash(base)
        mount(flash)
        flash.cut_after = cut
        try:
            slots.choose(ROOT)
            trial.update.confirm(Panel())
        except OSError:
            pass
        mount(Flash(flash.memory))
        record = slots.read(ROOT)
        assert record["slot"] == "b" and record["trial"] in (slots.TRIES, slots.TRIES - 1, None), (cut, record)
        assert slots.choose(ROOT) == "b"


def test_firmware_that_does_not_come_up_gives_way():
    house_ = house()
    install(house_[2])
    for _ in range(slots.TRIES):
        assert slots.choose(ROOT) == "b"
    assert slots.choose(ROOT) == "a"
    assert slots.read(ROOT)["failed"] == {"version": NEW, "why": "it did not come up"}
    assert slots.choose(ROOT) == "a" and slots.read(ROOT)["trial"] is None


def test_confirmed_firmware_stays_and_older_firmware_is_refused():
    _, panel, update = house()
    install(update)
    slots.choose(ROOT)
    trial.update.confirm(panel)
    record = slots.read(ROOT)
    record["floor"] = NEW  # this process runs VERSION; the panel would say NEW
    slots.write(record, ROOT)
    for _ in range(slots.TRIES + 2):
        assert slots.choose(ROOT) == "b"
    older = contents("7.1.9")
    text = manifest(older, "7.1.9")
    assert refuses(Refused, Update(panel), signed(text)), "below what was confirmed"
    text = manifest(older, "7.1.9", downgrade=True)
    assert Update(panel).begin(**signed(text))["version"] == "7.1.9", "unless the maker signed that"


def test_a_damaged_slot_gives_way_to_a_whole_one():
    house()
    write("b", FILES, TEXT)
    with open(ROOT + "/a/firmware.pak", "r+b") as file:
        file.seek(200)
        file.write(b"\x00\x01")
    assert slots.choose(ROOT) == "b" and slots.read(ROOT)["failed"]["why"] == "its files are damaged"
    os.remove(ROOT + "/b/board.py")
    assert slots.choose(ROOT) == ""


def test_a_record_that_cannot_be_read_starts_what_was_flashed():
    house()
    for text in ("", "nonsense", "[]", '{"slot": "c", "trial": "x", "floor": 3, "failed": []}'):
        with open(ROOT + "/" + slots.RECORD, "w") as file:
            file.write(text)
        assert slots.choose(ROOT) == "a"


def test_only_what_the_maker_signed_for_this_panel_is_taken():
    _, panel, update = house()
    wrong = signed(TEXT, b"somebody else's key, not trusted")
    assert refuses(AuthError, update, wrong)
    assert refuses(AuthError, update, dict(BUNDLE, manifest=TEXT.replace(b"7.2.0", b"7.2.1")))
    for fields in (
        {"board": "other"},
        {"needs": {"firmware": "99.0"}},
        {"vault": 0},
        {"mpy": 5},
        {"version": "0.0.1"},
    ):
        fields.setdefault("version", NEW)
        version = fields.pop("version")
        assert refuses(Refused, update, signed(manifest(FILES, version, **fields))), fields
    for fields in ({"format": 2}, {"files": []}, {"files": [["../main.py", 1, "0" * 64]]}, {"models": 3}):
        assert refuses(BadRequest, update, signed(manifest(FILES, NEW, **fields))), fields
    for text in (b"[]", b"{", b"\xff\xfe", b'{"format": 1}'):
        assert refuses(BadRequest, update, signed(text)), text
    huge = dict(FILES)
    huge["packs/embedder.pack"] = b"x" * (BLOCK * BLOCKS)
    assert refuses(Refused, update, signed(manifest(huge, NEW))), "no room"
    os.remove(ROOT + "/update.key")
    assert refuses(Refused, update, BUNDLE), "no key is pinned"
    assert panel.restarts == 0 and slots.choose(ROOT) == "a"


def test_the_key_is_pinned_once():
    _, panel, update = house()
    other = bytes(32)
    update.pin(KEY)
    assert refused(Refused, update.pin, other) and update.key() == KEY
    panel.maintenance = True
    update.pin(other)
    assert update.key() == other


def test_data_comes_in_order_and_may_come_again():
    _, _, update = house()
    assert refused(Refused, update.data, "board.py", 0, b"x")
    update.begin(**BUNDLE)
    body = FILES["firmware.pak"]
    assert update.data("firmware.pak", 0, body[:100]) == {"have": 100}
    assert update.data("firmware.pak", 0, body[:100]) == {"have": 100}
    assert update.data("firmware.pak", 50, body[50:100]) == {"have": 100}
    assert refused(BadRequest, update.data, "firmware.pak", 101, b"x")
    assert refused(BadRequest, update.data, "firmware.pak", 100, b"x" * len(body))
    assert refused(BadRequest, update.data, "main.py", 0, b"x")


def test_a_file_that_is_not_as_signed_is_sent_again():
    _, _, update = house()
    send(update, dict(FILES, **{"board.py": bytes(len(FILES["board.py"]))}))
    try:
        finish(update)
        raise AssertionError("not reached")
    except Refused as error:
        assert "send it again" in str(error)
    assert refused(Refused, update.switch, NEW)
    install(update)
    assert slots.choose(ROOT) == "b" and is_new("b")


def test_another_update_begins_from_nothing():
    _, _, update = house()
    send(update)
    files = contents("8.0", 2)
    install(update, files, signed(manifest(files, "8.0")), "8.0")
    assert slots.choose(ROOT) == "b" and slots.version("b", ROOT) == "8.0"


def on_trial() -> Panel:
    """As the new firmware sees it: its slot is the one that runs."""
    _, panel, update = house()
    install(update)
    slots.choose(ROOT)
    sys.path[sys.path.index("/a")] = "/b"
    panel.restarts = 0
    return panel


def watched(panel) -> dict:
    """The boot record after the trial's task has had its time."""

    async def act():
        task = asyncio.create_task(trial.run(panel))
        for _ in range(200):
            await asyncio.sleep_ms(0)
            if not trial.on(panel):
                break
        task.cancel()

    real, trial.asyncio = trial.asyncio, Hurried()
    try:
        asyncio.run(act())
    finally:
        trial.asyncio = real
        sys.path[sys.path.index("/b")] = "/a"
    return slots.read(ROOT)


class Hurried:
    async def sleep_ms(self, ms):
        await asyncio.sleep_ms(0)

    async def sleep(self, s):
        await asyncio.sleep_ms(0)


class Examiner:
    def __init__(self, verdicts):
        self.verdicts = verdicts

    async def run(self, check, release):
        return {"verdict": self.verdicts.get(check, "ok")}


def examined(panel, **verdicts) -> dict:
    real, trial.selftest.Selftest = trial.selftest.Selftest, lambda panel: Examiner(verdicts)
    try:
        return watched(panel)
    finally:
        trial.selftest.Selftest = real


def test_firmware_that_works_confirms_itself():
    panel = on_trial()
    panel.now = 20
    record = examined(panel)
    assert record["slot"] == "b" and record["trial"] is None and panel.restarts == 0


def test_it_waits_before_it_believes_itself():
    panel = on_trial()
    panel.now = 19
    assert examined(panel)["trial"] is not None


def test_dead_tasks_bad_models_and_a_failed_check_send_it_back():
    for change in ("deaths", "models", "check"):
        panel = on_trial()
        panel.now = 20
        panel.deaths = int(change == "deaths")
        panel.ready = change != "models"
        record = examined(panel, vault="failed" if change == "check" else "ok")
        assert record["slot"] == "a" and record["failed"]["version"] == NEW and panel.restarts == 1, change
