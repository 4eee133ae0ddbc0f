"""What faces the outside, each with the inputs to begin from and what must never happen. Runs on both Pythons.

A target is (name, most bytes, seeds, run). `run(data)` swallows the errors that the parser may raise; whatever else
escapes is a crash, but WrongOpen and Leak, which say what they are.
"""

import json
import os
import struct

from firmware.access.policy import Facts, Rights, decide
from firmware.access.schedule import Schedule
from firmware.base.errors import BadRequest, HalError, LinkError, MenshenError
from firmware.credentials import visitor
from firmware.credentials.keypad import FLAT_DIGITS, PIN_MAX_DIGITS, PIN_MIN_DIGITS, KeypadEntry
from firmware.credentials.nfc import CardReader
from firmware.hal.drivers import pn532_frames
from firmware.hal.drivers.pn532 import Pn532
from firmware.link.messages import Framer, Seals, decode_frame, encode_frame, to_json
from firmware.link.mqtt import Login, MqttPort, Packets, publish
from firmware.link.ops import OPS
from firmware.link.server import Server
from firmware.nn import pack as packs
from firmware.services import parity, refusals, settings
from firmware.services.residents import Resident, _parse
from firmware.vault import clearance, receipt

UID = b"\x04\xde\x5f\x1e\xac\xc0\x40"
CARD_KEY = bytes(range(0x40, 0x50))
LINK_KEY = bytes(range(0x80, 0xA0))
# What no answer, log line or message may hold, in any of the forms in which it could.
SECRETS = [CARD_KEY, LINK_KEY]
SECRETS += [b"404142434445464748494a4b4c4d4e4f", b"808182838485868788898a8b8c8d8e8f"]


class WrongOpen(Exception):
    pass


class Leak(Exception):
    pass


def check_leak(data) -> None:
    data = data.encode() if isinstance(data, str) else bytes(data)
    for secret in SECRETS:
        if secret in data:
            raise Leak("a secret came out")


def _quiet(n: int) -> bytes:
    return bytes(n)


# NFC


class _Bus:
    """Says what the input says, in pieces, and then nothing."""

    def __init__(self, data: bytes):
        self._pieces = data.split(b"\x00\x00\xff")
        self._at = 0

    def wake(self):
        pass

    def write(self, frame):
        pass

    def receive(self, size):
        if self._at >= len(self._pieces):
            return None
        piece = b"\x00\x00\xff" + self._pieces[self._at]
        self._at += 1
        return bytearray(piece[:size])


def nfc_frame(data: bytes) -> None:
    try:
        kind, body = pn532_frames.parse(data)
    except HalError:
        return
    if kind == "data" and pn532_frames.build(pn532_frames.FROM_CHIP, body)[3:-1] not in data:
        raise WrongOpen("a frame was read that is not there")


def nfc_chip(data: bytes) -> None:
    now = [0]

    def sleep(ms):
        now[0] += ms

    chip = Pn532(_Bus(data), None, sleep, lambda: now[0])
    for _ in range(6):
        now[0] += 50
        try:
            if chip.poll() is not None:
                chip.transceive(b"\x90\x71\x00\x00\x02\x00\x00\x00")
        except HalError as error:
            check_leak(str(error))


class _Card:
    """Answers the pieces of the input in turn; it has never seen a key."""

    def __init__(self, data: bytes):
        self._answers = data.split(b"|")
        self.uid = UID

    def poll(self):
        return UID

    def transceive(self, apdu):
        check_leak(apdu)
        if not self._answers:
            raise HalError("card gone")
        return self._answers.pop(0)


def nfc_apdu(data: bytes) -> None:
    reader = CardReader(_Card(data), lambda uid: bytearray(CARD_KEY), _quiet, lambda: 0)
    event = reader.poll(0)
    if event[0] != "card_refused":
        raise WrongOpen("a card without the key was let in")


# Keypad


