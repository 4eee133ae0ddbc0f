"""The site object that every library function takes: look-ups in the registry, and the panels' links."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from host_tools.errors import NoPanel, Usage
from host_tools.link.carrier import open_port
from host_tools.site import history, safe, tombstones
from host_tools.site.database import Connection
from host_tools.site.panel import OpenCarrier, Panel
from host_tools.site.place import Place
from host_tools.site.records import Consent, Credential, Enrolment, PanelRecord, Receipt, Resident
from host_tools.site.registry import Registry

_COUNTERS = 8  # as many requests as a contact usually has
_ENROLMENT = "SELECT consent_id, model_id, templates, expiry, state FROM enrolments"


class Site:
    """`Site.open()` for the usual registry; a context manager that closes it and the panels' links."""

    def __init__(self, registry: Registry, open_carrier: OpenCarrier = open_port) -> None:
        self.registry = registry
        self.safe = safe.Safe(registry)
        self._open_carrier = open_carrier
        self._panels: dict[bytes, Panel] = {}
        # What to do first at each new contact with a panel, such as deletions that wait for it.
        self.on_contact: Callable[[Panel], None] | None = None
        self.on_answer: Callable[[Panel, str, dict[str, Any]], None] | None = None

    @classmethod
    def open(cls, named: Place | Path | str | None = None, open_carrier: OpenCarrier = open_port) -> Site:
        """Creates the registry where there is none; named as in place.py. Raises what Registry does.

        Deletions that wait for a panel are done at the first contact with it.
        """
        from host_tools.ledger import settle_quietly  # both build on this module
        from host_tools.site import contacts

        site = cls(Registry(named), open_carrier)
        if site.registry.place.url:  # another computer may have buried more
            site.keep_stones()
        site.on_contact = lambda panel: settle_quietly(site, panel)
        site.on_answer = lambda panel, op, reply: contacts.note(site, panel, op, reply)
        return site

    def again(self, open_carrier: OpenCarrier) -> Site:
        """The same registry by another connection, for another thread."""
        return Site.open(self.registry.place, open_carrier)

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for panel in self._panels.values():
            panel.close()
        self._panels.clear()
        self.registry.close()

    @staticmethod
    def now() -> int:
        return int(time.time())

    @property
    def site_id(self) -> bytes:
        return self.registry.site_id

    @property
    def card_key(self) -> bytes:
        """The master key from which every card's own key follows."""
        row = self.registry.row("SELECT site_id, card_key FROM site")
        assert row is not None
        return self.safe.open(safe.card_secret(row["site_id"], row["card_key"]))

    @property
    def actor(self) -> str:
        """Who works here, for the history."""
        return os.environ.get("MENSHEN_ACTOR") or getpass.getuser()

    def note(self, action: str, resident: bytes = b"", panel: bytes = b"", **detail: Any) -> None:
        """Adds an entry to the history of what managers did; `detail` must name nobody."""
        with self.registry.transaction() as db:
            self.note_in(db, action, resident, panel, **detail)
        self.keep_head()

    def note_in(self, db: Connection, action: str, resident: bytes = b"", panel: bytes = b"", **detail: Any) -> None:
        """The same inside a transaction, after whose end `keep_head` must come."""
        history.append(db, self.now(), self.actor, action, resident.hex(), panel.hex(), detail)

    def keep_head(self) -> None:
        """Writes the newest entry's number and hash beside the registry; of two who do so at once, the later one's."""
        with self.registry.transaction() as db:
            head = history.head(db)
            if head:
                history.write_head(self.registry.beside, *head)

    def bury(self, *stones: tombstones.Tombstone) -> None:
        """What is deleted from here on stays deleted, whatever backup comes back."""
        with self.burying(stones):
            pass

    @contextmanager
    def burying(self, stones: Sequence[tombstones.Tombstone]) -> Iterator[Connection]:
        """A transaction in which these are buried, and in which more can be done."""
        tombstones.write(self.registry.beside, stones)
        with self.registry.transaction() as db:
            for stone in stones:
                tombstones.bury(db, stone)
            yield db

    def keep_stones(self) -> None:
        """Writes what the registry knows to be deleted beside it."""
        kept = set(tombstones.read(self.registry.beside))
        with self.registry.transaction() as db:
            stones = tombstones.of(db)
        tombstones.write(self.registry.beside, (stone for stone in stones if stone not in kept))

    def setting(self, name: str, default: int) -> int:
        row = self.registry.row("SELECT value FROM settings WHERE name = ?", name)
        return int(row["value"]) if row else default

    def set_setting(self, name: str, value: int | str) -> None:
        with self.registry.transaction() as db:
            _set_setting(db, name, value)
        self.note("setting", name=name, value=value)

    def text_setting(self, name: str) -> str:
        row = self.registry.row("SELECT value FROM settings WHERE name = ?", name)
        return str(row["value"]) if row else ""

    def panel_records(self, retired: bool = False) -> list[PanelRecord]:
        rows = self.registry.rows("SELECT * FROM panels ORDER BY added, rowid")
        return [PanelRecord.of(row, self._link_key) for row in rows if retired or row["state"] != "retired"]

    def panel_record(self, panel_id: bytes) -> PanelRecord:
        """Retired ones too: what they signed still counts."""
        return next(record for record in self.panel_records(retired=True) if record.panel_id == panel_id)

    def panel(self, name: str | None = None) -> Panel:
        """The panel of that name, or the only one. Raises NoPanel, Usage."""
        records = self.panel_records()
        if name is not None:
            records = [record for record in records if record.name == name or record.panel_id.hex() == name]
        if not records:
            which = f"called {name}" if name else "yet"
            raise NoPanel(f"This site has no panel {which}. Run: menshen panel provision --port PORT.")
        if len(records) > 1:
            names = ", ".join(record.name for record in records)
            raise Usage(f"This site has several panels ({names}): name one with --panel.")
        return self.link(records[0])

    def link(self, record: PanelRecord) -> Panel:
        """The record may be another thread's: its key is opened by this site."""
        record = replace(record, opens=self._link_key)
        known = self._panels.get(record.panel_id)
        if known is None or known.record != record:
            if known:
                known.close()
            known = Panel(record, lambda least: self._next_counters(record.panel_id, least), self._open_carrier)
            known.on_contact = self.on_contact
            known.on_answer = self.on_answer
            self._panels[record.panel_id] = known
        return known

    def resident(self, wanted: str, removed: bool = False) -> Resident:
        """By name, `flat/name` or handle in hex. Raises Usage when there is none or more than one."""
        found = [
            resident
            for resident in self.residents(removed)
            if wanted in (resident.name, f"{resident.flat}/{resident.name}", resident.handle.hex())
        ]
        if not found:
            raise Usage(f"There is no resident called {wanted}. See: menshen resident list.")
        if len(found) > 1:
            flats = ", ".join(f"{resident.flat}/{resident.name}" for resident in found)
            raise Usage(f"Several residents are called {wanted}: say which ({flats}).")
        return found[0]

    def residents(self, removed: bool = False) -> list[Resident]:
        rows = self.registry.rows("SELECT * FROM residents ORDER BY flat, name, added")
        return [Resident.of(row) for row in rows if removed or row["state"] != "removed"]

    def consent(self, panel: Panel, resident: Resident) -> Consent | None:
        """The latest one, whatever its state."""
        row = self.registry.row(
            "SELECT * FROM consents WHERE panel_id = ? AND handle = ? ORDER BY asked DESC, rowid DESC LIMIT 1",
            panel.panel_id,
            resident.handle,
        )
        return Consent.of(row) if row else None

    def consents(self, resident: Resident) -> list[Consent]:
        """All, oldest first, on every panel."""
        rows = self.registry.rows("SELECT * FROM consents WHERE handle = ? ORDER BY asked, rowid", resident.handle)
        return [Consent.of(row) for row in rows]

    def enrolments(self, resident: Resident) -> list[Enrolment]:
        return [Enrolment(*row) for row in self.registry.rows(_ENROLMENT + " WHERE handle = ?", resident.handle)]

    def faces_of_other_models(self, panel: Panel, model_id: bytes) -> list[str]:
        """flat/name of whoever has a face on the panel that the model `model_id` cannot compare with."""
        rows = self.registry.rows(
            "SELECT DISTINCT residents.flat, residents.name FROM enrolments JOIN residents USING (handle) "
            "WHERE panel_id = ? AND enrolments.state != 'wiped' AND model_id != ? ORDER BY flat, name",
            panel.panel_id,
            model_id,
        )
        return [f"{row['flat']}/{row['name']}" for row in rows]

    def credentials(self, resident: Resident) -> list[Credential]:
        query = "SELECT kind, uid, state FROM credentials WHERE handle = ? ORDER BY id"
        return [Credential(*row) for row in self.registry.rows(query, resident.handle)]

    def receipts(self) -> list[Receipt]:
        query = "SELECT panel_id, handle, receipt, collected FROM receipts ORDER BY rowid"
        return [Receipt(*row) for row in self.registry.rows(query)]

    def _link_key(self, record: PanelRecord) -> bytes:
        return self.safe.open(safe.link_secret(record.panel_id, record.kept_key))

    def new_counter(self, panel: Panel) -> int:
        """Never handed out before, by this or another host."""
        return self._next_counters(panel.panel_id, 1)[0]

    def _next_counters(self, panel_id: bytes, at_least: int) -> range:
        """A few, durable before one is used: no two hosts, and no host after a crash, use a counter twice."""
        with self.registry.transaction(alone=False) as db:  # the statement locks the panel's row
            row = db.execute(
                "UPDATE panels SET counter = greatest(counter, ?) + ? WHERE panel_id = ? RETURNING counter",
                (at_least - 1, _COUNTERS, panel_id),
            ).fetchone()
        last = int(row[0])
        return range(last - _COUNTERS + 1, last + 1)


def _set_setting(db: Connection, name: str, value: int | str) -> None:
    db.execute(
        "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, str(value))
    )
