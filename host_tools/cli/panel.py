"""`menshen panel`: what a technician does with panels."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from firmware.link.ops import wire
from host_tools import clearing, panels, selftest
from host_tools.cli.common import (
    Json,
    PanelName,
    SiteFile,
    Yes,
    confirm,
    listing,
    on_panel,
    result,
    talk,
    waiting,
    when,
)
from host_tools.cli.site import approved
from host_tools.site import Site

app = typer.Typer(help="Provision panels and look after them.", no_args_is_help=True)

Port = Annotated[str, typer.Option("--port", help="A device file or socket://HOST:PORT.")]


@app.command()
def provision(
    port: Port,
    name: Annotated[str, typer.Option(help="What to call it.")] = "door",
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Take a fresh panel into the site and pin its device key."""
    with Site.open(site) as opened, waiting("Provisioning: the panel makes its keys"):
        record = panels.provision(opened, port, name).record
    mark = panels.fingerprint(record.device_pub)
    sentence = f"{name} is provisioned. Its device key is {record.device_pub.hex()} (fingerprint {mark})."
    result(json, {**record.public(), "fingerprint": mark}, sentence)


@app.command()
def status(site: SiteFile = None, panel: PanelName = None, json: Json = False) -> None:
    """Ask a panel how it is."""
    with on_panel(site, panel) as (_, door):
        data = wire(panels.status(door))
    result(json, data, "\n".join(f"{name}: {value}" for name, value in data.items()))


@app.command("list")
def list_(site: SiteFile = None, json: Json = False) -> None:
    """List the site's panels."""
    with Site.open(site) as opened:
        items = [record.public() for record in opened.panel_records()]
    listing(json, items, ("name", "panel_id", "port", "state"))


@app.command()
def set_time(
    time: Annotated[int | None, typer.Option(help="Unix seconds.", show_default="this computer's clock")] = None,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Set the panel's clock."""
    with on_panel(site, panel) as (opened, door):
        now = panels.set_time(opened, door, time)
    result(json, {"time": now}, f"The panel's clock says {when(now)}.")


@app.command()
def maintenance(
    on: Annotated[bool, typer.Argument(metavar="on|off", parser=lambda word: _on_or_off(word))],
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Open or close the panel's maintenance mode; the door opens for nobody while it is open."""
    with on_panel(site, panel) as (_, door):
        now = panels.maintenance(door, on)
    result(json, {"on": now}, f"Maintenance is {'on: the door opens for nobody' if now else 'off'}.")


@app.command()
def move(
    name: Annotated[str, typer.Argument(help="The panel's name.")],
    port: Port,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Note that a panel is now on another port; it is checked to be the same one."""
    with Site.open(site) as opened:
        record = panels.move(opened, name, port).record
    result(json, record.public(), f"{record.name} is on {port}.")


@app.command("selftest")
def selftest_(
    port: Annotated[str | None, typer.Option("--port", help="Where it is connected, when not as noted.")] = None,
    thorough: Annotated[bool, typer.Option("--thorough", help="Also what takes minutes on a board.")] = False,
    lock: Annotated[
        bool | None, typer.Option("--lock/--no-lock", help="Whether the lock may open.", show_default="asked")
    ] = None,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Let a panel examine itself; exit code 23 when a check failed. The door works meanwhile."""
    with Site.open(site) as opened:
        door = selftest.at_port(opened, port) if port else opened.panel(panel)
        wanted = selftest.names(door, thorough, _may_open(door.name) if lock is None else lock)
        checks = list(selftest.run(door, wanted, lambda name: talk(f"{name} ...")))
        data = {"panel": door.name, "checks": [check.public() for check in checks]}
    if json:
        result(json, data, "")
    else:
        listing(json, [check.row() for check in checks], ("check", "verdict", "says", "figures"))
    selftest.verdict(checks)


@app.command()
def retire(
    name: Annotated[str, typer.Argument(help="The panel's name.")],
    yes: Yes = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Forget a panel that was erased or scrapped. Consents and receipts stay as evidence."""
    with Site.open(site) as opened:
        record = opened.panel(name).record
        confirm(
            f"This forgets the link key of {record.name}: no command can reach it again unless it is erased. "
            "Faces still stored in it are not wiped.",
            record.name,
            yes,
        )
        panels.retire(opened, name)
    result(json, {"retired": record.name}, f"{record.name} is retired.")


@app.command()
def decommission(
    name: Annotated[str, typer.Argument(help="The panel's name.")],
    approve: Annotated[list[str] | None, typer.Option(help="An approver; two are needed.")] = None,
    yes: Yes = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Erase everything on a panel for good, its secret first, and take it out of the site."""
    with Site.open(site) as opened:
        door = opened.panel(name)
        what = f"This erases EVERYTHING on {door.name}: every face, card, PIN and key. It cannot be undone."
        allowed = approved(opened, approve or [], what, f"erase {door.name}", yes)
        with waiting(f"Erasing {door.name}"):
            done = clearing.decommission(opened, door, allowed)
    data = {"panel_id": done.panel_id.hex(), "faces": done.facts.faces, "blocks": done.blocks, "done": done.done}
    sentence = (
        f"{name} is erased: {done.facts.faces} faces, {done.blocks} blocks read back as empty, signed by the panel."
    )
    result(json, data, sentence)


def _may_open(name: str) -> bool:
    """Nobody at a terminal: then the lock stays as it is."""
    return sys.stdin.isatty() and typer.confirm(f"May {name} release its lock for a moment?", err=True)


def _on_or_off(word: str) -> bool:
    if word not in ("on", "off"):
        raise typer.BadParameter("say on or off")
    return word == "on"
