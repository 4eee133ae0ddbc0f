"""The panel's side of the link: a task that answers frames found among the bytes of its ports, one request at a time.

A port has `read() -> bytes` (what has arrived, at once; the next call says that it has been dealt with) and
`write(bytes)`: the console, the broker.

`handler(op, fields)` does the work: it returns a dict, or a coroutine that gives one, or raises a
MenshenError whose code crosses the wire. It is called for the plain operations too; the server decides who
may ask for what.

`ring` holds what must outlive a restart:
    link_key() -> bytes or None     None until provisioned
    confirmed() -> bool, confirm()  whether the owner's first sealed request has come
    counter() -> int, set_counter(int)
"""

import asyncio

from firmware.base.errors import (
    AlreadyProvisioned,
    AuthError,
    BadRequest,
    LinkError,
    MenshenError,
    NotProvisioned,
)
from firmware.base.log import log
from firmware.link.messages import (
    MAX_COUNTER,
    PLAIN,
    REQUEST,
    Framer,
    Seals,
    decode_frame,
    encode_frame,
    header,
    open_plain,
    plain,
)
from firmware.link.ops import PLAIN_OPS, request_fields, wire


class Server:
    """`random(n)` is the board's entropy, `poll_ms` how often idle ports are looked at, `beat` called at each look.

    A handler whose coroutine takes longer than a second beats by itself."""

    def __init__(self, ports, ring, handler, random, poll_ms: int = 10, beat=None) -> None:
        self._ports = [(port, Framer()) for port in ports]
        self._ring = ring
        self._handler = handler
        self._random = random
        self._poll_ms = poll_ms
        self._beat = beat
        self._key = None
        self._seals = None
        self._counter = ring.counter()
        self._last_request = None
        self._last_reply = None

    async def run(self) -> None:
        while True:
            if self._beat:
                self._beat()
            idle = True
            for port, framer in self._ports:
                data = port.read()
                if data:
                    idle = False
                    await self._serve(port, framer.feed(data))
            await asyncio.sleep(self._poll_ms / 1000 if idle else 0)

    async def _serve(self, port, lines: list) -> None:
        for line in lines:
            if self._beat:
                self._beat()
            reply = await self.answer(line)
            if reply:
                port.write(reply)

    async def answer(self, line: bytes):
        """The frame that answers one frame line, or None where silence is the answer."""
        try:
            payload = decode_frame(line)
            kind, counter = header(payload)
            if kind == REQUEST:
                return encode_frame(await self._sealed(payload, counter))
            if kind == PLAIN:
                return await self._plain(payload, counter)
        except (LinkError, AuthError, NotProvisioned) as error:
            return encode_frame(plain(0, _failure(error)))
        return None  # a reply, ours or another panel's, echoed on the line

    async def _plain(self, payload: bytes, counter: int):
        message = open_plain(payload)
        op = message.get("op")
        if op is None:
            return None  # an echo as well
        return encode_frame(plain(counter, await self._perform(message, self._check_plain)))

    def _check_plain(self, op: str) -> None:
        if op not in PLAIN_OPS:
            raise AuthError("this operation needs a seal")
        if op == "provision" and self._ring.confirmed():
            raise AlreadyProvisioned("this panel has an owner already")

    async def _sealed(self, payload: bytes, counter: int) -> bytes:
        message = self._open(payload)
        if payload == self._last_request:
            return self._last_reply
        if counter <= self._counter or counter == MAX_COUNTER:
            refusal = _failure(AuthError("the counter has been used"))
            refusal["counter"] = self._counter
            return self._seals.reply(payload, refusal)
        # Used up on flash before anything happens. None is used up in advance: what a broker kept for a panel that
        # was off must still be good.
        self._ring.set_counter(counter)
        self._counter = counter
        if not self._ring.confirmed():
            self._ring.confirm()
        # From here on a repetition must not run again, whatever becomes of this one.
        self._last_request = payload
        self._last_reply = self._seals.reply(payload, _failure(MenshenError("the panel did not finish this")))
        reply = await self._perform(message, _check_sealed)
        try:
            self._last_reply = self._seals.reply(payload, reply)
        except LinkError as error:
            self._last_reply = self._seals.reply(payload, _failure(error))
        return self._last_reply

    def _open(self, payload: bytes) -> dict:
        key = self._ring.link_key()
        if key is None:
            raise NotProvisioned("this panel has no owner yet")
        if key != self._key:
            self._seals = Seals(key, self._random)
            self._key = bytes(key)
            self._last_request = self._last_reply = None
        return self._seals.open_request(payload)

    async def _perform(self, message: dict, check) -> dict:
        op = message.get("op")
        try:
            check(op)
            reply = self._handler(op, request_fields(op, message))
            if hasattr(reply, "send"):
                reply = await reply
        except MenshenError as error:
            return _failure(error)
        except Exception as error:
            # The boundary: whatever went wrong, the host gets an answer and the door goes on.
            log("link", "%s failed: %s" % (op, type(error).__name__))
            return _failure(MenshenError("the panel failed at this: %s" % type(error).__name__))
        reply = wire(reply or {})
        reply["ok"] = True
        return reply


def _check_sealed(op: str) -> None:
    if op in PLAIN_OPS:
        raise BadRequest("this operation takes no seal")


def _failure(error: MenshenError) -> dict:
    return {"ok": False, "err": error.code, "msg": str(error)}
