"""`menshen fleet`: many panels behind one MQTT broker."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from host_tools.cli.common import Json, SiteFile, result
from host_tools.fleet import mosquitto
from host_tools.network import BrokerLogin
from host_tools.site import Site

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
    """Write Mosquitto's configuration: TLS, a login and topic rights for each panel. Run it again for new panels."""
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
    """Take a broker's login for this host's commands. It is kept in your own folder, readable by you alone."""
    taken = BrokerLogin.read(file)
    path = taken.login.store()
    data = {"broker": taken.address.broker, "user": taken.login.user, "file": str(path)}
    result(json, data, f"{taken.login.user} logs in to {taken.address.broker} from now on ({path}).")
