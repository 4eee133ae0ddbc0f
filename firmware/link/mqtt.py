"""MQTT 3.1.1 as a carrier of the link's frames: the panel connects out to the site's broker and stays its client.

Topics, all below `menshen/<site>/<panel>/` (the ids in hex):

    down    frames to the panel, QoS 1. The session is kept (clean session off): the broker holds what comes meanwhile
    up      its answers, QoS 1
    state   "online" or "offline", retained; the broker itself says "offline" for a panel that vanished (last will)
    echo    the panel to itself after each connection: with its return everything that was held has been obeyed

A message is acknowledged when it has been carried out, so that a restart in the middle brings it again; the link's
counter sees to it that nothing happens twice. Whatever a broker does costs the link and nothing else: every wait ends,
every size is bounded, nothing blocks, and what it invents has no seal.

micropython-lib's umqtt is not used: it connects, shakes hands and reads the rest of a packet on a blocking socket, so
that a broker which goes silent in the middle of one would stop the door. Only asyncio's streams are used here, which
CPython has as well.
"""

import asyncio
import struct

from firmware.base.compat import const
from firmware.base.errors import LinkError
from firmware.base.log import log
from firmware.base.ticks import ticks_diff, ticks_ms

KEEP_ALIVE_S = const(30)

_CONNECT = const(0x10)
_CONNACK = const(2)
_PUBLISH = const(3)
_PUBACK = const(4)
_SUBSCRIBE = const(0x82)
_SUBACK = const(9)
_PINGRESP = const(13)
_PING = b"\xc0\x00"
_QOS1 = const(2)  # as the flags of a PUBLISH have it
_DUP = const(8)
_RETAIN = const(1)
_WILL = const(0x2C)  # CONNECT: with a will, QoS 1, retained; a clean session is not asked for

_READ = const(2048)
_MOST_MESSAGE = const(12288)  # a frame's line, its topic and what stands around them
_MOST_SKIPPED = const(262144)  # a longer packet is no broker's
_MOST_IN = const(4)  # messages taken before the first is carried out
_MOST_OUT = const(8)  # answers that nobody has acknowledged
_MOST_CONTROL = const(64)
_CONNECT_MS = const(15_000)
_ANSWER_MS = const(15_000)
_PING_MS = const(20_000)
_STEADY_MS = const(60_000)  # a connection that held so long was a good one: the delays begin anew

_REFUSALS = {
    1: "does not speak MQTT 3.1.1",
    2: "refuses this client's name",
    3: "is not ready",
    4: "refuses the password",
    5: "refuses this panel",
}


class Login:
    """Where and as whom to connect. `tls`: an SSL context that verifies, with `name` in the broker's certificate; or
    None. `base`: the topics without their last word."""

    def __init__(self, host: str, port: int, tls, name: str, client: str, user: str, password: str, base: str):
        self.host = host
        self.port = port
        self.tls = tls
        self.name = name
        self.client = client
        self.user = user
        self.password = password
        self.base = base


