"""Work with many panels at once: a few threads, one connection to each broker, and no panel in two hands."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from typing import TypeVar

from host_tools.errors import HostError
from host_tools.fleet import leases
from host_tools.link.carrier import Carrier, open_port
from host_tools.link.mqtt import Address, Broker, MqttCarrier
from host_tools.site import Panel, PanelRecord, Site

WORKERS = 8
_AHEAD = 4  # panels in hand for each worker
_AGAIN_S = 0.5
_REFUSED_S = 15.0

T = TypeVar("T")
Work = Callable[[Site, Panel], T]
_Task = tuple[PanelRecord, Work[object], "Future[object]"]


def by_broker(record: PanelRecord) -> bool:
    return record.port.startswith(("mqtt:", "mqtts:"))


class Brokers:
    """One connection to each broker, opened when first needed, that hears every panel of the site."""

    def __init__(self, on_state: Callable[[str, bool], object] | None = None) -> None:
        self._on_state = on_state
        self._lock = threading.Lock()
        self._open: dict[str, Broker] = {}
        self._watched: set[tuple[str, str]] = set()
        self._failed: dict[str, tuple[float, HostError]] = {}

    def of(self, address: Address) -> Broker:
        """Raises NoPanel, LinkFailed; the same again for a while, since another try may take long."""
        everybody = f"{address.base.rpartition('/')[0]}/+"
        with self._lock:
            at, error = self._failed.get(address.broker, (-_REFUSED_S, None))
            if error and time.monotonic() - at < _REFUSED_S:
                raise error
            try:
                broker = self._open.get(address.broker)
                if broker is None:
                    broker = self._open[address.broker] = Broker(address, on_state=self._on_state)
                if (address.broker, everybody) not in self._watched:
                    broker.watch(everybody)
                    self._watched.add((address.broker, everybody))
            except HostError as error:
                self._failed[address.broker] = (time.monotonic(), error)
                raise
        return broker

    def carrier(self, port: str) -> Carrier:
        """As `open_port`."""
        if not port.startswith(("mqtt:", "mqtts:")):
            return open_port(port)
        return MqttCarrier(port, self.of(Address.of(port)))

    def close(self) -> None:
        for broker in self._open.values():
            broker.close()
        self._open.clear()


class Crowd:
    """Threads with a site of their own each, which `open_site` opens, and the leases of the panels in their hands.

    Leases are taken and given back many at a time, by the thread that gives out the work, on its own `site`. A context
    manager that ends when all is done.
    """

    def __init__(self, site: Site, open_site: Callable[[], Site], workers: int = WORKERS) -> None:
        site.safe.prepare()  # a passphrase is asked for once, and here
        self._site = site
        self._holder = leases.own_name()
        self._most = workers * _AHEAD
        self._lock = threading.Lock()
        self._busy = 0
        self._in_hand: dict[bytes, Future[object]] = {}
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
        self._give_back()

    @property
    def hungry(self) -> bool:
        """Whether it is worth while to give out more."""
        return self._busy <= self._most // 2

    def give(self, records: Iterable[PanelRecord], work: Work[T]) -> dict[bytes, Future[T]]:
        """Gives out `work` with as many of the panels as there is room for and as nobody else has; by panel id."""
        if not self.hungry:
            return {}
        self._give_back()
        room = self._most - self._busy
        wanted = [record for record in records if record.panel_id not in self._in_hand][:room]
        taken = leases.take(self._site, [record.panel_id for record in wanted], self._holder)
        given: dict[bytes, Future[T]] = {}
        for record in wanted:
            if record.panel_id in taken:
                done: Future[T] = Future()
                given[record.panel_id] = done
                self._in_hand[record.panel_id] = done  # type: ignore[assignment]
                with self._lock:
                    self._busy += 1
                self._tasks.put((record, work, done))  # type: ignore[arg-type]
        return given

    def drop(self) -> None:
        """What nobody has begun is not begun."""
        with suppress(queue.Empty):
            while task := self._tasks.get_nowait():
                task[2].cancel()

    def _give_back(self) -> None:
        done = [panel_id for panel_id, future in self._in_hand.items() if future.done()]
        if done:
            leases.give_back(self._site, done, self._holder)
            for panel_id in done:
                del self._in_hand[panel_id]

    def _work(self, open_site: Callable[[], Site]) -> None:
        site: Site | None = None
        try:
            while task := self._tasks.get():
                record, work, done = task
                try:
                    site = site or open_site()
                    with site.link(record) as panel:
                        answer = work(site, panel)
                except Exception as error:  # whoever asked for it judges it
                    self._end(lambda done=done, error=error: done.set_exception(error))  # type: ignore[misc]
                else:
                    self._end(lambda done=done, answer=answer: done.set_result(answer))  # type: ignore[misc]
        finally:
            if site:
                site.close()

    def _end(self, tell: Callable[[], None]) -> None:
        with self._lock:
            self._busy -= 1
        tell()


def each(site: Site, records: list[PanelRecord], work: Work[T]) -> list[T]:
    """`work` on every panel, those behind brokers at once; what it gave, in the same order.

    With a panel that another service has in its hands it begins when that has done.
    """
    far = [record for record in records if by_broker(record)]
    if len(far) < 2:
        return [work(site, site.link(record)) for record in records]
    done = {record.panel_id: work(site, site.link(record)) for record in records if not by_broker(record)}
    brokers = Brokers()
    try:
        with Crowd(site, lambda: site.again(brokers.carrier), min(WORKERS, len(far))) as crowd:
            left = deque(far)
            given: dict[bytes, Future[T]] = {}
            while left or given:
                fresh = crowd.give(left, work)
                left = deque(record for record in left if record.panel_id not in fresh)
                given |= fresh
                if given:
                    wait(given.values(), _AGAIN_S, FIRST_COMPLETED)
                else:
                    time.sleep(_AGAIN_S)
                for panel_id in [panel_id for panel_id, future in given.items() if future.done()]:
                    done[panel_id] = given.pop(panel_id).result()
                if left and not fresh:
                    left.rotate(-WORKERS)  # the first ones are somebody else's, perhaps
    finally:
        brokers.close()
    return [done[record.panel_id] for record in records]
