"""Asks a panel for things: one request at a time, repeated until answered, never carried out twice."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from firmware.base.errors import AuthError, BadRequest, LinkError
from firmware.link.messages import (
    MAX_COUNTER,
    PLAIN,
    REPLY,
    Framer,
    Seals,
    decode_frame,
    encode_frame,
    header,
    open_plain,
    plain,
)
from firmware.link.ops import OPS, check, request_fields, wire
from host_tools.errors import (
    IdentityChanged,
    LinkFailed,
    LinkGarbled,
    NoPanel,
    Provisioning,
    Usage,
    from_code,
)
from host_tools.link.carrier import Carrier

_TRIES = 3
_TIMEOUT_S = 3.0
_GRACE_S = 0.5
# Operations that take a panel longer: an erase, or a signature without fast arithmetic.
_SLOW_S = {
    "provision": 15.0,
    "consent_withdraw": 15.0,
    "wipe_face": 15.0,
    "resident_drop": 15.0,
}
_RESYNCHRONISATIONS = 3

Message = dict[str, Any]


class PanelClient:
    """`next_counter(at_least)` hands out a counter never used before, at least so high, and remembers it
    for good.

    `talk` gets the panel's console lines. Not for use by several threads.
    """

    def __init__(
        self,
        carrier: Carrier,
        link_key: bytes | None = None,
        next_counter: Callable[[int], int] | None = None,
        talk: Callable[[bytes], None] | None = None,
    ) -> None:
        self._carrier = carrier
        self._framer = Framer(talk)
        self._seals = Seals(link_key, os.urandom) if link_key else None
        self._next_counter = next_counter or _CountUp()
        self._arrived: list[bytes] = []

    def close(self) -> None:
        self._carrier.close()

    def plain(self, op: str, timeout_s: float | None = None, **fields: Any) -> Message:
        """`hello` and `provision`, whose answers nothing vouches for."""
        message = _request(op, fields)
        nonce = int.from_bytes(os.urandom(4), "little") or 1
        payload = plain(nonce, message)

        def answer(kind: int, counter: int, reply: bytes) -> Message | None:
            if kind != PLAIN or counter not in (0, nonce):
                return None
            opened = open_plain(reply)
            if counter == 0:
                _plain_refusal(opened)
            return opened if "ok" in opened else None

        return _fields(op, self._exchange(op, payload, answer, timeout_s))

    def request(self, op: str, timeout_s: float | None = None, **fields: Any) -> Message:
        """A sealed request's reply, its hex fields as bytes. Repeated after each silent `timeout_s`.

        Raises the error that the panel answered with (`host_tools.errors.from_code`), LinkFailed when no
        answer came (what was asked may then have been done).
        """
        if self._seals is None:
            raise Provisioning("This panel has not been provisioned. Run: menshen panel provision.")
        message = _request(op, fields)
        at_least = 1
        for _ in range(_RESYNCHRONISATIONS):
            payload = self._seals.request(self._next_counter(at_least), message)
            reply = self._exchange(op, payload, self._sealed_answer(payload), timeout_s)
            if reply.get("err") != "auth" or "counter" not in reply:
                return _fields(op, reply)
            at_least = _counter_after(reply["counter"])
        raise LinkFailed("The panel does not accept a new counter. Is another host talking to it?")

    def leave(self, op: str, **fields: Any) -> bool:
        """A sealed request for a panel that is away; True when the carrier keeps it for it. Nobody hears the answer."""
        if self._seals is None:
            return False
        payload = self._seals.request(self._next_counter(1), _request(op, fields))
        return self._carrier.leave(encode_frame(payload))

    def _sealed_answer(self, request: bytes) -> Callable[[int, int, bytes], Message | None]:
        assert self._seals is not None
        seals, own_counter = self._seals, header(request)[1]

        def answer(kind: int, counter: int, reply: bytes) -> Message | None:
            if kind == REPLY and counter == own_counter:
                return seals.open_reply(request, reply)
            if kind == PLAIN and counter == 0:
                _plain_refusal(open_plain(reply))
            return None

        return answer

    def _exchange(
        self,
        op: str,
        payload: bytes,
        answer: Callable[[int, int, bytes], Message | None],
        timeout_s: float | None,
    ) -> Message:
        frame = encode_frame(payload)
        self._arrived = []
        garbled, stranger = False, None
        for _ in range(_TRIES):
            self._carrier.write(frame)
            deadline = time.monotonic() + (timeout_s or _SLOW_S.get(op, _TIMEOUT_S))
            while (line := self._next_line(deadline)) is not None:
                try:
                    reply = decode_frame(line)
                    kind, counter = header(reply)
                    found = answer(kind, counter, reply)
                except _NotUnderstood:
                    garbled = True
                    break  # say it again at once
                except IdentityChanged as error:
                    stranger = error  # nothing vouches for it: an answer that something does may be on its way
                    deadline = min(deadline, time.monotonic() + _GRACE_S)
                    continue
                except (LinkError, AuthError):
                    garbled = True
                    continue  # noise or a forgery: the true answer may still come
                if found is not None:
                    return found
            if stranger:
                raise stranger
        if garbled:
            raise LinkGarbled(
                f"The link is garbled: no readable answer to {op}. Check the cable, then run the command again."
            )
        raise LinkFailed(f"The panel did not answer {op} in time. Run the command again: it is safe to repeat.")

    def _next_line(self, deadline: float) -> bytes | None:
        while not self._arrived:
            if time.monotonic() >= deadline:
                return None
            self._arrived = self._framer.feed(self._carrier.read())
        return self._arrived.pop(0)


class _NotUnderstood(Exception):
    """The panel got a frame that it could not read."""


class _CountUp:
    """Counters of a client that lives shorter than its link key."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self, at_least: int) -> int:
        self._last = max(self._last + 1, at_least)
        return self._last