class _Keys:
    def __init__(self, keys: str):
        self.keys = keys

    def scan(self):
        keys, self.keys = self.keys[:3], self.keys[3:]
        return keys


def keypad(data: bytes) -> None:
    keys = _Keys("".join("0123456789*#"[byte % 12] for byte in data))
    entry = KeypadEntry(keys)
    now = 0
    if data[:1] == b"N":
        entry.ask(1 + len(data) % 4, now)
    while keys.keys:
        now += 200 + (data[0] << 6)
        for event in entry.poll(now):
            if event[0] == "pin":
                if not PIN_MIN_DIGITS <= len(event[2]) <= PIN_MAX_DIGITS or not 1 <= len(event[1]) <= FLAT_DIGITS:
                    raise WrongOpen("digits that cannot be were taken for a PIN")
                if any(entry._pin):
                    raise Leak("the keypad kept the digits")
            elif event[0] == "accept" and "#" not in "".join("0123456789*#"[byte % 12] for byte in data):
                raise WrongOpen("a notice was accepted without its key")


def visitor_code(data: bytes) -> None:
    digits = bytes(48 + byte % 10 for byte in data)
    visit = visitor.read(visitor.key_of(LINK_KEY), "301", digits, 1_800_000_000)
    if visit and not visit.valid_from < visit.valid_until:
        raise WrongOpen("a code without a time")


# Link


class _Ring:
    stored = 0

    def link_key(self):
        return LINK_KEY

    def confirmed(self):
        return True

    def confirm(self):
        pass

    def counter(self):
        return self.stored

    def set_counter(self, value):
        self.stored = value


class _Panel:
    """The link's server with a handler that notes what reached it."""

    def __init__(self):
        self.done = []
        self.server = Server((), _Ring(), self._handle, _quiet)
        self.seals = Seals(LINK_KEY, _quiet)

    def _handle(self, op, fields):
        self.done.append(op)
        return {}

    def answer(self, line: bytes):
        reply = _now(self.server.answer(line))
        if reply:
            check_leak(reply)
            check_leak(decode_frame(reply[:-2]))
        return reply


def _now(coroutine):
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("it waits")


def link_stream(data: bytes) -> None:
    """Bytes on the port, from somebody without the link key."""
    panel = _Panel()
    for line in Framer().feed(data):
        panel.answer(line)
    if [op for op in panel.done if op not in ("hello",)]:
        raise WrongOpen("a command was carried out that nobody sealed")


_BROKER = Login("127.0.0.1", 1883, None, "", "panel", "", "", "b/")


def broker_stream(data: bytes) -> None:
    """What a broker sends, once it has let the panel in."""
    panel, port, framer = _Panel(), MqttPort(_BROKER, _quiet), Framer()
    port.connected, port._nonce = True, bytes(8)
    try:
        for kind, flags, body, size in Packets().feed(data):
            port._take(kind, flags, body, size)
            message = port.read()
            for line in framer.feed(message):
                panel.answer(line)
                port.write(b"~")
    except LinkError:
        pass  # the connection ends
    if [op for op in panel.done if op not in ("hello",)]:
        raise WrongOpen("a command was carried out that nobody sealed")


def link_payload(data: bytes) -> None:
    """The same, with the frame's checksum right."""
    panel = _Panel()
    panel.answer(encode_frame(data[:8000])[:-2])
    if [op for op in panel.done if op not in ("hello",)]:
        raise WrongOpen("a command was carried out that nobody sealed")


def link_message(data: bytes) -> None:
    """JSON of any kind from somebody who has the key."""
    panel = _Panel()
    sealed = panel.seals.request(1, {"op": "status"})
    from firmware.crypto.seal import seal

    body = seal(*panel.seals._to_panel, bytes(16), data, sealed[:6])
    panel.answer(encode_frame(sealed[:6] + body)[:-2])
    for op in panel.done:
        if op not in OPS or op in ("hello", "provision"):
            raise WrongOpen("an operation that is none was carried out")


