"""A panel's network and broker: what it is told over the link, and the files that hold the secrets of it."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools.errors import LinkFailed, Usage
from host_tools.fleet import certificates
from host_tools.link.mqtt import Address, Login
from host_tools.site import Panel, Site

_WAIT_S = 30.0
_ASK_S = 0.5


@dataclass(frozen=True)
class BrokerLogin:
    """A broker and how to log in there, as `menshen fleet broker-config` writes it."""

    address: Address
    login: Login

    @classmethod
    def read(cls, path: Path) -> BrokerLogin:
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            user, password, ca = (str(fields.get(name, "")) for name in ("user", "password", "ca"))
            return cls(Address.of(str(fields["broker"])), Login(user, password, ca))
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise Usage(
                f'{path} is no login: a JSON file with "broker", "user", "password" and, for mqtts, "ca" (PEM).'
            ) from error

    def for_panel(self) -> dict[str, Any]:
        """The fields of `network_set`. A name is looked up here: a panel that did would stand still meanwhile."""
        fields: dict[str, Any] = {
            "host": look_up(self.address.host),
            "port": self.address.port,
            "tls": self.address.scheme == "mqtts",
            "name": self.address.host,
            "user": self.login.user,
            "password": self.login.password,
        }
        if fields["tls"]:
            fields["ca"] = certificates.der(self.login.ca, "The login's authority")
        return fields


def look_up(host: str) -> str:
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise Usage(f"{host} has no IPv4 address here. Name the broker's address instead.") from error
    return str(found[0][4][0])


def change(site: Site, panel: Panel, **fields: Any) -> dict[str, Any]:
    """Sends what is to change and nothing else; what the panel says of its network then."""
    panel.request("network_set", **fields)
    site.note("network_set", panel=panel.panel_id, fields=sorted(fields))
    return panel.request("network")


def wait_connected(panel: Panel) -> dict[str, Any]:
    """Until the broker has let the panel in. Raises LinkFailed with what the panel says against it."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        told = panel.request("network")
        if told["connected"]:
            return told
        if time.monotonic() > deadline:
            why = told["problem"] or ("no answer yet" if told["up"] else "not on the network")
            raise LinkFailed(f"{panel.name} has not reached its broker: {why}. It goes on trying.")
        time.sleep(_ASK_S)