class MqttPort:
    """A port as the link's server reads it, and the connection behind it: `run` is its task, `tend` is called a few
    times a second.

    connected: the broker has accepted; drained: what it had kept has been carried out since; problem: why not, in
    words. `on_connected` is called before the first message of a connection is. `delays_ms`: first and longest.
    """

    def __init__(self, login: Login, random, on_connected=None, delays_ms=(1000, 300_000), connect=None):
        self._login = login
        self._random = random
        self._on_connected = on_connected
        self._delays_ms = delays_ms
        self._connect = connect or asyncio.open_connection
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._out = []  # (packet id, frame, flags to send it with; None: it has been sent)
        self._next_id = 1
        self._task = None
        self._dropped = ""
        self.connected = self.drained = False
        self.problem = ""
        self._forget_connection()

    # What the link's server sees

    def read(self) -> bytes:
        """The next message; the one before has been carried out, and is acknowledged."""
        if self._handling:
            self._control.append(puback(self._handling))
            self._wake.set()
            self._handling = 0
        while self._in:
            number, message = self._in.pop(0)
            self._room.set()
            if message is not None:
                self._handling = number
                return message
            self.drained = True
        return b""

    def write(self, data: bytes) -> None:
        """Sends an answer, now or with the next connection; when too many wait, the oldest is lost."""
        if len(self._out) >= _MOST_OUT:
            self._out.pop(0)
        self._out.append((self._number(), data, 0))
        self._wake.set()

    # The connection

    async def run(self) -> None:
        """Connects for ever, with growing pauses that differ from panel to panel."""
        delay_ms = self._delays_ms[0]
        while True:
            began = ticks_ms()
            await self._try()
            if ticks_diff(ticks_ms(), began) >= _STEADY_MS:
                delay_ms = self._delays_ms[0]
            spread = struct.unpack("<H", self._random(2))[0] / 0x10000
            await asyncio.sleep(delay_ms * (0.5 + spread) / 1000)
            delay_ms = min(2 * delay_ms, self._delays_ms[1])

    def tend(self) -> None:
        """Ends what takes too long, and asks the broker now and then whether it is there."""
        now = ticks_ms()
        if self._task is None:
            return
        if not self.connected:
            if ticks_diff(now, self._since) > _CONNECT_MS:
                self.drop("the broker does not answer")
            return
        if len(self._in) >= _MOST_IN:
            self._heard = now  # nothing is read meanwhile, and the broker's answer may lie behind
        if ticks_diff(now, self._since) > _PING_MS:
            self._since = now
            self._control.append(_PING)
            self._wake.set()
        if ticks_diff(now, self._heard) > _PING_MS + _ANSWER_MS:
            self.drop("the broker has gone silent")

    def drop(self, why: str) -> None:
        """Ends the connection; another attempt follows."""
        if self._task is not None and not self._dropped:
            self._dropped = why
            self._task.cancel()

    async def _try(self) -> None:
        self._dropped = ""
        self._since = ticks_ms()
        try:
            self._task = asyncio.create_task(self._connection())
            await self._task
        except asyncio.CancelledError:
            if not self._dropped:
                raise
            self.problem = self._dropped
        except LinkError as error:
            self.problem = str(error)
        except Exception as error:
            # The boundary: whatever the network, TLS or a packet did, there will be another attempt.
            if self._login.tls and isinstance(error, ValueError):
                self.problem = "the broker's certificate does not hold"
            else:
                self.problem = "no connection (%s)" % _reason(error)
        finally:
            self._task = None
            self._forget_connection()
        log("network", self.problem)

    async def _connection(self) -> None:
        login = self._login
        writer = sender = None
        try:
            name = login.name if login.tls else None
            reader, writer = await self._connect(login.host, login.port, ssl=login.tls, server_hostname=name)
            writer.write(_connect(login))
            await writer.drain()
            packets = Packets()
            while True:
                data = await reader.read(_READ)
                if not data:
                    raise LinkError("the broker closed the connection")
                for kind, flags, body, size in packets.feed(data):
                    if self.connected:
                        self._take(kind, flags, body, size)
                    else:
                        self._accepted(kind, body)
                        sender = asyncio.create_task(self._send(writer))
                while len(self._in) >= _MOST_IN:
                    self._room.clear()
                    await self._room.wait()
        finally:
            if sender:
                sender.cancel()
            if writer:
                writer.close()
                try:
                    await writer.wait_closed()
                except OSError:
                    pass

    def _accepted(self, kind: int, body: bytes) -> None:
        if kind != _CONNACK or len(body) != 2:
            raise LinkError("what answers is not a broker")
        if body[1]:
            raise LinkError("the broker " + _REFUSALS.get(body[1], "refuses"))
        self.connected = True
        self.problem = ""
        self._since = self._heard = ticks_ms()
        self._nonce = self._random(8)
        topics = b"".join([text(self._topic(name)) + b"\x01" for name in ("down", "echo")])
        self._control.append(packet(_SUBSCRIBE, struct.pack(">H", self._number()) + topics))
        self._control.append(publish(self._topic("state"), self._number(), b"online", _RETAIN))
        self._control.append(publish(self._topic("echo"), self._number(), self._nonce))
        self._out = [(number, data, _DUP if flags is None else flags) for number, data, flags in self._out]
        self._wake.set()
        log("network", "connected")
        if self._on_connected:
            self._on_connected()

    def _take(self, kind: int, flags: int, body: bytes, size: int) -> None:
        if len(self._control) > _MOST_CONTROL:
            raise LinkError("the broker sends and does not listen")
        if kind == _PUBLISH:
            self._published(flags, body, size)
        elif kind == _PUBACK and size == 2:
            number = struct.unpack(">H", body)[0]
            self._out = [answer for answer in self._out if answer[0] != number]
        elif kind == _SUBACK:
            if 0x80 in body[2:]:
                raise LinkError("the broker gives this panel no right to its topics")
        elif kind == _PINGRESP:
            self._heard = ticks_ms()
        else:
            raise LinkError("the broker sends what it must not")

    def _published(self, flags: int, body: bytes, size: int) -> None:
        topic, number, message = _parts(flags, body)
        if topic == self._topic("down").encode():
            if size <= _MOST_MESSAGE:
                self._in.append((number, message + b"\r\n"))
                return
            log("network", "a message was too long")
        elif topic == self._topic("echo").encode() and message == self._nonce:
            self._in.append((0, None))
        if number:
            self._control.append(puback(number))
            self._wake.set()

    async def _send(self, writer) -> None:
        try:
            while True:
                self._wake.clear()
                await asyncio.sleep(0)  # an answer's acknowledgement is right behind it, and they go together
                packets = self._control
                self._control = []
                for number, data, flags in self._out:
                    if flags is not None:
                        packets.append(publish(self._topic("up"), number, data, flags))
                self._out = [(number, data, None) for number, data, _ in self._out]
                writer.write(b"".join(packets))
                await writer.drain()
                await self._wake.wait()
        except OSError as error:
            self.drop("no connection (%s)" % _reason(error))

    def _topic(self, name: str) -> str:
        return self._login.base + name

    def _number(self) -> int:
        self._next_id = self._next_id % 0xFFFF + 1
        return self._next_id

    def _forget_connection(self) -> None:
        """What was not acknowledged comes again."""
        self.connected = self.drained = False
        self._control = []
        self._in = []  # (packet id or 0, bytes; None for the echo)
        self._handling = 0
        self._heard = ticks_ms()
        self._since = ticks_ms()
        self._nonce = b""


