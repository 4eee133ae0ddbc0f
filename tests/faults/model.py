"""What must be true of a panel, kept beside it in the simplest form, and every difference counted.

A step either happens whole or not at all; after a cut the vault may say either, and what it says then holds.
"""

from firmware.base.errors import EraseFailed, HalError, VaultCorrupt, VaultFull
from firmware.vault import clearance, receipt
from tests.faults.rig import BLOCK, MODEL, Record, Rig, consent, templates

PEOPLE = (b"grace...", b"eileen..", b"dorothy.")
NAME = b"Grace Hopper"
NOTICE = b"n" * 32
COUNTED = ("lost", "resurrected", "false_certificates", "stuck")


class Findings:
    def __init__(self):
        self.counts = {name: 0 for name in ("cuts", "histories") + COUNTED}
        self.notes = []

    def add(self, what: str, note: str) -> None:
        self.counts[what] += 1
        if len(self.notes) < 5:
            self.notes.append("%s: %s" % (what, note))

    @property
    def bad(self) -> int:
        return sum([self.counts[name] for name in COUNTED])


class Model:
    """`faces`: handle -> tag or None, `blobs`: handle -> number or None; `records`: what was seen whole on flash."""

    def __init__(self, findings: Findings, make_rig=Rig):
        self.findings = findings
        self.rig = make_rig()
        self.secret = bytes(self.rig.vault.keys.secret)
        self.forget()
        self.where = ""
        self.ending = False
        self._compared = 0
        self._thorough = True
        self._head = None

    def forget(self) -> None:
        """The panel is fresh."""
        self.faces = {handle: None for handle in PEOPLE}
        self.blobs = {handle: None for handle in PEOPLE}
        self.records = []
        self.receipts = {}
        self.numbers = {"link": 0, "acknowledged": 0}

    def snapshot(self) -> tuple:
        own = (dict(self.faces), dict(self.blobs), list(self.records), dict(self.receipts))
        rig = self.rig
        faulty = (set(rig.faults.stuck), set(rig.faults.failing), set(rig.faults.weak))
        return own, dict(self.numbers), self.secret, rig.image(), dict(rig.erased), rig.clock.unix, faulty

    def restore(self, state: tuple) -> None:
        self.rewind(state)
        self.rig.open()

    def rewind(self, state: tuple) -> None:
        """As restore(), with the power off."""
        own, numbers, self.secret, image, erased, self.rig.clock.unix, faulty = state
        faults = self.rig.faults
        faults.stuck, faults.failing, faults.weak = (set(blocks) for blocks in faulty)
        self.numbers = dict(numbers)
        self.faces, self.blobs = dict(own[0]), dict(own[1])
        self.records, self.receipts = list(own[2]), dict(own[3])
        self.rig.restore(image)
        self.rig.erased = dict(erased)

    # Steps: (function, changes), a change being (table, key, value)

    def enrol(self, handle: bytes, tag: int) -> tuple:
        def act():
            self.rig.vault.put_face(handle, MODEL, consent(tag), NOTICE, 0, templates(tag))

        return act, [(self.faces, handle, tag)]

    def wipe(self, handle: bytes, reason: str = "withdrawn") -> tuple:
        return lambda: self.rig.vault.wipe_face(handle, reason), [(self.faces, handle, None)]

    def credential(self, handle: bytes, number: int) -> tuple:
        return lambda: self.rig.vault.put_resident(handle, _blob(number)), [(self.blobs, handle, number)]

    def drop(self, handle: bytes) -> tuple:
        return lambda: self.rig.vault.drop_resident(handle), [(self.blobs, handle, None)]

    def bury(self, handle: bytes) -> tuple:
        def act():
            self.rig.vault.bury([("face", handle, self.rig.vault.log_head[0] + 3, 0)])

        return act, [(self.faces, handle, None)]

    def chatter(self, count: int) -> tuple:
        def act():
            for _ in range(count):
                self.rig.vault.append("opened", PEOPLE[0], b"card")

        return act, []

    def count(self, value: int) -> tuple:
        return lambda: self.rig.vault.set_counter("link", value), [(self.numbers, "link", value)]

    def acknowledge(self) -> tuple:
        last = max(list(self.receipts) + [self.numbers["acknowledged"]])
        return lambda: self.rig.vault.acknowledge_receipts(last), [(self.numbers, "acknowledged", last)]

    def purge(self) -> tuple:
        def act():
            self.rig.clock.unix += 91 * 86400
            self.rig.vault.purge_log(self.rig.clock.unix)

        return act, []

    # Running them

    def step(self, name: str, step: tuple, cut_after=None) -> bool:
        """Whether the power was cut in it. The vault is open afterwards, and was compared unless it was cut."""
        self.where = name if cut_after is None else "%s cut after %d" % (name, cut_after)
        act, changes = step
        before = [(table, key, table[key]) for table, key, _ in changes]
        torn = self.rig.faults.torn
        try:
            if self.rig.cut(act, cut_after):
                self.findings.counts["cuts"] += 1
                for table, key, value in changes:
                    table[key] = (table[key], value)
                return True
        except VaultFull:
            if self.has_room:
                self.findings.add("stuck", "%s: no room" % self.where)
            changes = before
        except EraseFailed:
            if not self.resisting:
                self.findings.add("stuck", "%s: an erase failed" % self.where)
        except HalError as error:
            self.findings.add("stuck", "%s: %s" % (self.where, error))
        finally:
            self.rig.faults.torn = torn
        for table, key, value in changes:
            table[key] = value
        self.compare()
        return False

    def reopen(self, cut_after=None) -> bool:
        """Power on; whether it failed again. Compared when it did not."""
        try:
            if self.rig.cut(self.rig.open, cut_after):
                self.findings.counts["cuts"] += 1
                return True
        except HalError as error:
            self.findings.add("stuck", "%s: the start failed: %s" % (self.where, error))
        self.rig.faults.torn = None
        self.compare()
        return False

    def give_up(self, cut_after=None) -> bool:
        """Acknowledges, decommissions, clears, closes, provisions anew; whether it was cut."""
        self.compare(thorough=True)
        self.step("acknowledge", self.acknowledge())
        self.where = "decommission"

        def act():
            self.rig.vault.decommission()
            self._clear_and_close()
            self.rig.provision()

        try:
            cut = self.rig.cut(act, cut_after)
        except EraseFailed:
            if not self.resisting:
                self.findings.add("stuck", "clearing failed")
            self.after_giving_up()
            return False
        if cut:
            self.findings.counts["cuts"] += 1
            return True
        self._given_up()
        return False

    def after_giving_up(self, cut_after=None) -> bool:
        """The start after a cut in give_up(): all as before, or the clearing goes on to its end. Whether cut again."""

        def act():
            self.rig.open()
            self._certify_nothing_false()
            if self.rig.vault.fresh:
                self.rig.provision()
            elif not self.rig.vault.in_service:
                self._clear_and_close()
                self.rig.provision()

        try:
            if self.rig.cut(act, cut_after):
                self.findings.counts["cuts"] += 1
                return True
        except EraseFailed:
            self._certify_nothing_false()
            for faulty in (self.rig.faults.stuck, self.rig.faults.failing, self.rig.faults.weak):
                faulty.clear()
            return self.after_giving_up()
        if bytes(self.rig.vault.keys.secret) == self.secret:
            self.compare()
        else:
            self.rig.vault.confirm()
            self._given_up()
        return False

    @property
    def resisting(self) -> bool:
        faults = self.rig.faults
        return bool(faults.stuck or faults.failing or faults.weak)

    @property
    def has_room(self) -> bool:
        pool = self.rig.vault._pool
        return pool.free >= 4 + self.rig.vault._audit.backlog

    # Comparing

    def compare(self, thorough: bool = False) -> None:
        """What costs most and what no later step could hide is looked at every third time."""
        self._compared += 1
        self._thorough = thorough or self.ending or self._compared % 3 == 0
        for handle in PEOPLE:
            self._compare_face(handle)
            self._compare_blob(handle)
        known = [h for h in self.rig.vault.face_handles() + self.rig.vault.resident_handles() if h not in PEOPLE]
        if known:
            self.findings.add("resurrected", "%s: a record of nobody" % self.where)
        self._compare_counters()
        self._compare_receipts()
        self._search()
        self._note_records()

    def _settle(self, table: dict, key, held) -> None:
        """After a cut either value may be there; which one it is holds from then on."""
        if isinstance(table[key], tuple):
            old, new = table[key]
            table[key] = new if held == new else old

    def _compare_face(self, handle: bytes) -> None:
        held = None
        if handle in self.rig.vault.face_handles():
            try:
                meta, found = self.rig.vault.read_face(handle)
                held = int(meta.consent_id[8:])
                held = held if [bytes(t) for t in found] == templates(held) else -1
            except VaultCorrupt:
                held = -1
        self._settle(self.faces, handle, held)
        self._judge(self.faces, handle, held)

    def _compare_blob(self, handle: bytes) -> None:
        held = None
        if handle in self.rig.vault.resident_handles():
            try:
                blob = bytes(self.rig.vault.read_resident(handle))
                held = int(blob[len(NAME) : len(NAME) + 8])
                held = held if blob == _blob(held) else -1
            except VaultCorrupt:
                held = -1
        self._settle(self.blobs, handle, held)
        self._judge(self.blobs, handle, held)

    def _judge(self, table: dict, handle: bytes, held) -> None:
        wanted = table[handle]
        if held != wanted:
            what = "lost" if wanted is not None and held in (None, -1) else "resurrected"
            self.findings.add(what, "%s: %s is %s, not %s" % (self.where, handle, held, wanted))
            table[handle] = held

    def _compare_counters(self) -> None:
        held = self.rig.vault.counter("link")
        self._settle(self.numbers, "link", held)
        if held != self.numbers["link"]:
            self.findings.add("lost", "%s: a counter is %d, not %d" % (self.where, held, self.numbers["link"]))
            self.numbers["link"] = held
        if isinstance(self.numbers["acknowledged"], tuple):
            self.numbers["acknowledged"] = self.numbers["acknowledged"][1]  # it may have come to that

    def _compare_receipts(self) -> None:
        head = self.rig.vault.log_head
        if self._thorough:
            now = dict(self.rig.vault.receipts(0, 1000))
        elif head == self._head:
            return
        else:
            now = dict(self.receipts)
            now.update(self.rig.vault.receipts(max(list(now) + [0]) + 1, 1000))
        for number, data in self.receipts.items():
            if number > self.numbers["acknowledged"] and now.get(number) != data:
                self.findings.add("lost", "%s: a receipt is gone" % self.where)
        for number in [n for n in now if n not in self.receipts]:
            self._judge_receipt(now[number])
        self.receipts, self._head = now, head

    def _judge_receipt(self, data: bytes) -> None:
        """A new receipt is true when its block was seen with that content, and was wholly erased since."""
        fields = receipt.parse(data)
        block, before, _ = fields.blocks[0]
        known = [r for r in self.records if (r.block, r.digest) == (block, before)]
        erased = [r for r in known if self.rig.erased.get(block, -1) > r.seen]
        if not erased and not [r for r in self.records if r.block == block and r.rotten]:
            self.findings.add("false_certificates", "%s: block %d was not erased" % (self.where, block))
        for record in known:
            record.certified = True
            if record.traces(self.rig.written()):
                self.findings.add("false_certificates", "%s: traces of what is certified gone" % self.where)

    def _search(self) -> None:
        image = self.rig.written()
        if NAME in image:
            self.findings.add("resurrected", "%s: a name in the clear" % self.where)
        index = self.rig.vault._pool.index
        pending = self.rig.vault._audit.pending
        for record in self.records:
            slot = index.get((record.kind, record.handle))
            if slot and slot[0] == record.block and slot[1] == record.sequence:
                continue
            if record.gone and not self._thorough:
                continue
            if record.traces(image, 2 if record.gone else 0):
                self.findings.add("resurrected", "%s: traces of a wiped record" % self.where)
            record.gone = True
            waits = record.block in pending and pending[record.block].payload == record.digest
            if record.is_face and not (record.certified or record.rotten or waits):
                self.findings.add("lost", "%s: a wipe without its receipt" % self.where)
                record.rotten = True
        self.records = [r for r in self.records if not r.gone or not r.certified][-30:] + [
            r for r in self.records if r.gone and r.certified
        ][-8:]

    def _note_records(self) -> None:
        held = [(record.block, record.sequence) for record in self.records]
        for (kind, handle), slot in self.rig.vault._pool.index.items():
            if kind in (1, 2) and (slot[0], slot[1]) not in held:
                table = self.faces if kind == 1 else self.blobs
                self.records.append(Record(self.rig, kind, handle, table.get(handle), slot[0], slot[1]))

    # Giving up

    def _clear_and_close(self) -> None:
        for _ in self.rig.vault.clear():
            pass
        self._certify_nothing_false()
        self.rig.vault.close()

    def _certify_nothing_false(self) -> None:
        data = self.rig.vault.clearance
        if data is not None:
            clearance.parse(data)
            if bytes(self.rig.memory[2 * BLOCK :]) != b"\xff" * (len(self.rig.memory) - 2 * BLOCK):
                self.findings.add("false_certificates", "%s: cleared, and not empty" % self.where)

    def _given_up(self) -> None:
        if self.secret in self.rig.memory:
            self.findings.add("resurrected", "%s: the panel secret" % self.where)
        for record in self.records:
            if record.traces(self.rig.memory):
                self.findings.add("resurrected", "%s: traces of a cleared record" % self.where)
        self.secret = bytes(self.rig.vault.keys.secret)
        self.forget()
        self.compare()


def _blob(number: int) -> bytes:
    return NAME + b"%08d" % number + b"flat 301 " * (1 + number % 40)
