"""Every operation of the link in one table: what a request must hold, what its reply holds, the caps on both.

A field is (name, type); a name ending in "?" may be left out. Bytes cross as lower-case hex and are `bytes`
on both sides of `check` and `wire`. Times are Unix seconds, 0 for "never". `since` asks for the items
numbered from it on, `next` is the `since` of the next page, and a page without items is the end.

A request with a field too many, too few, too long or of another type is a BadRequest and changes nothing; a
reply may hold more than its table says.
"""

import binascii

from firmware.base.errors import BadRequest
from firmware.link.maintenance import TOKEN_BYTES

_TIME = ("int", 0, 0xFFFFFFFF)
_COUNT = ("int", 0, 0xFFFFFFFF)
_HANDLE = ("hex", 8, 8)
_CONSENT = ("hex", 16, 16)
_HASH = ("hex", 32, 32)
_MODEL = ("hex", 8, 8)
_TEMPLATE = ("hex", 128, 128)
_RECEIPT = ("hex", 204, 680)
_CLEARANCE = ("hex", 184, 184)
_LINK = ("hex", 96, 96)  # an audit entry as vault/chain.py has it: body 64, hash 32
_UID = ("hex", 4, 10)
_FLAT = ("digits", 1, 6)
_FLAG = ("bool",)
_NAME = ("text", 64)
_SINCE = ("since", _COUNT)
_NEXT = ("next", _COUNT)

# A notice on the panel's screen: paragraphs, which the panel breaks into rows. They fit a frame in UTF-8.
MAX_TITLE = 32
MAX_LINES = 16
MAX_LINE = 160

MAX_MANIFEST = 2048  # bytes of an update's (bundle.py)

CONSENT_STATES = ("none", "asked", "given", "declined", "withdrawn", "expired")
CREDENTIALS = ("pin", "duress", "card")  # without its PIN no duress PIN
WIPE_REASONS = ("withdrawn", "removed", "expired", "replaced", "request", "notice")
TOMBSTONES = ("face", "resident")
ENROLMENTS = ("none", "looking", "stored", "failed")
MAINTENANCE = ("off", "asked", "on", "refused")
VERDICTS = ("ok", "failed", "absent", "skipped")
MINUTES = ("kernels plain",)  # checks of the self-test that take a board minutes
OPENING = ("lock",)  # those that open the door
SEEING = ("camera", "stages")  # those that take pictures
FEED_BYTES = 3600  # of a picture in one request

_STATE = ("one", CONSENT_STATES)
# A window of access/schedule.py: weekdays (bit 0 is Monday, bit 7 holidays), first minute, minute after the last.
_WINDOW = (
    "rec",
    (("days", ("int", 1, 255)), ("start", ("int", 0, 1439)), ("end", ("int", 1, 1440))),
)

# `done` of `count` views are taken; `hint`: what the person before the camera should do now, as on the screen.
_ENROLMENT = (
    ("state", ("one", ENROLMENTS)),
    ("done", ("int", 0, 4)),
    ("count", ("int", 0, 4)),
    ("hint?", _NAME),
    ("err?", _NAME),
    ("msg?", ("text", 160)),
    ("model_id?", _MODEL),
)

# Answered without a seal; `provision` only by a panel that has not yet had a sealed request from its owner; `maintain`
# carries a seal of its own.
PLAIN_OPS = ("hello", "provision", "maintain")

