"""Panels: provisioning, and what a technician asks of one."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from numpy.typing import NDArray

from firmware.link import handshake
from firmware.link.ops import FEED_BYTES
from host_tools.errors import IdentityChanged, NoPanel, Provisioning, RefusedByPanel, Usage
from host_tools.link.carrier import open_port
from host_tools.link.client import PanelClient, connect
from host_tools.site import Panel, PanelRecord, Site
from host_tools.site.panel import OpenCarrier
from host_tools.site.safe import link_secret
from host_tools.vision.frames import HEIGHT, WIDTH


def provision(site: Site, port: str, name: str, open_carrier: OpenCarrier = open_port) -> Panel:
    """Takes a fresh panel into the site and pins its device key; finishes one that was cut short."""
    record = _unfinished(site, name)
    site.safe.prepare()  # a panel takes its keys once only: nothing may go wrong with keeping ours
    client, hello = connect(open_carrier(port))
    try:
        if hello["provisioned"]:
            record = _ours(site, hello, record)
        else:
            record = _exchange_keys(site, client, port, name, record)
    finally:
        client.close()
    panel = site.link(record)
    panel.request("set_time", time=site.now())  # the first sealed request: from here on the panel is taken
    with site.registry.transaction() as db:
        db.execute("UPDATE panels SET state = 'active' WHERE panel_id = ?", (record.panel_id,))
    site.note("panel_provisioned", panel=record.panel_id, key=fingerprint(record.device_pub))
    return site.panel(record.panel_id.hex())


def fingerprint(device_pub: bytes) -> str:
    """Short enough to compare by eye."""
    digest = hashlib.sha256(device_pub).hexdigest()[:16]
    return "-".join(digest[i : i + 4] for i in range(0, 16, 4))


def retire(site: Site, name: str) -> None:
    """Forgets a panel that was erased or scrapped; its receipts and consents stay as evidence."""
    record = site.panel(name).record
    with site.registry.transaction() as db:
        db.execute(
            "UPDATE panels SET state = 'retired', link_key = ? WHERE panel_id = ?",
            (bytes(32), record.panel_id),
        )
        db.execute("DELETE FROM placements WHERE panel_id = ?", (record.panel_id,))
    site.note("panel_retired", panel=record.panel_id)


def move(site: Site, name: str, port: str) -> Panel:
    """The panel is on another port now; it must be the pinned one. A broker's URL need not name the panel's topics."""
    record = site.panel(name).record
    port = _whole_port(site, record, port)
    moved = site.link(replace(record, port=port))
    moved.request("status")
    with site.registry.transaction() as db:
        db.execute("UPDATE panels SET port = ? WHERE panel_id = ?", (port, record.panel_id))
    return site.panel(name)


def _whole_port(site: Site, record: PanelRecord, port: str) -> str:
    if not port.startswith(("mqtt:", "mqtts:")):
        return port
    from host_tools.link.mqtt import Address  # most sites have no broker

    address = Address.of(port)
    return port if address.base else address.of_panel(site.site_id, record.panel_id)


def status(panel: Panel) -> dict[str, Any]:
    return panel.request("status")


def set_time(site: Site, panel: Panel, time: int | None = None) -> int:
    """Sets the panel's clock to `time`, Unix seconds, or this computer's."""
    return int(panel.request("set_time", time=site.now() if time is None else time)["time"])


def feed(panel: Panel, frame: NDArray[np.uint8], uses: int = 1) -> None:
    """Lets a board without camera see `frame`, 240 x 320, so many times; Refused by one that has a camera."""
    if frame.shape != (HEIGHT, WIDTH) or frame.dtype != np.uint8:
        raise Usage(f"A frame has {HEIGHT} rows of {WIDTH} grey pixels.")
    data = frame.tobytes()
    for at in range(0, len(data), FEED_BYTES):
        panel.request("feed", at=at, data=data[at : at + FEED_BYTES], uses=uses)


def _unfinished(site: Site, name: str) -> PanelRecord | None:
    if not name.strip() or len(name) > 64:
        raise Usage("A panel's name has 1 to 64 characters.")
    for record in site.panel_records():
        if record.name == name:
            if record.state == "active":
                raise Usage(f"This site has a panel called {name} already. Choose another name.")
            return record
    return None


def _ours(site: Site, hello: dict[str, Any], record: PanelRecord | None) -> PanelRecord:
    """A provisioned panel is ours only if we were cut short before its answer to the first sealed request."""
    if record and hello.get("panel_id") == record.panel_id:
        return record
    for known in site.panel_records():
        if hello.get("panel_id") == known.panel_id:
            raise Provisioning(f"This panel is already in this site, as {known.name}. Nothing to do.")
    raise Provisioning(
        "This panel belongs to another site. Only erasing all of it, vault included, makes it fresh again."
    )


def _exchange_keys(
    site: Site, client: PanelClient, port: str, name: str, unfinished: PanelRecord | None
) -> PanelRecord:
    secret = X25519PrivateKey.generate()
    host_pub = secret.public_key().public_bytes_raw()
    try:
        reply = client.plain("provision", host_pub=host_pub, site=site.site_id, name=name, time=site.now())
    except RefusedByPanel as error:
        raise Provisioning(f"The panel refused to be provisioned: {error}") from error
    panel_id, device_pub, panel_pub = reply["panel_id"], reply["device_pub"], reply["panel_pub"]
    message = handshake.signed_message(panel_id, device_pub, panel_pub, host_pub)
    try:
        Ed25519PublicKey.from_public_bytes(device_pub).verify(reply["sig"], message)
        shared = secret.exchange(X25519PublicKey.from_public_bytes(panel_pub))
    except (InvalidSignature, ValueError) as error:
        raise IdentityChanged("The panel's answer is not signed by its own key. Is someone in between?") from error
    link_key = handshake.link_key(shared, host_pub, panel_pub, device_pub)
    with site.registry.transaction() as db:
        kept_key = site.safe.seal(link_secret(panel_id, link_key))
        if unfinished:
            db.execute("DELETE FROM panels WHERE panel_id = ?", (unfinished.panel_id,))
        if db.execute("SELECT 1 FROM panels WHERE name = ? AND state != 'retired'", (name,)).fetchone():
            name = f"{name} {panel_id.hex()[:4]}"  # taken meanwhile; and a panel takes its keys once only
        db.execute(
            "INSERT INTO panels (panel_id, name, device_pub, link_key, port, state, added) "
            "VALUES (?, ?, ?, ?, ?, 'pending', ?)",
            (panel_id, name, device_pub, kept_key, os.fspath(port), site.now()),
        )
    for record in site.panel_records():
        if record.panel_id == panel_id:
            return record
    raise NoPanel("The panel vanished from the registry while it was provisioned.")
