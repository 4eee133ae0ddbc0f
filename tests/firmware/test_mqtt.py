"""The broker as a port of the link: what the packets say, what a good broker and a bad one bring about."""

import asyncio
import struct

from firmware.base.errors import LinkError
from firmware.base.ticks import ticks_diff, ticks_ms
from firmware.link.mqtt import Login, MqttPort, Packets, packet, text

LOGIN = Login("127.0.0.1", 1883, None, "", "panel", "user", "pass", "menshen/s/p/")
CONNACK, SUBACK, PINGRESP = b"\x20\x02\x00\x00", b"\x90\x04\x00\x02\x01\x01", b"\xd0\x00"
DOWN = "menshen/s/p/down"


def random(n: int) -> bytes:
    return bytes(range(n))


class Broker:
    """Both ends of a stream: `says` is what the panel hears next, `heard` all that it said."""

    def __init__(self):
        self.connections = 0
        self.open = False
        self._renew()

    def _renew(self):
        self.heard = bytearray()
        self._said = []
        self._news = asyncio.Event()

    async def connect(self, host, port, ssl=None, server_hostname=None):
        self.connections += 1
        self.open = True
        self._renew()
        return self, self

    def say(self, data: bytes) -> None:
        self._said.append(data)
        self._news.set()

    async def read(self, n: int) -> bytes:
        while not self._said:
            self._news.clear()
            await self._news.wait()
        return self._said.pop(0)

    def write(self, data: bytes) -> None:
        self.heard += data

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        self.open = False

    async def wait_closed(self) -> None:
        pass

    def packets(self) -> list:
        """(kind, flags, body) of what the panel said since the last time."""
        said, self.heard = bytes(self.heard), bytearray()
        return [found[:3] for found in Packets().feed(said)]


def publish(topic: str, number: int, message: bytes, flags: int = 2) -> bytes:
    return packet(0x30 | flags, text(topic) + struct.pack(">H", number) + message)


async def turns(count: int = 12) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def connected(on_connected=None):
    broker = Broker()
    port = MqttPort(LOGIN, random, on_connected, delays_ms=(2, 8), connect=broker.connect)
    task = asyncio.create_task(port.run())
    await turns()
    broker.say(CONNACK)
    await turns()
    return broker, port, task


def test_packets_are_cut_however_they_arrive():
    stream = CONNACK + publish(DOWN, 7, b"x" * 300) + PINGRESP
    whole = Packets().feed(stream)
    assert [found[0] for found in whole] == [2, 3, 13] and whole[1][3] == 4 + len(DOWN) + 300
    parser, pieces = Packets(), []
    for i in range(len(stream)):
        pieces += parser.feed(stream[i : i + 1])
    assert pieces == whole


def test_of_a_packet_that_is_too_long_only_the_beginning_is_kept_and_a_senseless_one_ends_it():
    parser = Packets()
    size = 100_000
    found = parser.feed(publish(DOWN, 9, bytes(size)) + PINGRESP)
    assert [found[0] for found in found] == [3, 13]
    assert len(found[0][2]) == 12288 and found[0][3] == size + 4 + len(DOWN)
    for head in (b"\x30\xff\xff\xff\xff", b"\x30\xff\xff\xff\x7f"):
        try:
            Packets().feed(head)
            raise AssertionError("taken")
        except LinkError:
            pass


async def test_it_keeps_its_session_leaves_a_will_and_asks_for_its_own_topics():
    broker = Broker()
    port = MqttPort(LOGIN, random, connect=broker.connect)
    task = asyncio.create_task(port.run())
    await turns()
    kind, _, body = broker.packets()[0]
    assert kind == 1 and body[:7] == b"\x00\x04MQTT\x04"
    assert body[7] == 0xEC  # user, password, will retained at QoS 1, no clean session
    assert b"menshen/s/p/state\x00\x07offline" in body and body[-12:] == b"\x00\x04user\x00\x04pass"
    assert not port.connected
    broker.say(CONNACK)
    await turns()
    kinds = broker.packets()
    assert port.connected and [found[0] for found in kinds] == [8, 3, 3]
    assert b"menshen/s/p/down\x01" in kinds[0][2] and b"menshen/s/p/echo\x01" in kinds[0][2]
    assert kinds[1][1] == 3 and kinds[1][2][-6:] == b"online"  # QoS 1, retained
    task.cancel()


async def test_a_message_is_acknowledged_when_it_has_been_carried_out():
    broker, port, task = await connected()
    broker.packets()
    broker.say(SUBACK + publish(DOWN, 5, b"~one") + publish(DOWN, 6, b"~two"))
    await turns()
    assert port.read() == b"~one\r\n"
    await turns()
    assert broker.packets() == []
    port.write(b"~answer")
    assert port.read() == b"~two\r\n"
    await turns()
    kinds = broker.packets()
    assert [kind for kind, _, _ in kinds] == [4, 3] and kinds[0][2] == b"\x00\x05" and kinds[1][2][-7:] == b"~answer"
    assert port.read() == b""
    await turns()
    assert broker.packets() == [(4, 0, b"\x00\x06")]
    task.cancel()