class Packets:
    """Cuts a byte stream into MQTT packets: (kind, flags, body, size of the body). Of a body that is too long only the
    beginning is kept."""

    def __init__(self):
        self._head = bytearray()
        self._body = bytearray()
        self._size = -1
        self._seen = 0

    def feed(self, data: bytes) -> list:
        found = []
        at = 0
        while at < len(data) or self._size == 0:
            if self._size < 0:
                self._head.append(data[at])
                at += 1
                self._measure()
                continue
            piece = data[at : at + self._size - self._seen]
            at += len(piece)
            self._seen += len(piece)
            room = _MOST_MESSAGE - len(self._body)
            if room > 0:
                self._body.extend(piece[:room])
            if self._seen == self._size:
                found.append((self._head[0] >> 4, self._head[0] & 15, bytes(self._body), self._size))
                self._head, self._body = bytearray(), bytearray()
                self._size, self._seen = -1, 0
        return found

    def _measure(self) -> None:
        """The remaining length is whole when its last byte has no top bit (MQTT 3.1.1, 2.2.3)."""
        if len(self._head) < 2 or (self._head[-1] & 0x80 and len(self._head) < 5):
            return
        size = 0
        for i in range(1, len(self._head)):
            size |= (self._head[i] & 0x7F) << 7 * (i - 1)
        if self._head[-1] & 0x80 or size > _MOST_SKIPPED:
            raise LinkError("the broker sends packets that are too long")
        self._size = size


def _parts(flags: int, body: bytes) -> tuple:
    """(topic, packet id or 0, message) of a PUBLISH, all but the id as bytes."""
    end = 2 + (body[0] << 8 | body[1]) if len(body) > 1 else 2
    at = end + (2 if flags & 6 else 0)
    number = body[end] << 8 | body[end + 1] if at > end and len(body) >= at else 0
    if len(body) < at or flags & 6 > _QOS1 or (at > end and not number):
        raise LinkError("the broker sends a message that cannot be read")
    return body[2:end], number, body[at:]


def _connect(login: Login) -> bytes:
    flags = _WILL
    body = text(login.client) + text(login.base + "state") + text("offline")
    if login.user:
        flags |= 0xC0
        body += text(login.user) + text(login.password)
    return packet(_CONNECT, text("MQTT") + struct.pack(">BBH", 4, flags, KEEP_ALIVE_S) + body)


def publish(topic: str, number: int, message: bytes, flags: int = 0) -> bytes:
    return packet(_PUBLISH << 4 | _QOS1 | flags, text(topic) + struct.pack(">H", number) + message)


def puback(number: int) -> bytes:
    return struct.pack(">BBH", _PUBACK << 4, 2, number)


def packet(first: int, body: bytes) -> bytes:
    size = len(body)
    head = bytearray([first])
    while True:
        head.append(size & 0x7F | (0x80 if size > 0x7F else 0))
        size >>= 7
        if not size:
            return bytes(head) + body


def text(words: str) -> bytes:
    data = words.encode()
    return struct.pack(">H", len(data)) + data


def _reason(error: Exception) -> str:
    """An error's number or kind; its text may repeat what the broker sent."""
    number = getattr(error, "errno", None)
    return "error %d" % number if isinstance(number, int) else type(error).__name__
