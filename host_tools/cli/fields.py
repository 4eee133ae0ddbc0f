"""The fields of every `--json` document: a notation for a document's shape, and one vocabulary for all of them.

    {handle, pin?, panels[name, receipt], policy{}, files[]}      an object
    [flat, name]                                                 a list of objects

`?` may be absent. `x[a, b]` is a list of objects, `x{a, b}` an object; with nothing inside, a list of values or an
object whose names vary. `opened:count` is the vocabulary's word of that name where one word means several things. Any
field may be null where nothing is known. Fields are only ever added; what is documented here keeps its meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r"\s*([a-z0-9_:]+|[\[\]{},?])")

# name: (kind, meaning). A time is Unix seconds; hex is bytes in lower-case hex.
VOCABULARY: dict[str, tuple[str, str]] = {
    "action": ("text", "what was done"),
    "actor": ("text", "who worked here: the user of this computer, or MENSHEN_ACTOR"),
    "added": ("list", "residents that are new on the panel"),
    "address": ("text", "its own address in the network"),
    "allow": ("flag", "whether the door opens"),
    "answers": ("list", "one for each way in"),
    "answers:flag": ("flag", "whether it answered just now; null where it was not asked"),
    "asked": ("time", "when the notice was shown"),
    "at": ("time", "the moment that was asked about"),
    "battery_low": ("flag", "whether the clock's battery is low"),
    "because": ("text", "the reason as a sentence"),
    "blocks": ("list", "flash blocks that read back as erased"),
    "blocks:count": ("number", "flash blocks that read back as erased"),
    "board": ("text", "the folder of boards/ that it is built for"),
    "board:panel": ("text", "what kind of board it is, as it last said"),
    "body": ("object", "the assessment itself"),
    "breaks": ("list", "where a chain does not hold"),
    "broker": ("text", "the broker's URL"),
    "buried": ("number", "records that the backup held and that stay deleted"),
    "bytes": ("number", "size in bytes"),
    "camera": ("flag", "whether the camera works"),
    "card": ("hex", "UID of the card at the reader"),
    "case_open": ("flag", "whether the case is open"),
    "cause": ("text", "withdrawal, order, move_out, request, notice or decommission"),
    "cautions": ("list", "what to know before using it"),
    "chain": ("text", "host, or a panel's name"),
    "changed": ("list", "residents whose rights differ"),
    "changes": ("object", "old and new value by field; empty where the panel had not confirmed yet"),
    "check": ("text", "the check's name"),
    "checks": ("list", "one for each check"),
    "chip": ("text", "the chip that it is for"),
    "claim": ("number", "1: the flat number comes before the face; 0: one to many"),
    "claim:flag": ("flag", "whether the flat number comes before the face"),
    "clearance": ("hex", "the panel's signed statement that everything was erased"),
    "clearing": ("flag", "given up: it erases itself and answers nothing else"),
    "clock": ("time", "what its clock says"),
    "clock_source": ("number", "0 unknown, 1 battery-backed clock, 2 set"),
    "code": ("text", "the visitor's code: shown here once, kept nowhere"),
    "column": ("text", "the column of the file"),
    "complete": ("flag", "whether every panel has confirmed"),
    "config": ("text", "the configuration that was written"),
    "confirmed": ("time", "when the panel confirmed; 0 while pending"),
    "confirmed:count": ("number", "deletions that panels confirmed"),
    "connected": ("flag", "whether the broker has let it in"),
    "consent_id": ("hex", "the consent's number"),
    "consents": ("list", "every consent that was asked for"),
    "consents_to_renew": ("number", "consents to an older notice than the one in force"),
    "content": ("text", "what is in it"),
    "counter": ("number", "number of the panel's log entry that closes the erasure"),
    "credentials": ("list", "PINs and cards, without their secrets"),
    "database": ("text", "SQLite or PostgreSQL"),
    "days": ("number", "how many days it may take"),
    "deadlines": ("list", "what was owed, and until when"),
    "decided": ("time", "when it was answered; 0 while it is not"),
    "deletions": ("list", "by panel"),
    "deletions:figures": ("object", "how many are owed, confirmed, late"),
    "detail": ("text", "what else is known of it"),
    "detail:object": ("object", "what else is known of it"),
    "device": ("text", "a device file that leads to it"),
    "device_pub": ("hex", "the panel's public key, against which its receipts are verified"),
    "done": ("time", "when the last block had been erased"),
    "door": ("text", "the panel's name"),
    "door:number": ("number", "the door's number at this panel"),
    "door_closed": ("flag", "whether the door is closed"),
    "doors": ("number", "a bit for each door: 1 is door 0, 3 doors 0 and 1"),
    "drained": ("flag", "whether it has carried out what the broker kept for it"),
    "dropped": ("number", "how many were revoked"),
    "dry_run": ("flag", "always true: nothing was changed"),
    "downgrade": ("flag", "whether it may replace newer firmware"),
    "due": ("date", "until when"),
    "due_unix": ("time", "the same"),
    "enrol": ("list", "flat/name of those whose face must be enrolled again"),
    "enrolled": ("time", "when it was stored"),
    "entries": ("object", "by chain, how many entries it has"),
    "error": ("text", "the kind of failure, one word"),
    "evidence": ("object", "how consent was given: at the keypad, or on which paper"),
    "exit_code": ("number", "as in the table of exit codes"),
    "exposure": ("number", "of the camera: -2 darker to 2 brighter"),
    "exit_pressed": ("flag", "whether the exit button is pressed"),
    "expiry": ("time", "when the face erases itself"),
    "face:flag": ("flag", "whether the camera is used at all"),
    "face:rule": ("number", "0: the camera stays off, cards and PINs go on"),
    "face_capacity": ("number", "how many faces it has room for"),
    "face_records": ("list", "what is known of stored faces; no template"),
    "face_least": ("number", "pixels of width below which a face is too far away; 0: any will do"),
    "face_most": ("number", "pixels of width above which a face is too near; 0: any will do"),
    "faces": ("number", "how many faces are stored"),
    "faces:count": ("number", "faces in the last picture"),
    "faces:site": ("number", "persons whose face is stored somewhere"),
    "failed": ("number", "attempts that did not open"),
    "failed:checks": ("list", "names of the checks that failed"),
    "failing": ("number", "their share"),
    "fed": ("flag", "it has no camera: menshen panel feed gives it pictures"),
    "figures": ("object", "numbers by name"),
    "file": ("text", "where it was written, or read"),
    "files": ("list", "where they were written"),
    "files:sizes": ("object", "sizes by path"),
    "fingerprint": ("text", "of the device key, to compare by eye"),
    "fire_alarm": ("flag", "whether there is a fire alarm"),
    "firmware": ("text", "the firmware's version"),
    "flash_mb": ("number", "size of the flash"),
    "flat": ("text", "the digits typed on the keypad"),
    "frame": ("object", "what the camera saw last"),
    "frames:count": ("number", "pictures that were compared"),
    "grey": ("number", "what was measured with it, 0 to 255"),
    "handle": ("hex", "the resident's random name, the only one that panels know"),
    "hash": ("hex", "SHA-256"),
    "hint": ("text", "what the person was asked to do, such as come closer"),
    "history": ("list", "what managers did with this person's data"),
    "history_head": ("hex", "hash of the newest entry of the history"),
    "hold_s": ("number", "seconds that faces wait at most for what the broker kept"),
    "holding": ("flag", "whether faces wait for that just now"),
    "holidays": ("list", "days since 1 January 1970, in local time"),
    "host": ("text", "the broker's address; empty: no broker"),
    "host_login": ("text", "the file to give to menshen fleet login"),
    "id": ("number", "its number in the registry"),
    "keep_until": ("time", "until when it cannot be deleted"),
    "key": ("hex", "the public key, against which updates are verified"),
    "kept": ("text", "for how long"),
    "kind": ("text", "what kind it is"),
    "last_seen": ("time", "of the latest answer that only this panel can have given; 0: none yet"),
    "left": ("text", "time that is left, negative when overdue"),
    "left_s": ("number", "the same in seconds"),
    "light": ("text", "the light beside the door"),
    "light:grey": ("number", "of the face, 0 to 255; null where none was measured"),
    "limit": ("number", "the face's width from which on the person is asked to move"),
    "line": ("number", "the line of the file"),
    "line:text": ("text", "what the panel printed"),
    "lock": ("number", "the lock's kind: 0 strike, 1 magnet, 2 motor"),
    "lockdown": ("number", "1: nobody enters; leaving stays free"),
    "lockdown:flag": ("flag", "whether nobody enters"),
    "log_damage": ("list", "where the panel's own log does not hold"),
    "log_head": ("hex", "hash of the newest entry of its log"),
    "log_next": ("number", "number of the next entry of its log"),
    "lost_cards_pending": ("number", "lost cards that this panel has not heard of yet"),
    "made": ("time", "when it was made"),
    "maintenance:end": ("text", "ended, or not_needed on a panel without owner"),
    "maintenance": ("flag", "whether maintenance is on"),
    "mean": ("number", "mean grey of the last picture, 0 to 255"),
    "mean_s": ("number", "seconds from beginning to open door, on average"),
    "measures": ("list", "what protects the data"),
    "memory": ("object", "bytes of its heap"),
    "message": ("text", "what went wrong, and what to do next"),
    "micropython": ("text", "the MicroPython image that it is built on"),
    "missing": ("list", "residents on the panel who are not in the file"),
    "minutes": ("number", "for how long"),
    "model_id": ("hex", "which embedder made the template"),
    "models": ("list", "figures and terms of each network"),
    "models:changed": ("list", "models that change"),
    "models:ids": ("object", "id of each model"),
    "models:sizes": ("object", "sizes of each network's files"),
    "month": ("number", "such as 202611; 0 where the time was unknown"),
    "ms": ("number", "milliseconds"),
    "name": ("text", "its name, or the resident's"),
    "name:certificate": ("text", "whom the broker's certificate must name"),
    "needs": ("text", "the lowest version that it may replace"),
    "notice": ("text", "the notice's name"),
    "notice_hash": ("hex", "SHA-256 of the text that was agreed to"),
    "notice_version": ("number", "the notice's version"),
    "notices": ("list", "the notices in use"),
    "ntp": ("text", "whom it asks for the time"),
    "number": ("number", "as receipt list shows it"),
    "offset": ("number", "where in the flash"),
    "ok:whole": ("flag", "whether nothing is wrong"),
    "ok": ("flag", "whether every step came out as it must"),
    "on": ("flag", "whether it is on now"),
    "open_s": ("number", "seconds for which the lock is released"),
    "opened": ("time", "when it was owed"),
    "opened:count": ("number", "attempts that opened"),
    "opened:flag": ("flag", "whether the door opened; null where that was not waited for"),
    "outcome": ("text", "erased, no face was stored, or why it is not confirmed"),
    "output": ("text", "what it printed on the panel"),
    "overdue": ("flag", "whether it is late"),
    "overdue:count": ("number", "deletions that are late"),
    "owed": ("number", "deletions that no panel has confirmed yet"),
    "p90_s": ("number", "seconds within which nine of ten opened"),
    "page": ("text", "where the page was written"),
    "panel": ("text", "the panel's name"),
    "panel_id": ("hex", "the panel's number"),
    "panel_logins": ("object", "by panel's name, the file to give to menshen panel network"),
    "panel_logs": ("list", "entries of the panels' logs with this person's handle"),
    "panel_pid": ("number", "the firmware's process"),
    "panels": ("list", "by panel"),
    "panels:states": ("object", "state by panel's name"),
    "partitions": ("list", "of the flash"),
    "parts": ("list", "what is written where"),
    "passable": ("flag", "whether somebody could enter"),
    "passback_min": ("number", "minutes before one credential opens again"),
    "peak_heap_bytes": ("number", "the panel's heap at its peak"),
    "pending": ("number", "deletions that wait for this panel"),
    "pending:site": ("number", "deletions that no panel has confirmed yet"),
    "person": ("object", "name, flat and rights"),
    "pid": ("number", "its process"),
    "pictures:count": ("number", "how many were shown"),
    "pin": ("text", "the PIN that was made up: shown here once, kept nowhere"),
    "pin_ms": ("number", "what the last PIN took to check; 0: none yet"),
    "place": ("text", "the registry's file, or its URL without the password"),
    "policy": ("object", "its rules"),
    "port": ("text", "device file, socket://HOST:PORT or another address of the panel"),
    "port:number": ("number", "the broker's port"),
    "problem": ("text", "why the latest try came to nothing"),
    "problems:registry": ("list", "what is wrong with it, a sentence each"),
    "problem:network": ("text", "why there is no connection"),
    "problems": ("list", "what is wrong with it"),
    "problems:count": ("number", "visits that came to nothing"),
    "proof": ("text", "receipt, nothing_stored or clearance; empty while pending"),
    "protection": ("text", "by what the site's keys are sealed: passphrase, keyring or none"),
    "purpose": ("text", "what for"),
    "quarantined": ("number", "flash blocks that refuse to be erased"),
    "ready_milliseconds": ("number", "from power to ready"),
    "reason": ("text", "why"),
    "receipt": ("hex", "the signed receipt of the erasure; null where no face was stored"),
    "receipts": ("list", "signed receipts, in hex"),
    "receipts:count": ("number", "receipts that were fetched"),
    "receipts_waiting": ("number", "receipts that were not fetched yet"),
    "recovery_code": ("text", "opens the keys where the keyring does not; shown here once. null with a passphrase"),
    "reference": ("text", "of a court's or authority's order"),
    "released": ("flag", "whether the lock is released"),
    "renew_by": ("date", "until when consent can be renewed"),
    "residents:site": ("number", "how many residents live here"),
    "residents": ("number", "how many residents it knows"),
    "retention": ("object", "how long what is kept"),
    "retired": ("text", "the panel's name"),
    "revoked": ("flag", "whether the code opens no more"),
    "running": ("text", "the version that ran before"),
    "says": ("text", "what the check found"),
    "schedule": ("list", "windows: weekdays (bit 0 is Monday), first minute, minute after the last"),
    "schema": ("number", "the version of the registry's form"),
    "second": ("number", "bits of what does not suffice alone: 1 face, 2 PIN, 4 card"),
    "seen": ("number", "how many times the panel will see the picture"),
    "seq": ("number", "the entry's number"),
    "sha256": ("hex", "of the document"),
    "simulator": ("text", "the folder that holds the virtual panel"),
    "site": ("hex", "the site's number"),
    "site_key": ("text", "the key: shown here once, kept nowhere"),
    "size": ("list", "width and height"),
    "size:bytes": ("number", "size in bytes"),
    "ssid": ("text", "the Wi-Fi that it joins"),
    "slot": ("text", "a or b: where the firmware that runs lies"),
    "spread": ("number", "standard deviation of its greys"),
    "state": ("text", "how it stands"),
    "steps": ("list", "what was tried and what came of it"),
    "stored": ("list", "what is stored where, and for what"),
    "tamper": ("flag", "whether the case is open"),
    "target": ("number", "what would be best"),
    "templates": ("number", "views of the face that are stored"),
    "text": ("text", "the whole text"),
    "time": ("time", "when"),
    "time_source": ("number", "how it was known: 0 unknown, 1 battery-backed clock, 2 set"),
    "tls": ("flag", "whether the connection is encrypted"),
    "times": ("object", "milliseconds by stage"),
    "token": ("hex", "the token: good once"),
    "trial": ("flag", "whether it is still on trial"),
    "tried": ("time", "the latest try; 0: none yet"),
    "tries": ("number", "how often it was tried"),
    "uid": ("hex", "the card's number"),
    "uid_only": ("flag", "whether cards without a key open"),
    "uid_only:rule": ("number", "1: cards without a key open by their UID, which can be copied"),
    "unchanged": ("number", "residents who are on record as in the file"),
    "under_14": ("flag", "whether a guardian decides about this person's face"),
    "unknown": ("number", "faces that must be enrolled again and that this site does not know"),
    "unreached": ("list", "names of panels that did not answer"),
    "until": ("date", "until when"),
    "up": ("flag", "whether it is on the network"),
    "uptime_s": ("number", "seconds since it was switched on"),
    "used": ("number", "bytes in use"),
    "user": ("text", "how it logs in"),
    "uses": ("number", "how often the code opens; 0: as often as wanted"),
    "utc_offset_min": ("number", "minutes by which local time is ahead of UTC"),
    "valid_from": ("time", "when the rights begin; 0: always"),
    "valid_until": ("time", "when the rights end; 0: never"),
    "vault": ("text", "empty, kept or erased"),
    "verdict": ("text", "ok, failed, absent or skipped"),
    "version": ("number", "the notice's version"),
    "visits": ("number", "how often a panel was asked for what it has"),
    "version:text": ("text", "such as 0.2.0"),
    "warning": ("text", "what the authorities must be told soon; empty where nothing"),
    "warnings": ("list", "rules that treat somebody without a face worse"),
    "ways": ("text", "the ways in that the resident has"),
    "what": ("text", "what it is about"),
    "when": ("date", "when, in local time"),
    "where": ("text", "where it is"),
    "who": ("text", "flat/name, or the handle once the name is forgotten"),
    "why": ("text", "why it cannot be read"),
    "withdrawn": ("time", "when consent was withdrawn; 0: it was not"),
    "width": ("number", "of the face in the picture, in pixels of 320"),
    "would": ("text", "what would be done"),
    "written": ("object", "bytes by part"),
}

_KINDS: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "hex": (str,),
    "date": (str,),
    "number": (int, float),
    "time": (int,),
    "flag": (bool,),
    "list": (list,),
    "object": (dict,),
}

DRY_RUN = "{dry_run, would}"
ERROR = "{error, message, exit_code}"


@dataclass(frozen=True)
class Field:
    """`inner`: of a list's items or an object; None where that is not documented further."""

    word: str
    optional: bool = False
    inner: tuple[Field, ...] | None = None

    @property
    def name(self) -> str:
        return self.word.partition(":")[0]

    @property
    def kind(self) -> str:
        return VOCABULARY[self.word][0]

    @property
    def meaning(self) -> str:
        return VOCABULARY[self.word][1]


