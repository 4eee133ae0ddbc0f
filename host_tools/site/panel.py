"""A panel of the site: what the registry knows of it, and the link to it, opened when first needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from host_tools.errors import IdentityChanged, LinkFailed, Provisioning
from host_tools.link.carrier import Carrier, open_port
from host_tools.link.client import PanelClient, connect
from host_tools.site.records import PanelRecord

OpenCarrier = Callable[[str], Carrier]


class Panel:
    """`reserve(at_least)` gives counters never used before and remembers them for good, none lower than that. Closes
    its link at the end of a `with` block."""

    def __init__(
        self,
        record: PanelRecord,
        reserve: Callable[[int], range],
        open_carrier: OpenCarrier = open_port,
    ) -> None:
        self.record = record
        self._reserve = reserve
        self._open_carrier = open_carrier
        self._client: PanelClient | None = None
        self.on_contact: Callable[[Panel], None] | None = None
        # Hears the first sealed answer of each connection, and every one to "status".
        self.on_answer: Callable[[Panel, str, dict[str, Any]], None] | None = None
        self._heard = False

    def __enter__(self) -> Panel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def panel_id(self) -> bytes:
        return self.record.panel_id

    def close(self) -> None:
        if self._client:
            self._client.close()
            self._client = None
            self._heard = False

    def request(self, op: str, timeout_s: float | None = None, **fields: Any) -> dict[str, Any]:
        """As `PanelClient.request`; the panel is first checked to be the pinned one."""
        try:
            reply = self.connected().request(op, timeout_s=timeout_s, **fields)
        except LinkFailed:
            self.close()  # the next request begins with a new connection
            raise
        if self.on_answer and (op == "status" or not self._heard):
            self._heard = True
            self.on_answer(self, op, reply)
        return reply

    def leave(self, op: str, **fields: Any) -> bool:
        """A request for a panel that cannot be reached; True when its port keeps it until the panel is back, which then
        carries it out before anything else. What came of it, the next contact tells."""
        client = PanelClient(self._open_carrier(self.record.port), self.record.link_key, _Counters(self._reserve))
        try:
            return client.leave(op, **fields)
        finally:
            client.close()

    def connected(self) -> PanelClient:
        if self._client is None:
            self._client = self._open()
            if self.on_contact:
                self.on_contact(self)
        if self._client is None:  # the contact broke while it did what was waiting
            self._client = self._open()
        return self._client

    def _open(self) -> PanelClient:
        client, hello = connect(self._open_carrier(self.record.port), self.record.link_key, _Counters(self._reserve))
        try:
            self._check(hello)
        except BaseException:
            client.close()
            raise
        return client

    def _check(self, hello: dict[str, Any]) -> None:
        """A hello proves nothing, but tells a mistaken port from a broken link; the seals do the rest."""
        if "device_pub" not in hello:
            if self.record.state == "pending":
                raise Provisioning(f"{self.name} was never provisioned to the end. Run: menshen panel provision.")
            raise IdentityChanged(
                f"A fresh panel answers where {self.name} should be. If {self.name} was erased on purpose, "
                f"run menshen panel retire {self.name}, then provision it again."
            )
        if hello["panel_id"] != self.panel_id or hello["device_pub"] != self.record.device_pub:
            raise IdentityChanged(
                f"Another panel ({hello['panel_id'].hex()}) answers where {self.name} "
                f"({self.panel_id.hex()}) should be. Check the port; do not trust it until you know why."
            )


class _Counters:
    """One contact's, as `PanelClient` takes them; what is left at its end is skipped."""

    def __init__(self, reserve: Callable[[int], range]) -> None:
        self._reserve = reserve
        self._left = range(0)

    def __call__(self, at_least: int) -> int:
        if not self._left or at_least > self._left[-1]:
            self._left = self._reserve(at_least)
        found = max(self._left[0], at_least)
        self._left = range(found + 1, self._left.stop)
        return found
