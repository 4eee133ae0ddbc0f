"""What managers did, as a chain: each entry's hash covers the one before it.

hash = SHA-256(hash before | canonical JSON of [seq, time, actor, action, handle, panel_id, detail]), 32 bytes 0
standing before the first. Entries hold handles, never names, so that a resident can be forgotten. The newest
entry's number and hash also stand in a file beside the registry, `<beside>.head` (Registry.beside): a chain that was
cut off at its end is shorter than that file says.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools.site.database import Connection

START = bytes(32)


@dataclass(frozen=True)
class HistoryEntry:
    seq: int
    time: int
    actor: str
    action: str
    handle: str
    panel_id: str
    detail: str
    hash: bytes

    def public(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "time": self.time,
            "actor": self.actor,
            "action": self.action,
            "handle": self.handle,
            "panel_id": self.panel_id,
            "detail": json.loads(self.detail),
            "hash": self.hash.hex(),
        }


@dataclass(frozen=True)
class Break:
    """Where a chain does not hold, from the entry numbered `seq` on: altered, missing, truncated, or unanchored
    where what says how long it must be is gone."""

    chain: str
    seq: int
    what: str

    def public(self) -> dict[str, Any]:
        return {"chain": self.chain, "seq": self.seq, "what": self.what}


def entries(db: Connection) -> list[HistoryEntry]:
    return [HistoryEntry(*row) for row in db.execute("SELECT * FROM history ORDER BY seq")]


def append(
    db: Connection, time: int, actor: str, action: str, handle: str, panel_id: str, detail: dict[str, Any]
) -> None:
    """Adds an entry inside the caller's transaction."""
    last = head(db)
    seq, before = (last[0] + 1, last[1]) if last else (1, START)
    text = json.dumps(detail, ensure_ascii=False, sort_keys=True)
    digest = _hash(before, seq, time, actor, action, handle, panel_id, text)
    db.execute(
        "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (seq, time, actor, action, handle, panel_id, text, digest),
    )


def head(db: Connection) -> tuple[int, bytes] | None:
    """The newest entry's number and hash."""
    last = db.execute("SELECT seq, hash FROM history ORDER BY seq DESC LIMIT 1").fetchone()
    return (last["seq"], last["hash"]) if last else None


def verify(chain: list[HistoryEntry], kept: tuple[int, bytes] | None = None) -> Break | None:
    """The first place where the chain does not hold. `kept`: the number and hash that stand beside the registry.

    A restore from a backup may lose entries; its own entry says so and names the head that the chain had.
    """
    seq, before = 0, START
    for entry in chain:
        expected = _hash(
            before, entry.seq, entry.time, entry.actor, entry.action, entry.handle, entry.panel_id, entry.detail
        )
        if entry.hash != expected:
            return Break("host", entry.seq, "altered")
        if entry.seq != seq + 1 and not _restored_after(entry, seq):
            return Break("host", seq + 1, "missing")
        seq, before = entry.seq, entry.hash
        if kept and kept[0] == seq and kept[1] != before:
            return Break("host", seq, "altered")
    if kept and kept[0] > seq:
        return Break("host", seq + 1, "truncated")
    return None


def append_restored(db: Connection, time: int, actor: str, lost_head: tuple[int, bytes] | None) -> None:
    """Notes a restore; entries that the backup does not have are lost, and their head is named."""
    seq, before = head(db) or (0, START)
    detail: dict[str, Any] = {}
    if lost_head and lost_head[0] > seq:
        detail = {"lost_after": seq, "lost_until": lost_head[0], "lost_head": lost_head[1].hex()}
        seq = lost_head[0]
    text = json.dumps(detail, sort_keys=True)
    fields = (seq + 1, time, actor, "site_restored", "", "", text)
    db.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*fields, _hash(before, *fields)))


def head_file(beside: Path) -> Path:
    return beside.with_name(beside.name + ".head")


def write_head(beside: Path, seq: int, digest: bytes) -> None:
    file = head_file(beside)
    new = file.with_name(file.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(f"{seq} {digest.hex()}\n")
    os.replace(new, file)


def read_head(beside: Path) -> tuple[int, bytes] | None:
    """None where there is none yet, or what is there is no head."""
    try:
        seq, digest = head_file(beside).read_text().split()
        return int(seq), bytes.fromhex(digest)
    except (OSError, ValueError):
        return None


def _restored_after(entry: HistoryEntry, seq: int) -> bool:
    detail = json.loads(entry.detail)
    return (
        entry.action == "site_restored"
        and detail.get("lost_after") == seq
        and detail.get("lost_until") == entry.seq - 1
    )


def _hash(before: bytes, *fields: Any) -> bytes:
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(before + text.encode()).digest()