def parse(notation: str) -> tuple[Field, ...]:
    """The fields of a document, or of the items of one that is a list. KeyError for a word without a meaning."""
    tokens = _TOKEN.findall(notation)
    fields, rest = _fields(tokens[1:])
    if rest:
        raise ValueError(f"{notation}: too many brackets")
    return fields


def lines(fields: tuple[Field, ...], path: str = "") -> list[tuple[str, str]]:
    """(name, kind and meaning) of each, with those inside it."""
    found = []
    for field in fields:
        name = path + field.name
        found.append((name, f"{field.kind}: {field.meaning}{' (may be absent)' if field.optional else ''}"))
        if field.inner:
            found += lines(field.inner, name + ("[]." if field.kind == "list" else "."))
    return found


def mismatches(notation: str, document: Any) -> list[str]:
    """What a document holds and is not documented, or lacks and should hold, or holds as another kind."""
    wanted = list if notation.startswith("[") else dict
    if not isinstance(document, wanted):
        return [f"a {type(document).__name__} where a {wanted.__name__} is documented"]
    fields = parse(notation)
    items = document if isinstance(document, list) else [document]
    return [problem for item in items for problem in _compare(fields, item, "")]


def _fields(tokens: list[str]) -> tuple[tuple[Field, ...], list[str]]:
    found: list[Field] = []
    while tokens:
        word, tokens = tokens[0], tokens[1:]
        if word in "]}":
            return tuple(found), tokens
        if word == ",":
            continue
        if word == "?":
            last = found.pop()
            found.append(Field(last.word, True, last.inner))
        elif word in "[{":
            inner, tokens = _fields(tokens)
            last = found.pop()
            found.append(Field(last.word, last.optional, inner or None))
        else:
            found.append(Field(word))
            VOCABULARY[word]  # KeyError: every word needs its meaning
    raise ValueError("a bracket is missing")


def _compare(fields: tuple[Field, ...], item: Any, path: str) -> list[str]:
    if not isinstance(item, dict):
        return [f"{path} holds something that is no object"]
    known = {field.name: field for field in fields}
    problems = [f"{path}{name} is not documented" for name in item if name not in known]
    for name, field in known.items():
        if name not in item:
            problems += [] if field.optional else [f"{path}{name} is missing"]
            continue
        value = item[name]
        if value is None:
            continue
        right = isinstance(value, _KINDS[field.kind]) and (field.kind == "flag") == isinstance(value, bool)
        if not right:
            problems.append(f"{path}{name} is a {type(value).__name__}, documented as {field.kind}")
        elif field.inner:
            for inner in value if isinstance(value, list) else [value]:
                problems += _compare(field.inner, inner, f"{path}{name}.")
    return problems