def _messages() -> list:
    samples = {"hex": lambda k: "00" * k[1], "int": lambda k: k[1], "bool": lambda k: True, "text": lambda k: "a"}
    samples["digits"] = lambda k: "1" * k[1]
    samples["one"] = lambda k: k[1][0]
    samples["free"] = lambda k: {}
    samples["list"] = lambda k: [value(k[2])]
    samples["rec"] = lambda k: {name.rstrip("?"): value(kind) for name, kind in k[1]}

    def value(kind):
        return samples[kind[0]](kind)

    found = []
    for op in OPS:
        message = {name.rstrip("?"): value(kind) for name, kind in OPS[op][0]}
        message["op"] = op
        found.append(to_json(message))
    return found


# What is stored


def _file(name: str, data: bytes) -> str:
    folder = (os.getenv("TMPDIR") or "/tmp") + "/menshen-fuzz-" + (os.getenv("MENSHEN_FUZZ_ID") or "0")
    try:
        os.mkdir(folder)
    except OSError:
        pass
    with open(folder + "/" + name, "wb") as file:
        file.write(data)
    return folder


def stored_settings(data: bytes) -> None:
    found = settings.Settings(_file("settings.json", data)).values
    for name, (_, least, most) in settings.FIELDS.items():
        if not isinstance(found[name], int) or not least <= found[name] <= most:
            raise WrongOpen("a setting out of its range: " + name)
    json.dumps(found)


def stored_parity(data: bytes) -> None:
    counts = parity.Parity(_file("parity.json", data), _Clock())
    counts.note("card", True, "granted", 100, 0)
    json.dumps(counts.rows(0, 13))


class _Clock:
    def now(self):
        return 1_800_000_000, 2


def resident_record(data: bytes) -> None:
    """What lies under a record's seal: only damage that the seal missed could get here."""
    try:
        resident = Resident(bytes(8), _parse(bytearray(data)))
    except MenshenError as error:
        check_leak(str(error))
        return
    check_leak(repr(resident.__dict__))


class _Store:
    """A vault that holds one record."""

    def __init__(self, data: bytes):
        self._data = data

    def read_list(self, name):
        return bytearray(self._data)


def refusal_list(data: bytes) -> None:
    found = refusals.Refusals(_Store(data), _Clock())
    try:
        found.load()
    except MenshenError:
        return
    found.lost(UID)
    found.uses("301", 1)


def model_pack(data: bytes) -> None:
    """With its digest made right, as whoever writes packs can."""
    data = bytearray(data)
    if len(data) >= packs.HEADER_BYTES and data[0] & 1:
        struct.pack_into("<I", data, 8, len(data))
        data[16:48] = packs.digest(data)
    try:
        pack = packs.Pack(data)
    except MenshenError:
        return
    for tensor in pack.tensors:
        start = tensor.offset - tensor.above * tensor.pitch - tensor.left * tensor.channels
        if start < 0 or tensor.offset + (tensor.height - 1) * tensor.pitch + tensor.width > pack.arena_bytes:
            raise WrongOpen("a tensor lies outside the arena")


def schedule(data: bytes) -> None:
    try:
        hours = Schedule.unpack(data)
    except BadRequest:
        return
    if Schedule.unpack(hours.pack()).windows != hours.windows:
        raise WrongOpen("a schedule changed in storage")
    rights = Rights(1, hours, 0, 0)
    facts = Facts("card", False, rights, 0, 2, False, True, False, False, (), (), False, True, (), (), (), False, ())
    if decide(facts, 1_800_000_000).allow:
        raise WrongOpen("a card that was not proven")
    hours.is_open(1_800_000_000, 480, (20833,))


def signed_paper(data: bytes) -> None:
    for parser in (receipt, clearance):
        try:
            parser.parse(data)
        except MenshenError as error:
            str(error)
        try:
            parser.verify(data, bytes(32), lambda *_: False)
        except MenshenError:
            continue
        raise WrongOpen("a paper that nobody signed was taken for genuine")


