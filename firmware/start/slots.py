"""The two slots, /a and /b, of which one runs: board.py, firmware.pak (or a folder firmware) and packs/ in each.

The boot record says which. It is replaced in one step of the filesystem, so that a cut leaves the old one or the new:

    slot     the one that runs
    trial    how often it may still be started before it counts as failed; null once it has been confirmed
    floor    the highest version that was confirmed; an update below it is refused
    failed   {"version", "why"} of the last update that was given up, or null

A slot on trial that is not confirmed in TRIES starts, whatever ended them, gives way to the other one; so does one
whose archive is damaged. Nothing here needs the firmware: /boot.py runs it before there is any.
"""

import json
import os
import sys

SLOTS = ("a", "b")
TRIES = 3
RECORD = "boot.json"
MANIFEST = "manifest.json"
CRASH = "crash.txt"

_MOST_BYTES = 4096
_AGAIN_S = 5
_MARK = b"\xff" * 64

# Set by /boot.py.
closed = False  # the panel has an owner, so that no failure may end at its prompt
restart = None  # a function that resets the board


def path(root: str, name: str) -> str:
    """Relative below "/": the unix port renames no absolute path in a mounted directory."""
    return root + "/" + name if root else name


def read(root: str = "") -> dict:
    """The boot record; what cannot be read of it is as after flashing."""
    stored = _json(path(root, RECORD))
    trial, failed = stored.get("trial"), stored.get("failed")
    return {
        "slot": stored.get("slot") if stored.get("slot") in SLOTS else SLOTS[0],
        "trial": trial if isinstance(trial, int) else None,
        "floor": stored.get("floor") if isinstance(stored.get("floor"), str) else "",
        "failed": failed if isinstance(failed, dict) else None,
    }


def write(record: dict, root: str = "") -> None:
    temporary = path(root, RECORD + ".new")
    with open(temporary, "w") as file:
        json.dump(record, file)
    os.rename(temporary, path(root, RECORD))


def other(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]


def manifest(slot: str, root: str = "") -> dict:
    """What the slot says of itself; {} without one."""
    return _json(path(root, slot + "/" + MANIFEST)) if slot else {}


def version(slot: str, root: str = "") -> str:
    found = manifest(slot, root).get("version")
    return found if isinstance(found, str) else ""


def give_up(record: dict, why: str, root: str = "") -> None:
    """The slot that is tried has failed: the other one runs from the next start on."""
    record["failed"] = {"version": version(record["slot"], root), "why": why}
    record["slot"] = other(record["slot"])
    record["trial"] = None
    write(record, root)


def choose(root: str = "") -> str:
    """The slot to run now, one start of a trial counted; "" when neither is whole."""
    record = read(root)
    if record["trial"] is not None:
        if record["trial"] <= 0:
            give_up(record, "it did not come up", root)
        else:
            record["trial"] -= 1
            write(record, root)
    if whole(record["slot"], root):
        return record["slot"]
    if not whole(other(record["slot"]), root):
        return ""
    give_up(record, "its files are damaged", root)
    return record["slot"]


def whole(slot: str, root: str = "") -> bool:
    """An archive carries its own digest; of a folder there is none to check."""
    folder = path(root, slot)
    try:
        names = os.listdir(folder)
        if "firmware.pak" in names:
            _archive(folder + "/firmware.pak").umount()
        return "board.py" in names and ("firmware.pak" in names or "firmware" in names)
    except (OSError, ValueError):
        return False


def running() -> str:
    """The slot that was started, found by its place among the import paths; "" where there is none."""
    for slot in SLOTS:
        if "/" + slot in sys.path:
            return slot
    return ""


def pack_path(root: str, name: str) -> str:
    """Where the model pack `name` of the running slot lies."""
    slot = running()
    return "%s/%spacks/%s.pack" % (root, slot + "/" if slot else "", name)


def start() -> None:
    """Makes `board` and `firmware` importable. A folder /firmware, put there by a developer, goes before the slot's."""
    os.chdir("/")  # relative paths, which imports are, then reach what is mounted below
    slot = choose()
    if not slot:
        raise OSError("neither slot holds firmware")
    if "firmware.pak" in os.listdir(slot) and "firmware" not in os.listdir("/"):
        os.mount(_archive(slot + "/firmware.pak"), "/firmware")
    sys.path.insert(1, "/" + slot)


def crashed(error, in_service: bool) -> None:
    """Keeps what went wrong for a bug report, and starts again; returns where the REPL may follow."""
    sys.print_exception(error)
    try:
        with open(CRASH, "w") as file:
            sys.print_exception(error, file)
    except OSError:
        pass
    on_trial = read()["trial"] is not None
    if closed or in_service or on_trial:
        import time

        time.sleep(1 if on_trial else _AGAIN_S)
        restart()


def has_keys(readblocks) -> bool:
    """Whether the vault behind `readblocks` (esp32.Partition's) has an owner: its keys are in the first two blocks."""
    head = bytearray(len(_MARK))
    for block in (0, 1):
        readblocks(block, head, 0)
        if head != _MARK:
            return True
    return False


def _archive(name: str):
    try:
        from archive import Archive
    except ImportError:  # in the firmware, where this is a module of it
        from firmware.start.archive import Archive

    return Archive(name)


def _json(name: str) -> dict:
    try:
        with open(name) as file:
            found = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
