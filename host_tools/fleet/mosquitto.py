"""A configuration for Mosquitto: TLS, a login for every panel, and rights to its own topics alone.

Run again after panels were added: what is there stays (authority, passwords), what is missing is made. Panels and hosts
have a listener each: on the panels' one the login is the session's name too, so that no panel can take another's place.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import Usage
from host_tools.fleet import certificates
from host_tools.site import Site

_ITERATIONS = 101  # Mosquitto's own; the passwords here are random, nobody guesses them
_HOST_USER = "menshen"
_QUEUE, _QUEUE_A_PANEL = 1000, 20

_CONFIG = """\
# Written by menshen fleet broker-config, which may be run again.
per_listener_settings true
{user}persistence true
persistence_location {folder}/data/
autosave_interval 30
# What waits for a panel that is away, and what a host is told at once of all panels. A command has at most 11 KB.
max_queued_messages {queue}
max_inflight_messages 100
max_packet_size 16384
set_tcp_nodelay true
log_type error
log_type warning
log_type notice
connection_messages false

# Panels
listener {panel_port}
use_username_as_clientid true
{tls}allow_anonymous false
password_file {folder}/passwords-panels
acl_file {folder}/rights-panels

# Hosts: the service and the managers' commands
listener {host_port}
{tls}allow_anonymous false
password_file {folder}/passwords-hosts
acl_file {folder}/rights-hosts
"""
_TLS = """\
certfile {folder}/broker.pem
keyfile {folder}/broker.key
tls_version tlsv1.2
"""
_PANEL_RIGHTS = """\
pattern read menshen/{site}/%u/down
pattern write menshen/{site}/%u/up
pattern write menshen/{site}/%u/state
pattern readwrite menshen/{site}/%u/echo
"""
_HOST_RIGHTS = """\
user {user}
topic write menshen/{site}/+/down
topic read menshen/{site}/+/up
topic read menshen/{site}/+/state
"""


@dataclass(frozen=True)
class Made:
    """`logins`: the file to give to each panel, by its name; `host`: the one for this computer."""

    config: Path
    host: Path
    logins: dict[str, Path]


def write(
    site: Site,
    folder: Path,
    host: str,
    panel_port: int = 8883,
    host_port: int = 8884,
    tls: bool = True,
    run_as: str = "",
) -> Made:
    """`host`: the broker's name or address, as panels and hosts reach it. Raises Usage."""
    folder = folder.resolve()
    if re.search(r"\s", str(folder)) or not re.fullmatch(r"[0-9A-Za-z.:-]+", host):
        raise Usage("Neither the folder's path nor the broker's name may hold blanks or signs.")
    if panel_port == host_port:
        raise Usage("Panels and hosts need a port each.")
    folder.mkdir(parents=True, exist_ok=True)
    for inner in ("data", "logins"):
        (folder / inner).mkdir(mode=0o700, exist_ok=True)
    ca = _certificates(folder, host) if tls else ""
    scheme = "mqtts" if tls else "mqtt"
    records = site.panel_records()
    logins = {}
    panels = {}
    for record in records:
        path = folder / "logins" / f"{_file_name(record.name)}-{record.panel_id.hex()}.json"
        user = record.panel_id.hex()
        panels[user] = _login(path, f"{scheme}://{host}:{panel_port}", user, ca)
        logins[record.name] = path
    mine = folder / "logins" / "host.json"
    hosts = {_HOST_USER: _login(mine, f"{scheme}://{host}:{host_port}", _HOST_USER, ca)}
    _save(folder / "passwords-panels", "".join(_entry(*item) for item in panels.items()))
    _save(folder / "passwords-hosts", "".join(_entry(*item) for item in hosts.items()))
    _save(folder / "rights-panels", _PANEL_RIGHTS.format(site=site.site_id.hex()))
    _save(folder / "rights-hosts", _HOST_RIGHTS.format(site=site.site_id.hex(), user=_HOST_USER))
    text = _CONFIG.format(
        folder=folder,
        queue=_QUEUE + _QUEUE_A_PANEL * len(records),
        panel_port=panel_port,
        host_port=host_port,
        tls=_TLS.format(folder=folder) if tls else "",
        user=f"user {run_as}\n" if run_as else "",
    )
    _save(folder / "mosquitto.conf", text)
    return Made(folder / "mosquitto.conf", mine, logins)


def _certificates(folder: Path, host: str) -> str:
    """The authority's certificate, PEM; the broker's is made anew when it is about to end or names another host."""
    signer = certificates.load(folder / "authority.pem", folder / "authority.key")
    if signer is None:
        signer = certificates.authority("Menshen broker")
        _save(folder / "authority.key", signer.key_pem())
        _save(folder / "authority.pem", signer.pem())
    broker = certificates.load(folder / "broker.pem", folder / "broker.key")
    if broker is None or not certificates.still_good(broker.certificate, host, signer):
        broker = certificates.of_broker(host, signer)
        _save(folder / "broker.key", broker.key_pem())
        _save(folder / "broker.pem", broker.pem())
    return signer.pem()


def _login(path: Path, broker: str, user: str, ca: str) -> str:
    """Writes a login, with the password that it has or a new one; that password."""
    try:
        password = str(json.loads(path.read_text(encoding="utf-8"))["password"])
    except FileNotFoundError:
        password = secrets.token_urlsafe(24)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Usage(f"{path} cannot be read. Remove it to have a new password made.") from error
    _save(path, json.dumps({"broker": broker, "user": user, "password": password, "ca": ca}, indent=1) + "\n")
    return password


def _entry(user: str, password: str) -> str:
    """A line of Mosquitto's password file (PBKDF2 with HMAC-SHA512)."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    parts = [base64.b64encode(part).decode() for part in (salt, digest)]
    return f"{user}:$7${_ITERATIONS}${parts[0]}${parts[1]}\n"


def _file_name(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z]+", "-", name).strip("-") or "panel"


def _save(path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(path)
    except OSError as error:
        raise Usage(f"{path} cannot be written: {error.strerror}.") from error