def _pack_seeds() -> list:
    found = []
    for name in ("tests/golden/nn/mixed.pack", "tests/golden/nn/ties.pack"):
        try:
            with open(name, "rb") as file:
                found.append(file.read())
        except OSError:
            pass
    return found


def _sealed() -> bytes:
    return Seals(bytes(32), _quiet).request(1, {"op": "status"})


def targets() -> list:
    frame = pn532_frames.build(pn532_frames.FROM_CHIP, b"\x4b\x01\x01\x00\x44\x20\x07" + UID)
    exchange = (
        bytes.fromhex("9000") + b"|" + bytes(16) + b"\x91\xaf|" + bytes(32) + b"\x91\x00|" + bytes(24) + b"\x91\x00"
    )
    listing = b"".join([pn532_frames.ACK, b"\x00\x00\xff\x02\xfe\xd5\x15\x16\x00", pn532_frames.ACK, frame])
    paper = receipt.build(
        receipt.Receipt(
            bytes(8), 7, 1_800_000_000, 2, "withdrawn", bytes(8), bytes(32), [(3, bytes(32), receipt.ERASED_HASH)]
        ),
        lambda message: bytes(64),
    )
    messages = _messages()
    record = b"\x01\x03301\x02\x04\x01\0\0\0\x03\x05\x7f\0\0\xa0\x05\x04\x08" + bytes(8)
    record += b"\x06\x17" + bytes(16) + UID + b"\x07\x35" + bytes(53)
    lost = b"\x01\x07" + UID + b"\x02\x0b" + bytes(11)
    bare = b'{"op": "hello"}'
    plain = b"\x01\x00\x01\0\0\0"
    return [
        ("nfc_frame", 300, [frame, pn532_frames.ACK, pn532_frames.NAK, b"\x00\x00\xff\x01\xff\x7f\x81\x00"], nfc_frame),
        ("nfc_chip", 400, [listing, listing + frame, frame * 3], nfc_chip),
        ("nfc_apdu", 300, [exchange, b"\x91\xae|", b"9000|9100"], nfc_apdu),
        (
            "keypad",
            60,
            [b"\x03\x00\x01\x0b\x01\x02\x03\x04\x05\x06\x0b", b"\x0a\x0b\x0a", b"N\x08\x08\x08\x0b"],
            keypad,
        ),
        ("visitor_code", 14, [bytes(12), bytes(range(12))], visitor_code),
        (
            "link_stream",
            3000,
            [encode_frame(_sealed()), encode_frame(plain + bare), b"~~\r\n>>> ~AA==\r\n"],
            link_stream,
        ),
        (
            "broker_stream",
            3000,
            [
                publish("b/down", 7, encode_frame(_sealed())) + publish("b/echo", 8, bytes(8)),
                publish("b/down", 9, encode_frame(plain + bare)) + b"\x40\x02\x00\x01\xd0\x00\x90\x03\x00\x01\x80",
            ],
            broker_stream,
        ),
        (
            "link_payload",
            3000,
            [_sealed(), plain + bare, plain + b'{"op": "provision"}', b"\x01\x02" + bytes(60)],
            link_payload,
        ),
        ("link_message", 2000, messages, link_message),
        ("stored_settings", 600, [b'{"open_s": 9, "door": 3, "holidays": [20000]}', b"{}"], stored_settings),
        ("stored_parity", 600, [b'{"202611": {"pin": [1, 2, 3' + b", 0" * 12 + b"]}}", b"{}"], stored_parity),
        ("resident_record", 400, [record, lost], resident_record),
        ("refusal_list", 300, [lost, lost * 3], refusal_list),
        ("model_pack", 20_000, _pack_seeds() or [bytes(96)], model_pack),
        ("schedule", 100, [Schedule.always().pack(), Schedule([(128, 60, 30), (31, 480, 1080)]).pack()], schedule),
        ("signed_paper", 700, [paper, b"MnCl" + bytes(300)], signed_paper),
    ]