def connect(
    carrier: Carrier,
    link_key: bytes | None = None,
    next_counter: Callable[[int], int] | None = None,
    timeout_s: float = 1.5,
) -> tuple[PanelClient, Message]:
    """A client and the panel's hello. Raises NoPanel when nothing that is a panel answers."""
    client = PanelClient(carrier, link_key, next_counter)
    if carrier.away:
        client.close()
        raise NoPanel("The panel is away: its broker has lost sight of it. Is it powered, and on the network?")
    try:
        return client, client.plain("hello", timeout_s=timeout_s)
    except BaseException as error:
        client.close()
        if isinstance(error, LinkFailed) and not isinstance(error, LinkGarbled):
            raise NoPanel("No panel answers on the port. Is its firmware running?") from error
        raise


def _request(op: str, fields: Message) -> Message:
    message = wire({"op": op, **fields})
    try:
        request_fields(op, message)  # what the panel would refuse is not sent
    except BadRequest as error:
        raise Usage(f"The panel would not take this: {error}.") from error
    return dict(message)


def _fields(op: str, reply: Message) -> Message:
    if reply.get("ok") is not True:
        raise from_code(str(reply.get("err", "error")), str(reply.get("msg", "")))
    try:
        return dict(check(OPS[op][1], reply))
    except BadRequest as error:
        raise LinkFailed(f"The panel's answer to {op} is not as it should be ({error}).") from error


def _plain_refusal(reply: Message) -> None:
    """What an answer to no request in particular may say: that the panel could make nothing of it."""
    if reply.get("err") == "link":
        raise _NotUnderstood
    if reply.get("err") == "auth":
        raise IdentityChanged(
            "The panel does not know this site's key. Is it another panel, or was it provisioned again?"
        )
    if reply.get("err") == "not_provisioned":
        raise IdentityChanged("The panel says that it is fresh, but this site has provisioned it. Is it another one?")


def _counter_after(counter: object) -> int:
    if not isinstance(counter, int) or not 0 <= counter < MAX_COUNTER - 1:
        raise LinkFailed("The panel's counter has run out. It must be erased and provisioned again.")
    return counter + 1
