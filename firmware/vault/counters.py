"""Numbers that only grow and outlive the power: appended to a block until it is full, then carried to the other.

| offset       | bytes | field                                                        |
|--------------|-------|--------------------------------------------------------------|
| 0            | 4     | magic, ASCII "MnCt"                                          |
| 4            | 1     | version of this format: 1; then 3 bytes 0                    |
| 8            | 4     | generation: of two committed blocks the higher one holds     |
| 12           | 4     | commit word, programmed after the values carried over        |
| 16 + 16 slot | 8     | name, ASCII, padded with 0                                   |
|              | 4     | value                                                        |
|              | 4     | first 4 bytes of HMAC-SHA256 over generation, name and value |
"""

import struct

from firmware.base.compat import const
from firmware.base.errors import BadRequest, HalError, Refused
from firmware.crypto.hmac import constant_time_eq, hmac_sha256
from firmware.vault.layout import BLOCK_BYTES, COMMIT, u32

_MAGIC = b"MnCt"
_VERSION = const(1)
_HEAD = "<4sB3xI"
_HEAD_BYTES = const(16)
_COMMIT_AT = const(12)
_SLOT_BYTES = const(16)
_SLOTS = const(255)
_MOST_NAMES = const(32)
_FREE = b"\xff" * 16


class Counters:
    def __init__(self, blocks, places, key):
        self._blocks = blocks
        self._places = places
        self._key = key
        self._values = {}
        self._place = places[1]  # so that the first generation begins in places[0]
        self._generation = 0
        self._slot = _SLOTS

    def load(self) -> None:
        for place in self._places:
            head = self._blocks.read(place, _HEAD_BYTES)
            magic, version, generation = struct.unpack_from(_HEAD, head)
            whole = magic == _MAGIC and version == _VERSION and head[_COMMIT_AT:] == COMMIT
            if whole and generation > self._generation:
                self._place, self._generation = place, generation
        if self._generation:
            self._read_slots()

    def get(self, name: str) -> int:
        return self._values.get(name, 0)

    def set(self, name: str, value: int) -> None:
        """Durable when it returns. Refused when `value` is lower than the counter."""
        old = self.get(name)
        if not 1 <= len(name) <= 8 or (name not in self._values and len(self._values) >= _MOST_NAMES):
            raise BadRequest("a counter's name")
        if value < old or value > 0xFFFFFFFF:
            raise Refused("a counter cannot go back")
        if value == old:
            return
        self._values[name] = value
        try:
            self._append(name, value)
        except HalError:
            self._values[name] = old
            raise

    def _read_slots(self) -> None:
        page = self._blocks.read(self._place, BLOCK_BYTES)
        self._slot = 0
        for slot in range(_SLOTS):
            start = _HEAD_BYTES + slot * _SLOT_BYTES
            data = page[start : start + _SLOT_BYTES]
            if data == _FREE:
                continue
            self._slot = slot + 1
            if constant_time_eq(self._check(data[:12]), data[12:]):  # else the power failed in this one
                name = str(bytes(data[:8]).rstrip(b"\0"), "ascii")
                self._values[name] = max(self.get(name), struct.unpack_from("<I", data, 8)[0])

    def _check(self, body) -> bytes:
        return hmac_sha256(self._key, u32(self._generation), body)[:4]

    def _append(self, name: str, value: int) -> None:
        while self._slot < _SLOTS:
            try:
                self._program(name, value)
                return
            except HalError:  # a worn cell: the next slot
                continue
        self._start_block()

    def _program(self, name: str, value: int) -> None:
        body = (name.encode() + bytes(8))[:8] + u32(value)
        start = _HEAD_BYTES + self._slot * _SLOT_BYTES
        self._slot += 1
        self._blocks.program(self._place, body + self._check(body), start)

    def _start_block(self) -> None:
        """Carries every value to the other block; the full one holds until the commit word."""
        before = self._place, self._generation, self._slot
        try:
            self._place = self._places[1 - self._places.index(self._place)]
            self._generation += 1
            self._slot = 0
            self._blocks.ensure_erased(self._place)
            self._blocks.program(self._place, struct.pack(_HEAD, _MAGIC, _VERSION, self._generation))
            for name, value in self._values.items():
                self._program(name, value)
            self._blocks.program(self._place, COMMIT, _COMMIT_AT)
        except HalError:
            self._place, self._generation, self._slot = before
            raise
