"""`menshen tech`: a technician in the panel's REPL, through stock mpremote, with the door closed behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from host_tools import maintenance
from host_tools.cli.common import Json, PanelName, SiteFile, result, talk
from host_tools.cli.help import Menu
from host_tools.errors import Usage
from host_tools.link.carrier import SerialCarrier
from host_tools.link.client import connect
from host_tools.maintenance import MINUTES, MOST_MINUTES, Session
from host_tools.site import Site

app = Menu(
    """Work in a panel's REPL through stock mpremote.

    Each command asks the panel for maintenance, waits for a press on it, and ends maintenance again, whatever happens.
    A panel without owner needs neither token nor press.
    """
)

Port = Annotated[
    str | None,
    typer.Option("--port", help="A device file or socket://HOST:PORT.", show_default="where the site knows the panel"),
]
Token = Annotated[str | None, typer.Option("--token", help="From `menshen tech token`; then no site is needed.")]
Minutes = Annotated[
    int, typer.Option("--minutes", help="After so long the panel ends it by itself.", min=1, max=MOST_MINUTES)
]


@app.command()
def token(minutes: Minutes = MINUTES, site: SiteFile = None, panel: PanelName = None, json: Json = False) -> None:
    """Make a maintenance token for a technician who has not this site.

    Good once, for one panel, until its minutes are over; a newer one that is used makes it worthless.

    Changes: the site's history notes it.
    JSON: {panel, token, minutes}
    Exit codes: 2, 3
    See also: menshen tech repl

    Examples:
      $ menshen tech token --minutes 60
    """
    with Site.open(site) as opened:
        door = opened.panel(panel)
        made = maintenance.token(opened, door, minutes).hex()
        data = {"panel": door.name, "token": made, "minutes": minutes}
    result(json, data, made)


@app.command()
def repl(
    port: Port = None,
    token: Token = None,
    minutes: Minutes = MINUTES,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Open the panel's REPL in this terminal; Ctrl-] leaves it.

    Changes: the door opens for nobody meanwhile; afterwards the panel restarts into service.
    JSON: {port, maintenance:end}
    Exit codes: 2, 3, 4, 9, 30, 31
    See also: menshen tech token, menshen panel maintenance

    Examples:
      $ menshen tech repl
    """
    with _session(port, token, minutes, site, panel) as opened:
        opened.mpremote("exec", "pass", "+", "repl")
    _closed(json, opened)


@app.command()
def mount(
    folder: Annotated[Path, typer.Argument(help="What becomes /remote on the panel.", exists=True, file_okay=False)],
    run: Annotated[str | None, typer.Option("--run", help="Run this instead of the REPL.")] = None,
    port: Port = None,
    token: Token = None,
    minutes: Minutes = MINUTES,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Mount a folder of this computer on the panel, and open the REPL there.

    Changes: the door opens for nobody meanwhile; afterwards the panel restarts into service.
    JSON: {port, maintenance:end, output?}
    Exit codes: 2, 3, 4, 9, 30, 31
    See also: menshen tech repl

    Examples:
      $ menshen tech mount . --run 'import os; print(os.listdir())'
    """
    with _session(port, token, minutes, site, panel) as opened:
        said = opened.mpremote("mount", str(folder), *(["exec", run] if run else ["repl"]), capture=json)
    _closed(json, opened, said.stdout)


@app.command()
def cp(
    paths: Annotated[list[str], typer.Argument(help="Sources and the target; `:` marks the panel's side.")],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Folders with what is in them.")] = False,
    port: Port = None,
    token: Token = None,
    minutes: Minutes = MINUTES,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Copy files from or to the panel; names on the panel begin with a colon.

    Changes: the files that are named; the door opens for nobody meanwhile.
    JSON: {port, maintenance:end}
    Exit codes: 2, 3, 4, 9, 30, 31
    See also: menshen tech mount

    Examples:
      $ menshen tech cp :main.py main-of-the-panel.py
    """
    if len(paths) < 2 or not any(path.startswith(":") for path in paths):
        raise Usage("Say what to copy and where to; names on the panel begin with a colon, such as :settings.json.")
    with _session(port, token, minutes, site, panel) as opened:
        opened.mpremote("cp", *(["-r"] if recursive else []), *paths, capture=json)
    _closed(json, opened)


@app.command()
def exec(
    code: Annotated[str, typer.Argument(help="MicroPython code.")],
    port: Port = None,
    token: Token = None,
    minutes: Minutes = MINUTES,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Run a line of MicroPython on the panel; what it prints comes back.

    Changes: what the code changes; the door opens for nobody meanwhile.
    JSON: {port, maintenance:end, output}
    Exit codes: 2, 3, 4, 9, 30, 31
    See also: menshen tech repl

    Examples:
      $ menshen tech exec 'import os; print(os.listdir())'
    """
    with _session(port, token, minutes, site, panel) as opened:
        said = opened.mpremote("exec", code, capture=json)
    _closed(json, opened, said.stdout)


@app.command()
def reset(
    port: Port = None,
    token: Token = None,
    minutes: Minutes = MINUTES,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Restart the panel.

    Changes: what was in its memory only; it is back in service within seconds.
    JSON: {port, maintenance:end}
    Exit codes: 2, 3, 4, 9, 30, 31

    Examples:
      $ menshen tech reset
    """
    with _session(port, token, minutes, site, panel) as opened:
        opened.entered = True  # so that it is restarted
    _closed(json, opened)


@contextmanager
def _session(
    port: str | None, token: str | None, minutes: int, site: str | None, panel: str | None
) -> Iterator[Session]:
    """With a token or on a fresh panel no site is opened."""
    secret = maintenance.parse(token) if token else None
    if secret is None and not (port and _fresh(port)):
        with Site.open(site) as opened:
            door = opened.panel(panel)
            port = port or door.record.port
            secret = maintenance.token(opened, door, minutes)
    if port is None:
        raise Usage("Say where the panel is connected: --port.")
    if port.startswith("mqtt"):
        raise Usage("The REPL needs the panel's own cable. Connect it and name it with --port.")
    with maintenance.session(port, secret, talk) as opened_:
        yield opened_


def _fresh(port: str) -> bool:
    client, hello = connect(SerialCarrier(port))
    client.close()
    return not hello["provisioned"]


def _closed(json: bool, opened: Session, output: str | None = None) -> None:
    """stdout is the panel's where nobody asked for JSON."""
    data = {"port": opened.port, "maintenance": "ended" if opened.asked else "not_needed"}
    if json:
        result(json, data if output is None else {**data, "output": output}, "")
    elif opened.asked:
        talk("Maintenance has ended; the door is back.")
