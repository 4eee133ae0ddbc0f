"""Work with many panels at once: a few threads, one connection to each broker, and no panel in two hands."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from host_tools.errors import LinkFailed
from host_tools.fleet import leases
from host_tools.link.carrier import Carrier, open_port
from host_tools.link.mqtt import Address, Broker, MqttCarrier
from host_tools.site import Panel, PanelRecord, Site

WORKERS = 8
_PATIENCE_S = 60.0  # for a panel that another service is at work with
_AGAIN_S = 0.25

T = TypeVar("T")
Work = Callable[[Site, Panel], T]
_Task = tuple[PanelRecord, Work[object], "Future[object]", float]


class Leased(LinkFailed):
    """Another service is at work with this panel."""


def by_broker(record: PanelRecord) -> bool:
    return record.port.startswith(("mqtt:", "mqtts:"))


class Brokers:
    """One connection to each broker, opened when first needed, that hears every panel of the site."""

    def __init__(self, on_state: Callable[[str, bool], object] | None = None) -> None:
        self._on_state = on_state
        self._lock = threading.Lock()
        self._open: dict[str, Broker] = {}
        self._watched: set[tuple[str, str]] = set()

    def of(self, port: str) -> Broker:
        """Raises NoPanel, LinkFailed, Usage."""
        address = Address.of(port)
        everybody = f"{address.base.rpartition('/')[0]}/+"
        with self._lock:
            broker = self._open.get(address.broker)
            if broker is None:
                broker = self._open[address.broker] = Broker(address, on_state=self._on_state)
            if (address.broker, everybody) not in self._watched:
                broker.watch(everybody)
                self._watched.add((address.broker, everybody))
        return broker

    def carrier(self, port: str) -> Carrier:
        """As `open_port`."""
        return MqttCarrier(port, self.of(port)) if port.startswith(("mqtt:", "mqtts:")) else open_port(port)

    def close(self) -> None:
        for broker in self._open.values():
            broker.close()
        self._open.clear()


class Crowd:
    """Threads with a site of their own each, which `open_site` opens. A context manager that ends when all is done."""

    def __init__(self, open_site: Callable[[], Site], workers: int = WORKERS) -> None:
        self._holder = leases.own_name()
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, args=(open_site,), daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        for _thread in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def give(self, record: PanelRecord, work: Work[T], patience_s: float = 0.0) -> Future[T]:
        """`work` is done while nobody else works with the panel; Leased when somebody does for longer than that."""
        done: Future[T] = Future()
        self._tasks.put((record, work, done, patience_s))  # type: ignore[arg-type]
        return done

    def drop(self) -> None:
        """What nobody has begun is not begun."""
        while True:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return
            if task:
                task[2].cancel()

    def _work(self, open_site: Callable[[], Site]) -> None:
        with open_site() as site:
            while task := self._tasks.get():
                record, work, done, patience_s = task
                try:
                    done.set_result(self._alone(site, record, work, patience_s))
                except Exception as error:  # whoever asked for it judges it
                    done.set_exception(error)

    def _alone(self, site: Site, record: PanelRecord, work: Work[object], patience_s: float) -> object:
        deadline = time.monotonic() + patience_s
        while not leases.take(site, record.panel_id, self._holder):
            if time.monotonic() >= deadline:
                raise Leased(f"Another service is at work with {record.name}.")
            time.sleep(_AGAIN_S)
        try:
            with site.link(record) as panel:
                return work(site, panel)
        finally:
            leases.give_back(site, record.panel_id, self._holder)


def each(site: Site, records: list[PanelRecord], work: Work[T]) -> list[T]:
    """`work` on every panel, those behind brokers at once; what it gave, in the same order."""
    far = [record for record in records if by_broker(record)]
    if len(far) < 2:
        return [work(site, site.link(record)) for record in records]
    brokers = Brokers()
    try:
        with Crowd(lambda: site.again(brokers.carrier), min(WORKERS, len(far))) as crowd:
            given = {record.panel_id: crowd.give(record, work, _PATIENCE_S) for record in far}
            near = {
                record.panel_id: work(site, site.link(record)) for record in records if record.panel_id not in given
            }
            done = {panel_id: future.result() for panel_id, future in given.items()}
    finally:
        brokers.close()
    return [(near | done)[record.panel_id] for record in records]