# op: (request fields, reply fields)
OPS = {
    "hello": (
        (),
        (
            ("board", _NAME),
            ("firmware", _NAME),
            ("provisioned", _FLAG),  # True from the first sealed request on: no further provisioning
            ("maintenance?", _FLAG),
            ("panel_id?", _HANDLE),
            ("device_pub?", _HASH),
        ),
    ),
    "provision": (
        (("host_pub", _HASH), ("site", _HANDLE), ("name", _NAME), ("time", _TIME)),
        (("panel_id", _HANDLE), ("device_pub", _HASH), ("panel_pub", _HASH), ("sig", ("hex", 64, 64))),
    ),
    "status": (
        (),
        (
            ("panel_id", _HANDLE),
            ("name", _NAME),
            ("board", _NAME),
            ("firmware", _NAME),
            ("time", _TIME),
            ("time_source", ("int", 0, 2)),  # 0 unknown, 1 RTC, 2 set by the host or NTP
            ("uptime_s", _COUNT),
            ("residents", _COUNT),
            ("faces", _COUNT),
            ("face_capacity", _COUNT),
            ("model_id?", _MODEL),
            ("maintenance", _FLAG),
            ("tamper?", _FLAG),
            ("camera?", _FLAG),
            ("fed?", _FLAG),  # no camera of its own: pictures come by `feed`
            ("pin_ms?", _COUNT),  # what the last PIN cost to check, the key derivation with it; 0: none yet
            ("memory", ("free", 512)),
            ("policy?", ("free", 1024)),
            ("clearing?", _FLAG),  # given up: decommission goes on, nothing else is answered
            ("receipts_waiting?", _COUNT),  # not yet acknowledged
            ("quarantined?", _COUNT),  # blocks that refuse to erase
            ("log_next?", _COUNT),  # the number of the next audit entry
            ("log_head?", _HASH),  # the hash of the newest
            (
                "log_damage?",
                ("list", 8, ("rec", (("what", _NAME), ("seq", _COUNT), ("block", ("int", -1, 0xFFFF))))),
            ),
        ),
    ),
    "set_time": ((("time", _TIME),), (("time", _TIME),)),
    "resident_put": (
        (
            ("handle", _HANDLE),
            ("flat", _FLAT),
            ("doors", ("int", 0, 0xFFFFFFFF)),  # a bit a door
            ("schedule", ("list", 16, _WINDOW)),  # empty: never; 127, 0, 1440: always
            ("valid_from", _TIME),
            ("valid_until", _TIME),
        ),
        (),
    ),
    # Drops credentials and rights; a face goes with them, by a wipe whose receipt comes back.
    "resident_drop": ((("handle", _HANDLE),), (("receipt?", _RECEIPT),)),
    "consent_ask": (
        (
            ("handle", _HANDLE),
            ("consent_id", _CONSENT),
            ("notice_hash", _HASH),
            ("title", ("text", MAX_TITLE)),
            ("lines", ("list", MAX_LINES, ("text", MAX_LINE))),
        ),
        (("state", _STATE),),
    ),
    "consent_state": (
        (("handle", _HANDLE),),
        (("state", _STATE), ("consent_id?", _CONSENT), ("notice_hash?", _HASH), ("time?", _TIME)),
    ),
    "consent_grant": (
        (("handle", _HANDLE), ("consent_id", _CONSENT), ("notice_hash", _HASH)),
        (("state", _STATE),),
    ),
    # A receipt when a face was stored. Repeated, it answers "withdrawn" again.
    "consent_withdraw": ((("handle", _HANDLE),), (("state", _STATE), ("receipt?", _RECEIPT))),
    "enrol_put": (
        (
            ("handle", _HANDLE),
            ("consent_id", _CONSENT),
            ("notice_hash", _HASH),
            ("model_id", _MODEL),
            ("expiry", _TIME),
            ("templates", ("list", 4, _TEMPLATE)),
        ),
        (("templates", ("int", 1, 4)),),
    ),
    # Begins; enrol_state tells how it goes on, until it is stored or has failed, by `err` and `msg`.
    "enrol_live": (
        (
            ("handle", _HANDLE),
            ("consent_id", _CONSENT),
            ("notice_hash", _HASH),
            ("expiry", _TIME),
            ("count", ("int", 1, 4)),
            ("wait_s", ("int", 1, 60)),
        ),
        _ENROLMENT,
    ),
    "enrol_state": ((("handle", _HANDLE),), _ENROLMENT),
    "pin_set": (
        (
            ("handle", _HANDLE),
            ("salt", ("hex", 16, 16)),
            ("iterations", ("int", 1000, 50_000)),
            ("hash", _HASH),  # PBKDF2-HMAC-SHA256 of the PIN's ASCII digits
            ("duress?", _FLAG),  # True: a second PIN, which opens and raises a silent alarm
        ),
        (),
    ),
    # Without a key the card opens by its UID alone, and only while the policy uid_only is on.
    "card_put": ((("handle", _HANDLE), ("uid", _UID), ("key?", ("hex", 16, 16))), ()),
    # This UID never again, whoever's it was and whatever card_put says later.
    "card_lost": ((("uid", _UID),), (("dropped", _COUNT),)),
    # The panel's reader on loan to the host, which talks to the card itself: its master keys never pass the panel.
    "card_wait": ((("wait_s", ("int", 1, 60)),), (("uid", _UID),)),
    "card_apdu": ((("apdu", ("hex", 4, 261)),), (("answer", ("hex", 2, 261)),)),
    "card_done": ((), ()),
    # `number`: the first half of the visitor's code; `until`: when it ends.
    "visitor_revoke": ((("flat", _FLAT), ("number", ("int", 0, 999_999)), ("until", _TIME)), ()),
    "credential_drop": (
        (("handle", _HANDLE), ("kind", ("one", CREDENTIALS)), ("uid?", _UID)),
        (("dropped", _COUNT),),
    ),
    "wipe_face": (
        (("handle", _HANDLE), ("reason", ("one", WIPE_REASONS))),
        (("receipt", _RECEIPT),),
    ),
    "receipts": (
        (_SINCE, ("limit", ("int", 1, 5))),
        (("receipts", ("list", 5, _RECEIPT)), _NEXT, ("waiting?", _COUNT)),  # waiting: not yet acknowledged
    ),
    "log": (
        (_SINCE, ("limit", ("int", 1, 32))),
        (
            (
                "entries",
                (
                    "list",
                    32,
                    (
                        "rec",
                        (
                            ("seq", _COUNT),
                            ("time", _TIME),
                            ("kind", _NAME),
                            ("handle?", _HANDLE),
                            ("detail", ("text", 80)),
                        ),
                    ),
                ),
            ),
            _NEXT,
        ),
    ),
    # The host has verified and kept all receipts up to this counter: the panel may forget them.
    "receipts_ack": ((("upto", _COUNT),), (("waiting", _COUNT),)),
    # The audit chain itself. `before`: the hash that the first entry follows.
    "log_export": (
        (_SINCE, ("limit", ("int", 1, 20))),
        (("before", _HASH), ("entries", ("list", 20, _LINK)), _NEXT),
    ),
    # Records that are not newer are refused and wiped, now and at each start; receipts say "restored". `sequence`:
    # the panel's own counter (its receipt's), or 0: then what was not written after `time`.
    "tombstones": (
        (
            (
                "items",
                (
                    "list",
                    24,
                    (
                        "rec",
                        (("what", ("one", TOMBSTONES)), ("handle", _HANDLE), ("sequence", _COUNT), ("time", _TIME)),
                    ),
                ),
            ),
        ),
        (("wiped", _COUNT), ("receipts_waiting", _COUNT)),
    ),
    # Gives the panel up: the secret is erased at once, then block after block; ask again until `left` is 0 and the
    # clearance comes with it. Refused while receipts wait. `panel_id` must be this panel's.
    "decommission": (
        (("panel_id", _HANDLE),),
        (("left", _COUNT), ("clearance?", _CLEARANCE)),
    ),
    # The host has verified and kept the clearance with this SHA-256: the device key goes too and the panel starts
    # as a fresh one. Repeated after that, the answer is not_provisioned.
    "decommission_done": ((("clearance_hash", _HASH),), ()),
    # Attempts at the door, kept in RAM only: kind, outcome, reason, stage times in ms, box, points, hint.
    "events": (
        (_SINCE, ("limit", ("int", 1, 12))),
        (("events", ("list", 12, ("free", 500))), _NEXT),
    ),
    # The console's lines since the start, the last 64 of them: milliseconds, area, what happened; nobody's name.
    "console": (
        (_SINCE, ("limit", ("int", 1, 32))),
        (("lines", ("list", 32, ("text", 128))), _NEXT),
    ),
    # Counts of attempts by kind of credential and month (202412; 0: time unknown), services/parity.py; nobody's name.
    "parity": (
        (("since", _COUNT), ("limit", ("int", 1, 13))),
        (
            (
                "rows",
                (
                    "list",
                    39,
                    (
                        "rec",
                        (
                            ("month", _COUNT),
                            ("kind", ("text", 8)),
                            ("opened", _COUNT),
                            ("failed", _COUNT),
                            ("total_ms", _COUNT),
                            ("bins", ("list", 16, _COUNT)),
                        ),
                    ),
                ),
            ),
            ("bins_ms", ("list", 16, _COUNT)),
        ),
    ),
    "set_policy": (
        (
            ("face?", _FLAG),  # False: the camera stays off, cards and PINs go on
            ("claim?", _FLAG),  # True: the flat number comes before the face
            ("open_s?", ("int", 1, 30)),
            ("door?", ("int", 0, 31)),  # which bit of a resident's doors this one is
            ("utc_offset_min?", ("int", -720, 840)),
            ("lockdown?", _FLAG),
            ("second?", ("int", 0, 7)),  # bits of what does not suffice alone: 1 face, 2 PIN, 4 card
            ("passback_min?", ("int", 0, 1440)),
            ("lock?", ("int", 0, 2)),  # 0 strike, 1 magnet, 2 motor
            ("holidays?", ("list", 48, ("int", 0, 65535))),  # local days since 1 January 1970
            ("exposure?", ("int", -2, 2)),  # of the camera, darker to brighter
            ("face_least?", ("int", 0, 240)),  # widths in the picture outside of which a face is not looked at; 0: any
            ("face_most?", ("int", 0, 320)),
            ("uid_only?", _FLAG),  # True: cards without a key open by their UID, which anybody near can copy
        ),
        (),
    ),
    # The way out to the site's broker; what is not named stays. Secrets go in and are never told again.
    "network_set": (
        (
            ("ssid?", ("text", 32)),
            ("wifi_password?", ("text", 63)),
            ("ntp?", ("text", 15)),  # an IPv4 address, or "" for none
            ("host?", ("text", 15)),  # the broker's: the same
            ("port?", ("int", 1, 65535)),
            ("tls?", _FLAG),
            ("name?", ("text", 64)),  # whom the broker's certificate must name
            ("ca?", ("hex", 1, 1900)),  # the certificate of the authority that must have signed it, DER
            ("user?", ("text", 64)),
            ("password?", ("text", 64)),
            ("hold_s?", ("int", 0, 3600)),  # how long faces wait at most for what the broker kept
        ),
        (),
    ),
    "network": (
        (),
        (
            ("ssid", ("text", 32)),
            ("ntp", ("text", 15)),
            ("host", ("text", 15)),
            ("port", _COUNT),
            ("tls", _FLAG),
            ("name", ("text", 64)),
            ("user", ("text", 64)),
            ("hold_s", _COUNT),
            ("up", _FLAG),
            ("address", ("text", 15)),
            ("connected", _FLAG),
            ("drained", _FLAG),  # what the broker had kept has been carried out
            ("holding", _FLAG),  # faces wait for it
            ("problem", ("text", 160)),
        ),
    ),
    # A technician's token (link/maintenance.py), as often as he wants to know what became of it; a press on the panel
    # answers. `seconds`: until the question or maintenance ends. `end`: he is done.
    "maintain": (
        (("token", ("hex", TOKEN_BYTES, TOKEN_BYTES)), ("end?", _FLAG)),
        (("state", ("one", MAINTENANCE)), ("seconds", _COUNT)),
    ),
    "maintenance_end": ((), ()),
    # The camera's picture for whoever aims it, once a press on the panel has allowed it; `id`: a number of the asker's
    # choice for each wish. Grey, two pixels a byte, the left one in the upper half; three bands make a picture, band 0
    # takes a new one. `level` tries an exposure until aiming ends; `light`: of the face, where one was measured.
    "aim": (
        (("id", _COUNT), ("seconds", ("int", 10, 600))),
        (("state", ("one", MAINTENANCE)), ("seconds", _COUNT)),
    ),
    "aim_frame": (
        (("band", ("int", 0, 2)), ("level?", ("int", -2, 2))),
        (
            ("width", _COUNT),
            ("height", _COUNT),
            ("data", ("hex", 1, 3200)),
            ("mean", _COUNT),
            ("spread", _COUNT),
            ("faces", _COUNT),
            ("hint", _NAME),
            ("box?", ("list", 4, _COUNT)),
            ("light?", _COUNT),
        ),
    ),
    "aim_end": ((), ()),
    # Whose updates this panel takes: an Ed25519 public key, once; another one only in maintenance.
    "update_key": ((("key", _HASH),), ()),
    # An update, step by step; bundle.py has the manifest. `have`: bytes that are there already, of which `here`: the
    # running firmware has the same file, so that it need not be sent.
    "update_begin": (
        (("manifest", ("hex", 2, MAX_MANIFEST)), ("sig", ("hex", 64, 64))),
        (
            ("version", _NAME),
            ("files", ("list", 16, ("rec", (("name", _NAME), ("have", _COUNT), ("here", _FLAG))))),
        ),
    ),
    "update_data": (
        (("name", _NAME), ("offset", _COUNT), ("data", ("hex", 1, 3072))),
        (("have", _COUNT),),
    ),
    # Checks every hash; ask again until `left` is 0.
    "update_finish": ((), (("left", _COUNT),)),
    # One write makes it the firmware of the next start, which follows at once.
    "update_switch": ((("version", _NAME),), ()),
    # The host's word on the new firmware: well, or back to the old one.
    "update_verdict": ((("version", _NAME), ("well", _FLAG)), ()),
    "update_state": (
        (),
        (
            ("slot", ("text", 1)),
            ("version", _NAME),
            ("trial", _FLAG),
            ("other", ("text", 64)),  # the other slot's version, "" while there is none whole
            ("floor", ("text", 64)),
            ("failed?", ("free", 256)),
            ("key?", _HASH),
            ("crash?", ("text", 800)),
        ),
    ),
    # A picture for a board without camera (status: fed), 320 x 240 grey, in parts from byte 0 on; once whole the panel
    # sees it so many times. No operation brings one back.
    "feed": (
        (("at", ("int", 0, 76_799)), ("data", ("hex", 1, FEED_BYTES)), ("uses?", ("int", 1, 255))),
        (("whole", _FLAG),),
    ),
    # Without `check` the names of the checks; with it one of them is made, which may take a minute. `release`: the lock
    # may move (the check "lock" opens the door). Figures: services/selftest.py.
    "selftest": (
        (("check?", _NAME), ("release?", _FLAG)),
        (
            ("checks?", ("list", 32, _NAME)),
            ("check?", _NAME),
            ("verdict?", ("one", VERDICTS)),
            ("says?", ("text", 160)),
            ("figures?", ("free", 1024)),
        ),
    ),
}


