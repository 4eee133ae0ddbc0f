"""Targets that need the whole panel, in its own Python: a vault on damaged flash, and people at the door.

CPython reads NAMES only: what a test needs is imported when the targets are asked for.
"""

import os

NAMES = ("vault_flash", "at_the_door", "link_commands")


def targets() -> list:
    house = _House()
    door = _Door()
    commands = _Commands()
    return [
        ("vault_flash", 64, [bytes(8), b"\x00\x00\x00\x01" * 4, b"\x05\x00\x80\xff"], house.run),
        (
            "at_the_door",
            120,
            [b"K301#246813#", b"K301#864209#W", b"C", b"K301#123456#C" * 3, b"K**301#246813##"],
            door.run,
        ),
        ("link_commands", 2000, commands.seeds, commands.run),
    ]


class _House:
    """A vault with a resident, a face and a log; the input says which bytes of its flash are other ones."""

    def __init__(self):
        from tests.firmware.vault_house import EILEEN, GRACE, House

        self.house = House(24)
        self.house.vault.put_resident(GRACE, b"\x01\x03301" + b"\x02\x04\x01\x00\x00\x00")
        self.house.enrol(GRACE, 1)
        self.house.enrol(EILEEN, 2)
        self.house.vault.wipe_face(EILEEN, "withdrawn")
        self.face = self.house.face(GRACE)
        self.record = bytes(self.house.vault.read_resident(GRACE))
        self.image = self.house.image()
        self.handles = (GRACE, EILEEN)

    def run(self, data: bytes) -> None:
        """Four bytes a change: block, offset (two), bits to turn."""
        from firmware.base.errors import VaultError
        from firmware.services.residents import Residents
        from tests.fuzz.targets import WrongOpen, check_leak

        image = bytearray(self.image)
        for at in range(0, len(data) - 3, 4):
            image[data[at] % 24 * 4096 + (data[at + 1] << 8 | data[at + 2]) % 4096] ^= data[at + 3]
        self.house.restore_image(image)
        grace, eileen = self.handles
        try:
            summary = self.house.open()
        except VaultError:
            return
        vault = self.house.vault
        check_leak(str(summary))
        if vault.in_service:
            Residents(vault).load()
        if eileen in vault.face_handles():
            raise WrongOpen("a face that was wiped is back")
        if grace in vault.face_handles():
            try:
                if self.house.face(grace) != self.face:
                    raise WrongOpen("a template was altered and still matches")
            except VaultError:
                pass
        for entry in vault.log(0, 50):
            check_leak(entry.detail)


class _Door:
    """K: keys follow; C: a card of the next bytes; W: time passes. Only the right PIN may move the lock."""

    def __init__(self):
        from firmware.credentials import pin
        from tests.firmware.entry_house import Entrance
        from tests.firmware.vault_house import EILEEN, GRACE

        pin.match.__globals__["_SLICE_ITERATIONS"] = 1000
        self.door = Entrance(40)
        self.door.resident(GRACE, "301", b"246813", b"864209")
        self.door.resident(EILEEN, "302", b"735192")
        self.door.panel.residents.add_card(GRACE, b"\x04\xde\x5f\x1e\xac\xc0\x40", bytes(range(0x40, 0x50)))
        self.right = (("301#", "246813#"), ("301#", "864209#"), ("302#", "735192#"))
        self.runs = 0

    def run(self, data: bytes) -> None:
        from tests.fuzz.targets import WrongOpen, _Card, check_leak

        door = self.door
        self.runs += 1
        door.uptime += 90000  # lockouts are tried by others
        door.panel.entry.keypad.reset()
        board = door.board
        for recorder in (door.panel.screens, board.lock, board.buzzer, board.light, board.display, board.console):
            del recorder.calls[:]  # what earlier inputs did; it fills the heap in the end
        typed = ""
        for part in data.replace(b"C", b"\x00C").replace(b"W", b"\x00W").replace(b"K", b"\x00K").split(b"\x00"):
            what, rest = part[:1], part[1:]
            if what == b"C":
                if door.tap(_Card(rest)):
                    raise WrongOpen("a card without the key opened")
            elif what == b"W":
                door.uptime += 1 + len(rest)
            elif what == b"K":
                keys = "".join(chr(c) if chr(c) in "0123456789*#" else "0123456789*#"[c % 12] for c in rest[:40])
                typed += keys
                if door.type(keys) and not any(pin in typed.partition(flat)[2] for flat, pin in self.right):
                    raise WrongOpen("the lock moved for " + typed)
        if self.runs % 20 == 0:
            for _, detail in door.log()[-20:]:
                check_leak(detail)
            door.panel.screens.calls.clear()
            door.board.buzzer.calls.clear()


class _Commands:
    """A message of somebody who has the key, carried out by the whole panel: nothing may fail in a way of its own."""

    def __init__(self):
        from tests.fuzz.targets import _messages

        self.seeds = [message.replace(b"00" * 8, b"grace...".hex().encode(), 1) for message in _messages()]
        self._begin()

    def _begin(self):
        from firmware.services.commands import Commands
        from firmware.ui.screens import Screens
        from tests.firmware.entry_house import Entrance
        from tests.firmware.vault_house import GRACE

        self.door = Entrance(40)
        self.door.resident(GRACE, "301", b"246813")
        self.door.panel.screens = Screens(self.door.board.display)
        self.door.board.memory = dict
        self.door.house.clock.set = lambda unix: None
        self.door.panel.settings._path = (os.getenv("TMPDIR") or "/tmp") + "/settings.json"
        self.commands = Commands(self.door.panel)

    def run(self, data: bytes) -> None:
        from firmware.base.errors import MenshenError
        from firmware.link.messages import from_json, to_json
        from firmware.link.ops import PLAIN_OPS, request_fields, wire
        from tests.fuzz.targets import WrongOpen, check_leak

        if not self.door.panel.vault.in_service:
            self._begin()
        for output in (self.door.board.lock, self.door.board.display, self.door.board.console):
            del output.calls[:]
        try:
            message = from_json(data)
            op = message.get("op")
            if op in PLAIN_OPS:
                return
            reply = self.commands.handle(op, request_fields(op, message))
            if hasattr(reply, "send"):
                reply.close()  # what waits for a face or a card
                return
            check_leak(to_json(wire(reply or {})))
        except MenshenError as error:
            check_leak(str(error))
        if ("release", True) in self.door.board.lock.calls:
            raise WrongOpen("a command moved the lock")