async def test_what_was_kept_is_carried_out_before_the_echo_says_so():
    calls = []
    broker, port, task = await connected(lambda: calls.append(1))
    assert calls == [1]
    echo = [body for kind, _, body in broker.packets() if kind == 3][-1][-8:]
    broker.say(publish(DOWN, 5, b"~wipe") + publish("menshen/s/p/echo", 6, b"an older"))
    broker.say(publish("menshen/s/p/echo", 7, echo))
    await turns()
    assert port.read() == b"~wipe\r\n" and not port.drained  # it may still be at work
    assert port.read() == b"" and port.drained
    task.cancel()


async def test_an_answer_that_nobody_acknowledged_is_sent_again():
    broker, port, task = await connected()
    port.write(b"~first")
    port.write(b"~second")
    await turns()
    first = [body[16:18] for kind, _, body in broker.packets() if kind == 3 and body[-6:] == b"~first"]
    broker.say(b"\x40\x02" + first[0])
    await turns()
    broker.say(b"")  # the connection breaks
    while broker.connections < 2:
        await asyncio.sleep(0.002)
    await turns()
    broker.say(CONNACK)
    await turns()
    again = [(flags, body) for kind, flags, body in broker.packets() if kind == 3 and body[-7:] == b"~second"]
    assert len(again) == 1 and again[0][0] == 10  # QoS 1, sent before
    task.cancel()


async def test_a_flood_is_taken_at_the_pace_of_the_work():
    broker, port, task = await connected()
    for number in range(1, 40):
        broker.say(publish(DOWN, number, b"~%d" % number))
    await turns(200)
    assert len(port._in) == 4 and len(broker._said) > 30
    seen = []
    while len(seen) < 39:
        data = port.read()
        if data:
            seen.append(data)
        await turns(3)
    assert seen == [b"~%d\r\n" % number for number in range(1, 40)]
    task.cancel()


async def test_answers_for_a_broker_that_is_away_are_bounded():
    port = MqttPort(LOGIN, random, connect=Broker().connect)
    for number in range(100):
        port.write(b"~%d" % number)
    assert [data for _, data, _ in port._out] == [b"~%d" % number for number in range(92, 100)]


async def test_whatever_is_no_broker_is_left_and_tried_again():
    for nonsense in (
        b"HI, I am a printer" * 5,
        b"\x20\x02\x00\x05",  # not authorised
        b"\x20\x01\x00",
        CONNACK + b"\x90\x04\x00\x02\x01\x80",  # no right to a topic
        CONNACK + b"\x10\x00",  # CONNECT
        CONNACK + publish(DOWN, 0, b"~x"),  # no packet has the id 0
        CONNACK + publish(DOWN, 1, b"~x", flags=4),  # QoS 2
        CONNACK + b"\x32\x02\xff\xff",
        CONNACK + b"\x32\xff\xff\xff\xff\x01",
        b"",
    ):
        broker = Broker()
        port = MqttPort(LOGIN, random, delays_ms=(1, 1), connect=broker.connect)
        task = asyncio.create_task(port.run())
        await turns()
        broker.say(nonsense)
        while broker.connections < 2:
            await asyncio.sleep(0.001)
        assert port.problem and port.read() == b"", nonsense
        task.cancel()


async def test_a_broker_that_goes_silent_is_left():
    broker, port, task = await connected()
    broker.packets()
    port._since -= 21_000
    port.tend()
    await turns()
    assert broker.packets() == [(12, 0, b"")]  # is it there?
    port._heard -= 36_000
    port.tend()
    await turns()
    assert "silent" in port.problem
    task.cancel()


async def test_one_that_never_lets_it_in_is_left_too():
    broker = Broker()
    port = MqttPort(LOGIN, random, delays_ms=(1, 1), connect=broker.connect)
    task = asyncio.create_task(port.run())
    await turns()
    port._since -= 16_000
    port.tend()
    while broker.connections < 2:
        await asyncio.sleep(0.001)
    assert "does not answer" in port.problem
    task.cancel()


async def test_pauses_grow():
    tries = []

    async def refused(*where, **how):
        tries.append(ticks_ms())
        raise OSError(111)

    port = MqttPort(LOGIN, random, delays_ms=(8, 64), connect=refused)
    task = asyncio.create_task(port.run())
    while len(tries) < 5:
        await asyncio.sleep(0.005)
    assert ticks_diff(tries[4], tries[3]) > 3 * 8 and port.problem == "no connection (error 111)"
    task.cancel()