def request_fields(op: str, message: dict) -> dict:
    """The fields of a request, checked and with bytes decoded. Raises BadRequest."""
    entry = OPS.get(op) if isinstance(op, str) else None
    if entry is None:
        raise BadRequest("no such operation")
    fields = {name: message[name] for name in message if name != "op"}
    known = [name.rstrip("?") for name, _ in entry[0]]
    for name in fields:
        if name not in known:
            raise BadRequest("%s takes no field of that name" % op)
    return check(entry[0], fields)


def check(fields: tuple, values: dict) -> dict:
    """Each of `fields` in `values`, checked and decoded; others are left out. Raises BadRequest."""
    decoded = {}
    for name, kind in fields:
        optional = name.endswith("?")
        name = name.rstrip("?")
        if name in values:
            decoded[name] = _value(name, kind, values[name])
        elif not optional:
            raise BadRequest("%s is missing" % name)
    return decoded


def _value(name: str, kind: tuple, value):
    what = kind[0]
    if what == "hex":
        return _hex(name, kind, value)
    if what == "int":
        good = isinstance(value, int) and not isinstance(value, bool) and kind[1] <= value <= kind[2]
    elif what == "bool":
        good = isinstance(value, bool)
    elif what == "text":
        good = isinstance(value, str) and len(value) <= kind[1]
    elif what == "digits":
        good = isinstance(value, str) and kind[1] <= len(value) <= kind[2] and _all_digits(value)
    elif what == "one":
        good = value in kind[1]
    elif what == "list":
        good = isinstance(value, list) and len(value) <= kind[1]
        value = [_value(name, kind[2], item) for item in value] if good else value
    elif what == "rec":
        good = isinstance(value, dict)
        value = check(kind[1], value) if good else value
    else:
        good = what == "free" and isinstance(value, (dict, list)) and len(str(value)) <= kind[1]
    if not good:
        raise BadRequest("%s is not as the operation needs it" % name)
    return value


def _all_digits(text: str) -> bool:
    return all("0" <= c <= "9" for c in text)


def _hex(name: str, kind: tuple, value) -> bytes:
    if not isinstance(value, str) or not 2 * kind[1] <= len(value) <= 2 * kind[2]:
        raise BadRequest("%s is not as long as it must be" % name)
    try:
        return binascii.unhexlify(value)
    except ValueError:
        raise BadRequest("%s is not hex" % name) from None


def wire(value):
    """`value` as JSON can carry it: bytes become hex, however deep."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return str(binascii.hexlify(value), "ascii")
    if isinstance(value, dict):
        return {name: wire(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [wire(item) for item in value]
    return value
