"""Random histories: many steps, several cuts, blocks that resist for a while, bits that rot."""

import random

from firmware.base.errors import VaultError
from tests.faults.model import PEOPLE, Findings, Model
from tests.faults.rig import BLOCK, Rig, tearing

_STEPS = 14
_AUDIT = (4, 5, 6, 7)


class Dice:
    """Reproducible, whatever else uses the module's generator."""

    def __init__(self, seed: int):
        self._state = seed * 2654435761 + 12345 & 0xFFFFFFFF

    def below(self, n: int) -> int:
        self._state = self._state * 1664525 + 1013904223 & 0xFFFFFFFF
        return (self._state >> 8) % n

    def chance(self, percent: int) -> bool:
        return self.below(100) < percent

    def one(self, items):
        return items[self.below(len(items))]


def run(findings: Findings, seed: int, make_rig=Rig) -> None:
    dice = Dice(seed)
    random.seed(seed)
    model = Model(findings, make_rig)
    tag = seed % 100_000 * 100  # a tag has eight digits
    for _ in range(_STEPS):
        tag += 1
        _disturb(model, dice)
        cut_after = dice.below(9) if dice.chance(60) else None
        model.rig.faults.torn = tearing(dice.below(4), tag) if cut_after is not None else None
        if dice.chance(4):
            _give_up(model, dice, tag, None if cut_after is None else dice.below(90))
            continue
        name, step = _choose(model, dice, tag)
        cut = model.step(name, step, cut_after)
        while cut:
            again = dice.below(8) if dice.chance(35) else None
            model.rig.faults.torn = tearing(dice.below(4), tag + 50) if again is not None else None
            cut = model.reopen(again)
        model.rig.faults.torn = None
        if dice.chance(20):
            model.reopen()
        if findings.bad:
            findings.notes.append("seed %d" % seed)
            return
    _finish(model)
    findings.counts["histories"] += 1


def _choose(model: Model, dice: Dice, tag: int) -> tuple:
    handle = dice.one(PEOPLE)
    what = dice.below(20)
    if what < 6:
        return "enrol", model.enrol(handle, tag)
    if what < 11:
        return ("wipe", model.wipe(handle)) if model.faces[handle] else ("enrol", model.enrol(handle, tag))
    if what < 14:
        return "credential", model.credential(handle, tag)
    if what == 14 and model.blobs[handle]:
        return "drop", model.drop(handle)
    if what == 15:
        return "acknowledge", model.acknowledge()
    if what == 16:
        return "purge", model.purge()
    if what == 17 and model.faces[handle]:
        return "bury", model.bury(handle)
    if what == 18:
        return "count", model.count(model.numbers["link"] + 1 + dice.below(300))
    return "chatter", model.chatter(1 + dice.below(60))


def _disturb(model: Model, dice: Dice) -> None:
    faults = model.rig.faults
    if dice.chance(10):
        slots = [slot for _, slot in model.rig.vault._pool.index.items()]
        block = dice.one(slots)[0] if slots and dice.chance(80) else 8 + dice.below(16)
        block = dice.one(_AUDIT) if dice.chance(10) else block
        dice.one((faults.stuck, faults.failing, faults.weak)).add(block)
    elif dice.chance(25):
        for faulty in (faults.stuck, faults.failing, faults.weak):
            faulty.clear()
    if dice.chance(6):
        _rot(model, dice)
    if dice.chance(4):
        _meet_newer_firmware(model)


def _rot(model: Model, dice: Dice) -> None:
    """One bit flips while the power is off; what it hits may be lost, and nothing else."""
    kind = dice.below(4)
    if kind == 0:
        block, offset = dice.below(2), dice.below(296)
    elif kind == 1:
        block, offset = dice.one(_AUDIT), dice.below(BLOCK)
    else:
        records = [r for r in model.records if not r.gone]
        if not records:
            return
        record = dice.one(records)
        block, offset = record.block, dice.below(720)
        table = model.faces if record.is_face else model.blobs
        table[record.handle] = (table[record.handle], None)
        record.rotten = True
    model.rig.memory[block * BLOCK + offset] ^= 1 << dice.below(8)
    if kind == 1:  # whatever only the log knew may be unknown now
        model.receipts = {}
        for record in model.records:
            record.rotten = record.rotten or record.gone
    model.where = "rot in block %d at %d" % (block, offset)
    model.reopen()
    if kind > 1:
        model.reopen()


def _meet_newer_firmware(model: Model) -> None:
    """A vault that newer firmware wrote is refused and left as it is, to the last bit."""
    image = model.rig.image()
    for place in (0, 1):
        model.rig.memory[place * BLOCK + 4] = 2
        model.rig.memory[place * BLOCK + 256] ^= 0xFF
    newer = model.rig.image()
    try:
        model.rig.open()
        model.findings.add("lost", "a newer vault was opened")
    except VaultError:
        if model.rig.image() != newer:
            model.findings.add("lost", "a newer vault was changed")
    model.rig.restore(image)
    model.where = "firmware update"
    model.reopen()


def _give_up(model: Model, dice: Dice, tag: int, cut_after) -> None:
    torn = model.rig.faults.torn
    model.rig.faults.torn = None
    model.step("acknowledge", model.acknowledge())
    model.rig.faults.torn = torn
    cut = model.give_up(cut_after)
    while cut:
        again = dice.below(60) if dice.chance(35) else None
        model.rig.faults.torn = tearing(dice.below(4), tag + 50) if again is not None else None
        cut = model.after_giving_up(again)
    model.rig.faults.torn = None


def _finish(model: Model) -> None:
    """With flash that obeys again, nothing stays open and everything can still be done."""
    faults = model.rig.faults
    for faulty in (faults.stuck, faults.failing, faults.weak):
        faulty.clear()
    model.where = "end"
    model.reopen()
    model.reopen()
    if model.rig.vault.quarantined:
        model.findings.add("stuck", "a wipe stays open")
    model.step("acknowledge", model.acknowledge())
    model.step("enrol", model.enrol(PEOPLE[0], 7))
    for handle in PEOPLE:
        if model.faces[handle] is not None:
            model.step("wipe", model.wipe(handle))
    model.ending = True
    model.reopen()
