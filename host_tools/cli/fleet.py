"""`menshen fleet`: many panels behind one MQTT broker."""

from __future__ import annotations

import getpass
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

from host_tools.cli.common import Json, SiteFile, result
from host_tools.errors import Queued
from host_tools.fleet import mosquitto
from host_tools.fleet.crowd import WORKERS
from host_tools.fleet.service import Service
from host_tools.network import BrokerLogin
from host_tools.site import Site, deadlines

app = typer.Typer(help="Many panels behind one MQTT broker.", no_args_is_help=True)


@app.command("broker-config")
def broker_config(
    folder: Annotated[Path, typer.Argument(help="Where the broker's files go. They hold its keys: keep them safe.")],
    host: Annotated[str, typer.Option(help="The broker's name or address, as panels reach it.")],
    port: Annotated[int, typer.Option(help="Its port for panels.", min=1, max=65535)] = 8883,
    host_port: Annotated[int, typer.Option(help="Its port for this and other hosts.", min=1, max=65535)] = 8884,
    tls: Annotated[bool, typer.Option("--tls/--no-tls", help="Encrypt, with an authority of its own.")] = True,
    run_as: Annotated[
        str | None, typer.Option(help="Whom Mosquitto runs as when started by root.", show_default="you")
    ] = None,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Write Mosquitto's configuration: TLS, a login and topic rights for each panel.

    Run it again when panels were added: the authority and the passwords that are there stay. What it writes for a panel
    goes to that panel with menshen panel network; a broker that you have already can be given the same rights.

    Changes: the folder's files; nothing in the registry or on a panel.
    JSON: {config, host_login, panel_logins{}}
    Exit codes: 2
    See also: menshen fleet login, menshen panel network, menshen fleet run

    Examples:
      $ menshen fleet broker-config broker --host 127.0.0.1
    """
    with Site.open(site) as opened:
        made = mosquitto.write(opened, folder, host, port, host_port, tls, run_as or getpass.getuser())
    data = {
        "config": str(made.config),
        "host_login": str(made.host),
        "panel_logins": {name: str(path) for name, path in made.logins.items()},
    }
    told = [f"Start it: mosquitto -c {made.config} (a running one takes it up on SIGHUP).", "Then:"]
    told.append(f"  menshen fleet login {made.host}")
    told += [f"  menshen panel network --panel {name!r} --login {path}" for name, path in made.logins.items()]
    result(json, data, "\n".join(told))


@app.command()
def login(
    file: Annotated[Path, typer.Argument(help='A JSON file with "broker", "user", "password" and "ca".')],
    json: Json = False,
) -> None:
    """Take a broker's login for this computer's commands.

    It is kept in your own folder, readable by you alone: MENSHEN_BROKER_LOGIN names another file.

    Changes: the login that every menshen command of yours uses from now on.
    JSON: {broker, user, file}
    Exit codes: 2
    See also: menshen fleet broker-config, menshen panel move

    Examples:
      $ menshen fleet login broker/logins/host.json
    """
    taken = BrokerLogin.read(file)
    path = taken.login.store()
    data = {"broker": taken.address.broker, "user": taken.login.user, "file": str(path)}
    result(json, data, f"{taken.login.user} logs in to {taken.address.broker} from now on ({path}).")


@app.command()
def run(
    once: Annotated[
        bool, typer.Option("--once", help="Visit everyone once and end; exit code 17 if work is left.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Panels to work with at once.", min=1, max=64)] = WORKERS,
    sweep: Annotated[float, typer.Option(help="Seconds between visits to a panel without a reason.", min=1)] = 3600,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Carry what is queued to the panels behind brokers and collect their receipts, until SIGTERM or Ctrl-C.

    Several may run on one registry: they share the panels out among themselves. A panel is visited when something is
    queued for it, when it comes online, and once in a while; a deletion for one that is away is left with the broker.

    Changes: deletions that are owed are carried out and confirmed; receipts are kept in the registry.
    JSON: {visits, confirmed:count, receipts:count, problems:count, owed}
    Exit codes: 2, 3, 9, 17
    See also: menshen deadlines, menshen status, menshen fleet broker-config

    Examples:
      $ menshen fleet run --once
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    service = Service(lambda carrier: Site.open(site, carrier), workers, sweep)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stop())
    tally = service.run(once)
    with Site.open(site) as opened:
        owed = len([deadline for deadline in deadlines.pending(opened) if deadline.cause != "decommission"])
    data = {**vars(tally), "owed": owed}
    told = f"{tally.visits} visits, {tally.confirmed} deletions confirmed, {tally.receipts} receipts fetched"
    result(json, data, f"{told}; still owed: {owed}.")
    if once and owed:
        raise Queued(f"Not confirmed yet: {owed}. See: menshen deadlines.")
