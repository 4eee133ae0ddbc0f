"""A signed update, staged in the slot that does not run, while the door works.

Nothing of the running slot is touched, and nothing of the other one is started, before every file has its hash and
one write of the boot record (start/slots.py) says so. What was staged outlives a restart: the next `begin` with the
same manifest goes on where it stopped. Its own checks and the host's word end the trial that follows (trial.py).
"""

import asyncio
import os
import sys
from hashlib import sha256

from firmware.base.compat import const
from firmware.base.errors import AuthError, BadRequest, Refused
from firmware.base.ticks import ticks_diff, ticks_ms
from firmware.base.version import VERSION
from firmware.crypto import ed25519
from firmware.link import bundle
from firmware.start import slots
from firmware.vault import layout

KEY_FILE = "update.key"

_KEY_BYTES = const(32)
_PART = "manifest.part"  # the manifest of what is being staged
_STEP = const(4096)
_FLUSH = const(32 * 1024)  # after so many bytes a cut loses nothing more
_REPLY_MS = const(1200)  # how long a request works before it tells how much is left
_SPARE = const(40 * 1024)  # that the filesystem needs for itself
_MOST_CRASH = const(800)


class Update:
    """`panel` is the app's Panel. One is made when the first operation comes, and stays."""

    def __init__(self, panel):
        self._panel = panel
        self._root = panel.board.root
        self._running = slots.running() or slots.SLOTS[0]
        self._slot = slots.other(self._running)
        self._manifest = None
        self._have = {}
        self._file = None  # (name, open file, bytes since the last flush)
        self._steps = None
        self._left = 0
        self._whole = False

    # Whose updates

    def pin(self, key: bytes) -> None:
        pinned = self.key()
        if pinned == key:
            return
        if pinned is not None and not self._panel.maintenance:
            raise Refused("another update key is pinned: replace it in maintenance")
        name = slots.path(self._root, KEY_FILE)
        try:
            with open(name + ".new", "wb") as file:
                file.write(key)
            os.rename(name + ".new", name)
        except OSError as error:
            raise Refused("the panel's filesystem does not take the key: error %d" % error.errno) from None
        self._panel.vault.append("update", detail=b"key")

    def key(self):
        """The pinned key, or None."""
        try:
            with open(slots.path(self._root, KEY_FILE), "rb") as file:
                key = file.read(_KEY_BYTES + 1)
        except OSError:
            return None
        return key if len(key) == _KEY_BYTES else None

    # Staging

    def begin(self, manifest: bytes, sig: bytes) -> dict:
        """Refuses what must not be installed here; clears the other slot unless it holds a part of this very update."""
        found = self._checked(manifest, sig)
        if self._manifest is None or self._text != manifest:
            self._close()
            self._manifest, self._text = None, manifest
            if self._staged() != manifest:
                self._clear()
                self._check_room(found)
                self._write_part(manifest)
            self._manifest = found
            self._have = {name: self._size(self._path(name)) for name in found.files}
            self._steps, self._whole = None, False
        files = [{"name": name, "have": self._have[name], "here": self._is_here(name)} for name in sorted(found.files)]
        return {"version": found.version, "files": files}

    def data(self, name: str, offset: int, data: bytes) -> dict:
        """The next bytes of a file; those that are there already may come again."""
        if self._manifest is None:
            raise Refused("no update has been begun")
        if name not in self._manifest.files:
            raise BadRequest("the manifest lists no such file")
        have = self._have[name]
        if offset + len(data) <= have:
            return {"have": have}
        if offset != have or have + len(data) > self._manifest.files[name][0]:
            raise BadRequest("these are not the file's next bytes")
        self._append(name, data)
        self._steps, self._whole = None, False
        return {"have": self._have[name]}

    async def finish(self) -> dict:
        """Works for a while: copies what the running slot has, then reads everything back against its hash.

        A file that differs is removed, and Refused says which: it must be sent again.
        """
        if self._manifest is None:
            raise Refused("no update has been begun")
        self._close()
        if self._steps is None and not self._whole:
            self._steps = self._finish_steps()
        started = ticks_ms()
        while self._steps is not None and ticks_diff(ticks_ms(), started) < _REPLY_MS:
            try:
                next(self._steps)
            except StopIteration:
                self._steps, self._whole, self._left = None, True, 0
            except Refused:
                self._steps = None
                raise
            self._panel.board.watchdog.relax()
            self._panel.beat("link")
            await asyncio.sleep(0)
        return {"left": self._left}

    # Switching

    def switch(self, version: str) -> None:
        record = slots.read(self._root)
        if record["slot"] == self._slot and record["trial"] is not None:
            return  # asked again, before the restart
        if not self._whole or self._manifest.version != version:
            raise Refused("the update is not complete: it cannot be switched to")
        _remove(slots.path(self._root, slots.CRASH))
        record.update(slot=self._slot, trial=slots.TRIES, failed=None)
        slots.write(record, self._root)
        self._panel.vault.append("update", detail=b"switch " + version.encode()[:24])
        self._panel.restart()

    def verdict(self, version: str, well: bool) -> None:
        """Said again it changes nothing more."""
        if version != VERSION:
            raise Refused("another version runs than this verdict is about")
        record = slots.read(self._root)
        if record["trial"] is None:
            if not well:
                raise Refused("this firmware was confirmed: install the other one as an update")
            return
        if well:
            confirm(self._panel)
        else:
            give_up(self._panel, "the host was not satisfied")

    def state(self) -> dict:
        record = slots.read(self._root)
        other = slots.other(self._running)
        answer = {
            "slot": self._running,
            "version": VERSION,
            "trial": record["slot"] == self._running and record["trial"] is not None,
            "other": slots.version(other, self._root) if slots.whole(other, self._root) else "",
            "floor": record["floor"],
        }
        if record["failed"]:
            answer["failed"] = record["failed"]
        key = self.key()
        if key:
            answer["key"] = key
        try:
            with open(slots.path(self._root, slots.CRASH)) as file:
                answer["crash"] = file.read(_MOST_CRASH)
        except OSError:
            pass
        return answer

    # What may be installed

    def _checked(self, text: bytes, sig: bytes) -> bundle.Manifest:
        key = self.key()
        if key is None:
            raise Refused("no update key is pinned on this panel")
        if not ed25519.verify(key, bundle.SIGNED + text, sig):
            raise AuthError("the update is not signed with the key that this panel trusts")
        found = bundle.Manifest(text)
        running, record = bundle.number(VERSION), slots.read(self._root)
        floor = max(running, bundle.number(record["floor"])) if record["floor"] else running
        if record["trial"] is not None:
            raise Refused("an update is being tried: wait until it is confirmed")
        if found.board != self._panel.board.name:
            raise Refused("the update is for another board: %s" % found.board)
        if running < found.needs:
            raise Refused("the update needs a newer firmware than this first")
        if found.number < floor and not found.downgrade:
            raise Refused("the update is older than what runs or ran here")
        if found.vault < layout.FORMAT:
            raise Refused("the update cannot read this panel's vault")
        if found.mpy and found.mpy != getattr(sys.implementation, "_mpy", 0) & 0xFF:
            raise Refused("the update is compiled for another MicroPython")
        return found

    def _check_room(self, found: bundle.Manifest) -> None:
        figures = os.statvfs(self._root or "/")
        if figures[0] * figures[4] < found.bytes + _SPARE:
            raise Refused("the update does not fit beside the running firmware")

    # Files of the other slot

    def _path(self, name: str) -> str:
        return slots.path(self._root, self._slot + "/" + name)

    def _clear(self) -> None:
        """The manifest goes first: what is left of a slot without one is no firmware."""
        for name in (slots.MANIFEST, _PART):
            _remove(self._path(name))
        _remove_tree(slots.path(self._root, self._slot))

    def _staged(self) -> bytes:
        """The manifest of what the other slot holds of an update that is not whole yet, else b""."""
        try:
            with open(self._path(_PART), "rb") as file:
                return file.read()
        except OSError:
            return b""

    def _write_part(self, text: bytes) -> None:
        for folder in (self._slot, self._slot + "/packs"):
            _make(slots.path(self._root, folder))
        with open(self._path(_PART), "wb") as file:
            file.write(text)

    def _size(self, path: str) -> int:
        try:
            return os.stat(path)[6]
        except OSError:
            return 0

    def _append(self, name: str, data: bytes) -> None:
        if self._file is None or self._file[0] != name:
            self._close()
            self._file = [name, open(self._path(name), "ab"), 0]  # noqa: SIM115, closed by _close
        self._file[1].write(data)
        self._file[2] += len(data)
        if self._file[2] >= _FLUSH:
            self._file[1].flush()
            self._file[2] = 0
        self._have[name] += len(data)

    def _close(self) -> None:
        if self._file:
            self._file[1].close()
            self._file = None

    def _is_here(self, name: str) -> bool:
        """Whether the running slot's own manifest lists the same file; its hash is looked at after the copy."""
        wanted = self._manifest.files[name]
        for item in slots.manifest(self._running, self._root).get("files", ()):
            if item[0] == name:
                return (item[1], item[2]) == wanted and self._size(self._running_path(name)) == wanted[0]
        return False

    def _running_path(self, name: str) -> str:
        return slots.path(self._root, self._running + "/" + name)

    def _finish_steps(self):
        """A step each 4 KB; sets how many bytes are left to read."""
        files = self._manifest.files
        self._left = self._manifest.bytes
        for name in sorted(files):
            if self._have[name] < files[name][0] and self._is_here(name):
                for _ in self._copy_steps(name):
                    yield
        for name in sorted(files):
            size, wanted = files[name]
            found, read = sha256(), 0
            if self._have[name] == size:
                with open(self._path(name), "rb") as file:
                    while read < size:
                        chunk = file.read(_STEP)
                        if not chunk:
                            break
                        found.update(chunk)
                        read += len(chunk)
                        self._left -= len(chunk)
                        yield
            if found.digest().hex() != wanted:
                _remove(self._path(name))
                self._have[name] = 0
                raise Refused("%s is not what the manifest says: send it again" % name)
        os.rename(self._path(_PART), self._path(slots.MANIFEST))

    def _copy_steps(self, name: str):
        self._have[name] = 0
        with open(self._running_path(name), "rb") as source, open(self._path(name), "wb") as target:
            while True:
                chunk = source.read(_STEP)
                if not chunk:
                    break
                target.write(chunk)
                self._have[name] += len(chunk)
                yield


def confirm(panel) -> None:
    """The trial is over: this firmware stays."""
    record = slots.read(panel.board.root)
    floor = record["floor"]
    record["trial"] = None
    record["floor"] = VERSION if not floor or bundle.number(VERSION) > bundle.number(floor) else floor
    slots.write(record, panel.board.root)
    _remove(slots.path(panel.board.root, slots.CRASH))
    panel.vault.append("update", detail=b"confirmed " + VERSION.encode()[:20])


def give_up(panel, why: str) -> None:
    """Back to the other slot, at once."""
    slots.give_up(slots.read(panel.board.root), why, panel.board.root)
    panel.vault.append("update", detail=b"given up " + VERSION.encode()[:20])
    panel.restart()


def _remove(path: str) -> None:
    try:
        os.remove(path)
    except OSError:
        pass


def _remove_tree(path: str) -> None:
    try:
        entries = list(os.ilistdir(path))
    except OSError:
        return
    for entry in entries:
        inner = path + "/" + entry[0]
        if entry[1] == 0x4000:
            _remove_tree(inner)
            os.rmdir(inner)
        else:
            os.remove(inner)


def _make(path: str) -> None:
    try:
        os.mkdir(path)
    except OSError:  # it is there
        pass
