"""What the registry's rows are to the library."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from host_tools.site.database import Row


@dataclass(frozen=True)
class PanelRecord:
    """`kept_key`: the link key as the registry keeps it; `link_key` opens it, which may need the site's passphrase."""

    panel_id: bytes
    name: str
    device_pub: bytes
    port: str
    state: str
    added: int
    kept_key: bytes = field(repr=False)
    opens: Callable[[PanelRecord], bytes] = field(repr=False, compare=False)

    @classmethod
    def of(cls, row: Row, opens: Callable[[PanelRecord], bytes]) -> PanelRecord:
        names = ("panel_id", "name", "device_pub", "port", "state", "added")
        return cls(**{name: row[name] for name in names}, kept_key=row["link_key"], opens=opens)

    @property
    def link_key(self) -> bytes:
        return self.opens(self)

    def public(self) -> dict[str, Any]:
        return {
            "panel_id": self.panel_id.hex(),
            "name": self.name,
            "device_pub": self.device_pub.hex(),
            "port": self.port,
            "state": self.state,
        }


@dataclass(frozen=True)
class Resident:
    """`handle` is the random name under which panels know them; `doors`, `schedule`: see firmware/access."""

    handle: bytes
    name: str
    flat: str
    doors: int
    schedule: tuple[tuple[int, int, int], ...]
    valid_from: int
    valid_until: int
    state: str
    under_14: bool = False

    @classmethod
    def of(cls, row: Row) -> Resident:
        return cls(
            row["handle"],
            row["name"],
            row["flat"],
            row["doors"],
            tuple((days, start, end) for days, start, end in json.loads(row["schedule"])),
            row["valid_from"],
            row["valid_until"],
            row["state"],
            bool(row["under_14"]),
        )

    def public(self) -> dict[str, Any]:
        return {
            "handle": self.handle.hex(),
            "name": self.name,
            "flat": self.flat,
            "doors": self.doors,
            "schedule": [list(window) for window in self.schedule],
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
            "state": self.state,
            "under_14": self.under_14,
        }


@dataclass(frozen=True)
class Consent:
    """States: asked, given, declined, withdrawn, expired. `evidence` says how it was given."""

    consent_id: bytes
    handle: bytes
    panel_id: bytes
    notice: str
    notice_version: int
    notice_hash: bytes
    state: str
    evidence: dict[str, Any]
    asked: int
    decided: int
    withdrawn: int

    @classmethod
    def of(cls, row: Row) -> Consent:
        values = {name: row[name] for name in cls.__dataclass_fields__}
        values["evidence"] = json.loads(row["evidence"])
        return cls(**values)

    def public(self) -> dict[str, Any]:
        return {
            "consent_id": self.consent_id.hex(),
            "notice": self.notice,
            "notice_version": self.notice_version,
            "notice_hash": self.notice_hash.hex(),
            "state": self.state,
            "evidence": self.evidence,
            "asked": self.asked,
            "decided": self.decided,
            "withdrawn": self.withdrawn,
        }


@dataclass(frozen=True)
class Enrolment:
    consent_id: bytes
    model_id: bytes
    templates: int
    expiry: int
    state: str

    def public(self) -> dict[str, Any]:
        return {
            "consent_id": self.consent_id.hex(),
            "model_id": self.model_id.hex(),
            "templates": self.templates,
            "expiry": self.expiry,
            "state": self.state,
        }


@dataclass(frozen=True)
class Credential:
    kind: str
    uid: bytes | None
    state: str

    def public(self) -> dict[str, Any]:
        return {"kind": self.kind, "uid": self.uid.hex() if self.uid else None, "state": self.state}


@dataclass(frozen=True)
class Receipt:
    """A panel's signed word that a face is gone."""

    panel_id: bytes
    handle: bytes
    data: bytes
    collected: int
