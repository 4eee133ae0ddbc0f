"""Frames and seals of the link, and the checks on what a request holds."""

import os

from firmware.base.errors import AuthError, BadRequest, LinkError
from firmware.link.messages import (
    MAX_PAYLOAD,
    PLAIN,
    REPLY,
    REQUEST,
    Framer,
    Seals,
    decode_frame,
    encode_frame,
    header,
    open_plain,
    plain,
)
from firmware.link.ops import OPS, request_fields, wire

_KEY = bytes(range(32))
_HELLO = {"op": "hello"}


def _refused(kind, function, *arguments) -> bool:
    try:
        function(*arguments)
    except kind:
        return True
    return False


def test_a_frame_comes_back_in_any_pieces_amid_console_talk():
    payload = plain(7, {"op": "hello", "name": "\u95e8"})
    stream = b"boot: ok\r\n" + encode_frame(payload) + b"door: open\n" + encode_frame(payload)
    for size in (1, 2, 7, 64, len(stream)):
        talk = []
        framer = Framer(talk.append)
        frames = []
        for i in range(0, len(stream), size):
            frames.extend(framer.feed(stream[i : i + size]))
        assert [decode_frame(line) for line in frames] == [payload, payload], size
        assert b"".join(talk) == b"boot: okdoor: open", talk
    assert header(payload) == (PLAIN, 7)
    assert open_plain(payload)["name"] == "\u95e8"


def test_a_truncated_frame_does_not_swallow_the_next():
    frame = encode_frame(plain(1, _HELLO))
    framer = Framer()
    assert framer.feed(frame[: len(frame) // 2]) == []
    lines = framer.feed(frame)
    assert [decode_frame(line) for line in lines] == [plain(1, _HELLO)]


def test_every_altered_character_is_noticed():
    frame = encode_frame(plain(1, _HELLO)).strip()
    for i in range(1, len(frame)):
        altered = bytearray(frame)
        altered[i] = ord("A") if altered[i] != ord("A") else ord("B")
        assert _refused(LinkError, decode_frame, bytes(altered)), i
    for end in range(1, len(frame) - 1):
        assert _refused(LinkError, decode_frame, frame[:end]), end


def test_an_overlong_line_costs_bounded_memory_and_reads_as_garbled():
    framer = Framer()
    assert framer.feed(b"~" + b"A" * 6000) == []
    for _ in range(4):
        assert framer.feed(b"A" * 6000) == []
    lines = framer.feed(b"\r\n" + encode_frame(plain(1, _HELLO)))
    assert len(lines) == 2 and len(lines[0]) == 1
    assert _refused(LinkError, decode_frame, lines[0])
    assert decode_frame(lines[1]) == plain(1, _HELLO)
    assert _refused(LinkError, encode_frame, bytes(MAX_PAYLOAD + 1))
    assert decode_frame(encode_frame(bytes(MAX_PAYLOAD)).strip()) == bytes(MAX_PAYLOAD)


def test_other_versions_kinds_and_contents_are_link_errors():
    payload = bytearray(plain(1, _HELLO))
    payload[0] = 2
    assert _refused(LinkError, header, bytes(payload))
    payload[0], payload[1] = 1, 9
    assert _refused(LinkError, header, bytes(payload))
    for body in (b"", b"[1]", b"{", b"\xff\xfe", b'"text"', b"[" * 900):
        assert _refused(LinkError, open_plain, payload[:6] + body), body
    assert _refused(LinkError, open_plain, plain(1, {"op": "x" * 2000}))


def test_seals_open_on_the_other_side_only_and_only_whole():
    host, panel, stranger = (
        Seals(_KEY, os.urandom),
        Seals(_KEY, os.urandom),
        Seals(b"\0" * 32, os.urandom),
    )
    request = host.request(5, {"op": "status"})
    assert header(request) == (REQUEST, 5)
    assert panel.open_request(request) == {"op": "status"}
    assert _refused(AuthError, stranger.open_request, request)
    assert _refused(AuthError, panel.open_reply, request, request)
    for i in range(2, len(request), 5):
        altered = bytearray(request)
        altered[i] ^= 1
        assert _refused(AuthError, panel.open_request, bytes(altered)), i
    assert _refused(AuthError, panel.open_request, request[:40])


def test_a_reply_belongs_to_its_request():
    seals = Seals(_KEY, os.urandom)
    first, again = seals.request(5, {"op": "status"}), seals.request(5, {"op": "status"})
    reply = seals.reply(first, {"ok": True})
    assert header(reply) == (REPLY, 5)
    assert seals.open_reply(first, reply) == {"ok": True}
    assert _refused(AuthError, seals.open_reply, again, reply)


def test_a_message_too_long_for_a_frame_is_refused_before_it_is_sent():
    assert _refused(LinkError, Seals(_KEY, os.urandom).request, 1, {"text": "x" * MAX_PAYLOAD})


def test_requests_are_checked_field_by_field():
    handle = "0102030405060708"
    good = {
        "op": "resident_put",
        "handle": handle,
        "flat": "301",
        "doors": 1,
        "schedule": [{"days": 127, "start": 0, "end": 1440}],
        "valid_from": 0,
        "valid_until": 0,
    }
    assert request_fields("resident_put", good)["handle"] == bytes(range(1, 9))
    bad = (
        ("handle", handle[:-1]),
        ("handle", handle[:-2] + "zz"),
        ("handle", 5),
        ("flat", "3a"),
        ("flat", ""),
        ("doors", "1"),
        ("doors", 1 << 32),
        ("schedule", 5),
        ("schedule", [{"days": 127, "start": 0, "end": 1440}] * 17),
        ("schedule", [{"days": 0, "start": 0, "end": 1440}]),
        ("schedule", [{"days": 127, "start": 0}]),
        ("schedule", [[127, 0, 1440]]),
        ("valid_until", -1),
        ("valid_until", True),
        ("valid_until", 1.5),
        ("surplus", 1),
    )
    for name, value in bad:
        message = dict(good)
        message[name] = value
        assert _refused(BadRequest, request_fields, "resident_put", message), (name, value)
    for name in good:
        if name != "op":
            message = dict(good)
            del message[name]
            assert _refused(BadRequest, request_fields, "resident_put", message), name
    assert _refused(BadRequest, request_fields, "format_disk", {"op": "format_disk"})
    assert _refused(BadRequest, request_fields, ["list"], {})


def test_optional_fields_may_be_left_out_and_choices_are_closed():
    message = {"op": "credential_drop", "handle": "00" * 8, "kind": "card"}
    assert request_fields("credential_drop", message)["kind"] == "card"
    message["uid"] = "04aabbcc"
    assert request_fields("credential_drop", message)["uid"] == b"\x04\xaa\xbb\xcc"
    message["kind"] = "face"
    assert _refused(BadRequest, request_fields, "credential_drop", message)


def test_the_largest_enrolment_fits_a_frame():
    fields = {
        "op": "enrol_put",
        "handle": bytes(8),
        "consent_id": bytes(16),
        "notice_hash": bytes(32),
        "model_id": bytes(8),
        "expiry": 0xFFFFFFFF,
        "templates": [bytes(128)] * 4,
    }
    sealed = Seals(_KEY, os.urandom).request(1, wire(fields))
    assert len(encode_frame(sealed)) < 10940
    assert request_fields("enrol_put", wire(fields))["templates"][3] == bytes(128)


def test_every_table_entry_is_well_formed():
    for op in OPS:
        for fields in OPS[op]:
            for name, kind in fields:
                assert name and isinstance(kind, tuple) and isinstance(kind[0], str), (op, name)
