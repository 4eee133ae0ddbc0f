"""Wipes that finish: intent in the journal, commit word struck out, erase, read-back of every byte, closing entry.

A block whose intent is in the journal is out of use, across restarts, until its closing entry is there; the
struck commit word says the same should the journal itself be damaged. When a block refuses to erase, the
failure is logged once, its bits are cleared instead, and each start tries again.
"""

from firmware.base.errors import EraseFailed, HalError
from firmware.vault.chain import RECEIPT_DUE
from firmware.vault.receipt import REASONS, reason_code
from firmware.vault.records import FACE, strike


class Wiper:
    def __init__(self, blocks, audit):
        self._blocks = blocks
        self._audit = audit

    @property
    def open_blocks(self):
        """The blocks whose wipe was begun and is not done."""
        return self._audit.pending.keys()

    def open_of(self, kind: int, handle) -> list:
        return [b for b, e in self._audit.pending.items() if (e.record_type, e.handle) == (kind, handle)]

    def was_done(self, block: int, sequence: int) -> bool:
        """Whether the block holds a record that is younger than its open wipe: then only the closing entry is lost,
        and the wipe must not be taken up again."""
        return sequence > self._audit.pending[block].sequence and self._audit.forget(block)

    def begin(self, block: int, kind: int, reason: str, handle) -> None:
        """From here on the record is gone for good; a block already begun is left as it is."""
        if block in self._audit.pending:
            return
        due = RECEIPT_DUE if kind == FACE and reason != "unfinished" else 0
        self._audit.intend(block, kind, reason_code(reason), handle, due, self._blocks.digest(block))
        try:
            strike(self._blocks, block)
        except HalError:
            pass  # the journal holds, and the erase will tell

    def finish(self, block: int):
        """The closing audit Entry; EraseFailed when the block resists."""
        try:
            self._blocks.erase(block)
        except EraseFailed:
            if block not in self._audit.failed:
                self._audit.failure(block)
            self._blocks.scrub(block)
            raise
        return self._audit.done(block)

    def resume(self) -> list:
        """Tries every open wipe; the blocks that could be finished."""
        finished = []
        for block in list(self.open_blocks):
            try:
                self.finish(block)
                finished.append(block)
            except EraseFailed:
                pass  # logged; it stays out of use
        return finished


def receipt_due(entry) -> bool:
    return entry.kind == "erase_done" and bool(entry.flags & RECEIPT_DUE) and entry.reason in REASONS
