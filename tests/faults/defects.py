"""Defects to plant, so that it can be seen that the campaign finds them."""

from firmware.base.errors import HalError
from firmware.vault import blocks, clearance, keys, wipe
from firmware.vault import records as records_
from firmware.vault import vault as vault_
from tests.faults.rig import Rig, Unsigned


class _NoReadBack(blocks.Blocks):
    """Believes the flash when it says that it erased."""

    def erase(self, block: int) -> None:
        try:
            self._flash.erase(block)
        except HalError:
            pass


class _NoJournal(wipe.Wiper):
    """Erases without a word before: what a cut leaves is not known to be a wipe."""

    def begin(self, block: int, kind: int, reason: str, handle) -> None:
        if block not in self._audit.pending:
            due = 1 if kind == 1 and reason != "unfinished" else 0
            entry = _Intent(block, kind, wipe.reason_code(reason), handle, due, self._blocks.digest(block))
            self._audit.pending[block] = entry


class _Intent:
    place = -1

    def __init__(self, block, kind, reason, handle, flags, digest):
        self.block, self.record_type, self.reason = block, kind, reason
        self.handle, self.flags, self.payload = handle, flags, digest


class _CommitFirst(records_.Records):
    """Commits before the body is there."""

    def write(self, block: int, header, body) -> None:
        records_.Records.commit(self, block)
        records_.Records.write(self, block, header, body)

    def classify(self, block: int) -> tuple:
        state, header = records_.Records.classify(self, block)
        return (records_.COMMITTED if state == records_.CORRUPT else state), header

    def commit(self, block: int) -> None:
        pass


class _ForgetsReceipts(Unsigned):
    """Lets the log's ring take unacknowledged receipts away."""

    def _load(self) -> dict:
        summary = Unsigned._load(self)
        self._audit.keep = lambda entries: None
        return summary


class _ClearsWithoutLooking(Unsigned):
    """Signs the clearance whatever became of the erases."""

    def clear(self):
        places = self._places_to_clear()
        for place in places:
            self._clear(place)
            yield 0
        fields = clearance.Clearance(self.keys.panel_id, self.keys.facts, 0, len(places))
        self._key_store.store_clearance(clearance.build(fields, self._sign))


class _WipesByFlag(wipe.Wiper):
    """Marks the record as deleted and leaves its bytes: what most file systems do."""

    def finish(self, block: int):
        return self._audit.done(block)


class _EatsNewerKeys(keys.KeyStore):
    """Takes newer firmware's keys for rubbish."""

    def load(self):
        for place in self._places:
            if self._blocks.read(place, 5)[4] > 1:
                self._blocks.erase(place)
        return keys.KeyStore.load(self)


def _rig_with(vault_class):
    return lambda: Rig(vault_class)


def _patched(name: str, value):
    setattr(vault_, name, value)
    return Rig


DEFECTS = {
    "none": lambda: Rig,
    "no-read-back": lambda: _patched("Blocks", _NoReadBack),
    "no-journal": lambda: _patched("Wiper", _NoJournal),
    "commit-first": lambda: _patched("Records", _CommitFirst),
    "wipe-by-flag": lambda: _patched("Wiper", _WipesByFlag),
    "forgets-receipts": lambda: _rig_with(_ForgetsReceipts),
    "clears-without-looking": lambda: _rig_with(_ClearsWithoutLooking),
    "eats-newer-keys": lambda: _patched("KeyStore", _EatsNewerKeys),
}


def plant(name: str):
    """The rig to use, with the defect in place."""
    return DEFECTS[name]()
