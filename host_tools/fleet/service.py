"""The service: carries what is queued for panels behind brokers, and collects their receipts, as they come and go.

What is queued stands in the registry (deletions that are owed, lost cards), so that nothing is lost with a service, and
several may run on one registry. A panel is visited when something is queued for it, when it comes online, and once in a
while; for one that is away a deletion is left with the broker, once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from host_tools import burial, ledger, receipts
from host_tools.errors import HostError
from host_tools.fleet.crowd import WORKERS, Brokers, Crowd, by_broker
from host_tools.link.carrier import Carrier
from host_tools.link.mqtt import Address, Broker
from host_tools.site import Panel, PanelRecord, Site

_LOOK_S = 2.0
_SWEEP_S = 3600.0
_STATES_S = 1.0  # how long the broker may take to tell who is there
_AGAIN_S, _MOST_AGAIN_S = 5.0, 600.0

_QUEUED = (
    "SELECT panel_id, min(tries) AS tries FROM deadlines WHERE state = 'pending' AND cause != 'decommission' "
    "GROUP BY panel_id UNION ALL SELECT panel_id, 1 FROM lost_cards WHERE state = 'pending' GROUP BY panel_id"
)

log = logging.getLogger("menshen.fleet")


@dataclass
class Visit:
    confirmed: int = 0
    receipts: int = 0
    problem: str = ""


@dataclass
class Tally:
    visits: int = 0
    confirmed: int = 0
    receipts: int = 0
    problems: int = 0

    def add(self, visit: Visit) -> None:
        self.visits += 1
        self.confirmed += visit.confirmed
        self.receipts += visit.receipts
        self.problems += bool(visit.problem)


@dataclass
class _Known:
    """Of a panel: when it may be visited again without a reason, and after so many failures."""

    port: str
    address: Address
    visit_at: float = 0.0
    again_at: float = 0.0
    failures: int = 0
    under_way: bool = False
    came: bool = False


class Service:
    """`open_site(open_carrier)` opens the registry anew. `run` works until `stop`, from whatever thread."""

    def __init__(
        self, open_site: Callable[[Callable[[str], Carrier]], Site], workers: int = WORKERS, sweep_s: float = _SWEEP_S
    ) -> None:
        self._open_site = open_site
        self._workers = workers
        self._sweep_s = sweep_s
        self._brokers = Brokers(self._on_state)
        self._known: dict[bytes, _Known] = {}
        self._came: set[str] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._news = threading.Event()
        self._told = ""
        self.tally = Tally()

    def stop(self) -> None:
        self._stopping.set()
        self._news.set()

    def run(self, once: bool = False) -> Tally:
        """`once`: one visit to everyone who is there or for whom something is queued, then the end."""
        try:
            with self._open_site(self._brokers.carrier) as site:
                self._connect(site, once)
                with Crowd(site, lambda: self._open_site(self._brokers.carrier), self._workers) as crowd:
                    while not self._stopping.is_set():
                        self._news.clear()
                        try:
                            idle = self._round(site, crowd)
                        except HostError as error:  # the registry is away for a moment, or busy
                            if once:
                                raise
                            idle = False
                            log.error("%s", error)
                        if once and idle:
                            break
                        self._news.wait(_LOOK_S)
                    crowd.drop()
        finally:
            self._brokers.close()
        log.info("stopped")
        return self.tally

    def _connect(self, site: Site, once: bool) -> None:
        """To every broker of the site, and hears who is there. With `once` raises NoPanel, LinkFailed."""
        records = self._records(site)
        log.info("%d panels behind brokers", len(records))
        for address in {Address.of(record.port) for record in records}:
            if self._broker(address) is None and once:
                self._brokers.of(address)
        self._stopping.wait(_STATES_S if records else 0)

    def _broker(self, address: Address) -> Broker | None:
        """None where it cannot be reached now, which is told once."""
        try:
            return self._brokers.of(address)
        except HostError as error:
            if str(error) != self._told:
                log.error("%s", error)
            self._told = str(error)
            return None

    @staticmethod
    def _records(site: Site) -> list[PanelRecord]:
        return [record for record in site.panel_records() if by_broker(record) and record.state == "active"]

    def _round(self, site: Site, crowd: Crowd) -> bool:
        """Gives out visits that are due, as many as there is room for; whether nothing is due or under way."""
        queued: dict[bytes, int] = {}
        for row in site.registry.rows(_QUEUED):
            panel_id = bytes(row["panel_id"])
            queued[panel_id] = min(queued.get(panel_id, row["tries"]), row["tries"])
        with self._lock:
            came, self._came = self._came, set()
        now = time.monotonic()
        due = []
        for record in self._records(site):
            known = self._known.get(record.panel_id)
            if known is None or known.port != record.port:
                known = self._known[record.panel_id] = _Known(record.port, Address.of(record.port))
            known.came = known.came or known.address.base in came
            if not known.under_way and self._due(known, queued.get(record.panel_id), now):
                due.append(record)
        # Those for whom something is queued come first.
        due.sort(key=lambda record: record.panel_id not in queued)
        for panel_id, visit in crowd.give(due, _visit).items():
            known = self._known[panel_id]
            known.under_way, known.came = True, False
            name = next(record.name for record in due if record.panel_id == panel_id)
            visit.add_done_callback(partial(self._done, crowd, name, known))
        return not due and not any(known.under_way for known in self._known.values())

    def _due(self, known: _Known, tries: int | None, now: float) -> bool:
        broker = self._broker(known.address)
        if broker is None:
            return False
        if not broker.states.get(known.address.base):
            return tries == 0  # to leave it with the broker, and to say so
        if known.came:
            return True
        return now >= known.again_at and (tries is not None or now >= known.visit_at)

    def _done(self, crowd: Crowd, name: str, known: _Known, future: Future[Visit]) -> None:
        """On the worker's thread."""
        known.under_way = False
        if future.cancelled():
            return
        error = future.exception()
        visit = Visit(problem=str(error)) if error else future.result()
        now = time.monotonic()
        with self._lock:
            self.tally.add(visit)
        if visit.problem:
            known.again_at = now + min(_AGAIN_S * 2**known.failures, _MOST_AGAIN_S)
            known.failures += 1
            log.warning("%s: %s", name, visit.problem)
        else:
            known.failures, known.again_at, known.visit_at = 0, 0.0, now + self._sweep_s
            if visit.confirmed or visit.receipts:
                log.info("%s: %d deletions confirmed, %d receipts fetched", name, visit.confirmed, visit.receipts)
        if crowd.hungry:
            self._news.set()

    def _on_state(self, base: str, online: bool) -> None:
        """On the broker's thread."""
        if online:
            with self._lock:
                self._came.add(base)
            self._news.set()


def _visit(site: Site, panel: Panel) -> Visit:
    visit = Visit()
    try:
        for outcome in ledger.settle(site, panel):
            visit.confirmed += outcome.confirmed
            visit.problem = visit.problem or outcome.problem
        if not visit.problem:
            burial.push_if_restored(site, panel)
            visit.receipts = len(receipts.collect(site, panel))
    except HostError as error:
        visit.problem = visit.problem or str(error)
    return visit
