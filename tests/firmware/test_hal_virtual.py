"""The bus client against a peer that misbehaves: always a HalError, never a stale or partial answer."""

import os
import socket
import struct
import time

from firmware.base.errors import CameraError, HalError
from firmware.hal.heap import Heap
from firmware.hal.virtual import wire
from firmware.hal.virtual.bus import Bus
from firmware.hal.virtual.camera import VirtualCamera
from firmware.hal.virtual.system import entropy


def listener():
    for _ in range(50):
        port = 20000 + int.from_bytes(os.urandom(2), "big") % 10000
        sock = socket.socket()
        try:
            sock.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            sock.listen(2)
            return sock, "127.0.0.1:%d" % port
        except OSError:
            sock.close()
    raise OSError("no free port")


def peer(bus, server):
    """Connects the bus and returns the other end, so that a reply can lie ready before the request."""
    bus._sock = bus._connect()
    return server.accept()[0]


def reply(op, body):
    return struct.pack(wire.HEADER, op, len(body)) + body


def fails(function, *args):
    try:
        function(*args)
    except HalError as error:
        return str(error)
    raise AssertionError("no HalError")


def test_request_and_reply_on_the_wire():
    server, address = listener()
    bus = Bus(address)
    end = peer(bus, server)
    end.write(reply(wire.KEYS, b"301#"))
    assert bus.call(wire.KEYS, b"xy") == b"301#"
    assert end.read(7) == struct.pack(wire.HEADER, wire.KEYS, 2) + b"xy"
    end.close()
    server.close()


def test_nobody_there():
    server, address = listener()
    server.close()
    assert "hardware bus" in fails(Bus(address).call, wire.KEYS)


def test_silence_times_out_and_the_late_answer_is_never_read():
    server, address = listener()
    bus = Bus(address, timeout_ms=100)
    start = time.ticks_ms()
    first = peer(bus, server)
    fails(bus.call, wire.KEYS)
    assert 80 <= time.ticks_diff(time.ticks_ms(), start) < 2000
    first.close()
    second = peer(bus, server)
    second.write(reply(wire.KEYS, b"2"))
    assert bus.call(wire.KEYS) == b"2"
    second.close()
    server.close()


def test_garbled_replies():
    for answer in (
        reply(wire.LOCK, b""),
        struct.pack(wire.HEADER, wire.KEYS, wire.MAX_BODY + 1),
        reply(wire.KEYS, b"1234")[:-2],
        b"\x4b",
        b"",
    ):
        server, address = listener()
        bus = Bus(address, timeout_ms=500)
        end = peer(bus, server)
        end.write(answer)
        end.close()
        fails(bus.call, wire.KEYS)
        assert bus._sock is None
        server.close()


def test_the_worlds_refusal_is_the_errors_text_and_keeps_the_connection():
    server, address = listener()
    bus = Bus(address)
    end = peer(bus, server)
    end.write(reply(wire.FAILED, b"no card in the field"))
    assert fails(bus.call, wire.NFC_APDU, b"\x00") == "no card in the field"
    assert bus._sock is not None
    end.close()
    server.close()


def test_a_camera_that_fails_raises_camera_error():
    server, address = listener()
    bus = Bus(address, timeout_ms=500)
    camera = VirtualCamera(bus)
    frame = bytearray(64)
    for answer in (reply(wire.FAILED, b"cut"), reply(wire.CAMERA, bytes(63)), reply(wire.CAMERA, bytes(65))):
        end = peer(bus, server)
        end.write(answer)
        try:
            camera.capture_into(frame)
            raise AssertionError("a frame")
        except CameraError:
            pass
        end.close()
        bus.close()
    end = peer(bus, server)
    end.write(reply(wire.CAMERA, bytes(range(64))))
    camera.capture_into(frame)
    assert frame == bytes(range(64))
    server.close()


def test_entropy_and_heap_figures():
    assert len(entropy(32)) == 32 and entropy(32) != entropy(32)
    heap = Heap()
    ballast = bytearray(20000)
    first = heap.figures()
    del ballast
    assert first["heap_used"] > 20000 and first["heap_free"] > 0
    assert heap.figures()["heap_peak"] >= first["heap_peak"]
