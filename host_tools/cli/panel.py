"""`menshen panel`: what a technician does with panels."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from firmware.link.ops import wire
from host_tools import clearing, diagnose, network, panels, selftest
from host_tools import maintenance as upkeep
from host_tools.cli.common import (
    DryRun,
    Json,
    NamedPanel,
    PanelName,
    SiteFile,
    Yes,
    confirm,
    listing,
    on_panel,
    result,
    steps,
    talk,
    waiting,
    when,
)
from host_tools.cli.help import Menu
from host_tools.cli.site import approved
from host_tools.errors import Usage
from host_tools.site import Panel, Site
from host_tools.vision.frames import search_levels
from host_tools.vision.pictures import load_grey

_FOLLOW_S = 0.5

app = Menu("Provision panels and look after them.")

Port = Annotated[str, typer.Option("--port", help="A device file, socket://HOST:PORT, or mqtts://HOST[:PORT].")]


@app.command()
def provision(
    port: Port,
    name: Annotated[str, typer.Option(help="What to call it.")] = "door",
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Take a fresh panel into the site and pin its device key.

    The panel makes its keys, which takes a board a few seconds, and accepts this exactly once.

    Changes: the panel belongs to this site; the registry has its public key and its link key.
    JSON: {panel_id, name, device_pub, port, state, fingerprint}
    Exit codes: 3, 15, 16
    See also: menshen flash, menshen panel list, menshen panel selftest

    Examples:
      $ menshen panel provision --port /dev/ttyACM0
    """
    with Site.open(site) as opened, waiting("Provisioning: the panel makes its keys"):
        record = panels.provision(opened, port, name).record
        if opened.safe.protection() is None:
            talk("Its link key lies open in the registry. Seal the site's keys: menshen site lock.")
    mark = panels.fingerprint(record.device_pub)
    sentence = f"{record.name} is provisioned. Its device key is {record.device_pub.hex()} (fingerprint {mark})."
    result(json, {**record.public(), "fingerprint": mark}, sentence)


@app.command()
def status(site: SiteFile = None, panel: PanelName = None, json: Json = False) -> None:
    """Ask a panel how it is.

    Changes: nothing.
    JSON: {panel_id, name, board, firmware, time, time_source, uptime_s, residents, faces, face_capacity, model_id?,
          maintenance, tamper?, camera?, fed?, pin_ms?, memory{}, policy?{}, clearing?, receipts_waiting?, quarantined?,
          log_next?, log_head?, log_damage?[]}
    Exit codes: 3, 9, 16
    See also: menshen status, menshen panel selftest

    Examples:
      $ menshen panel status
      $ menshen panel status --panel door --json
    """
    with on_panel(site, panel) as (_, door):
        data = wire(panels.status(door))
    result(json, data, "\n".join(f"{name}: {value}" for name, value in data.items()))


@app.command("list")
def list_(site: SiteFile = None, json: Json = False) -> None:
    """List the site's panels, as the registry has them.

    Changes: nothing.
    JSON: [panel_id, name, device_pub, port, state]
    See also: menshen status

    Examples:
      $ menshen panel list
    """
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
    """Set the panel's clock.

    Changes: the clock, and an entry in the panel's log.
    JSON: {time}
    Exit codes: 3, 9
    See also: menshen policy set

    Examples:
      $ menshen panel set-time
    """
    with on_panel(site, panel) as (opened, door):
        now = panels.set_time(opened, door, time)
    result(json, {"time": now}, f"The panel's clock says {when(now)}.")


@app.command()
def maintenance(
    on: Annotated[bool, typer.Argument(metavar="on|off", parser=lambda word: _on_or_off(word))],
    minutes: Annotated[
        int, typer.Option(help="The panel ends it by itself after so long.", min=1, max=upkeep.MOST_MINUTES)
    ] = upkeep.MINUTES,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Switch maintenance on or off: the REPL can be reached and the door opens for nobody while it is on.

    Somebody has to stand before the panel and press # when it asks. `menshen tech` does all this by itself.

    Changes: the panel's mode until it is switched off or restarted, or until the minutes are over; leaving stays free.
    JSON: {on, left_s}
    Exit codes: 3, 4, 9, 30
    See also: menshen tech repl, menshen tech token

    Examples:
      $ menshen panel maintenance on --minutes 20
      $ menshen panel maintenance off
    """
    seconds = 0
    with on_panel(site, panel) as (opened, door):
        if on:
            seconds = upkeep.allow(door.connected(), upkeep.token(opened, door, minutes), talk)
        else:
            upkeep.end(door)
    sentence = f"on for {seconds // 60} minutes: the door opens for nobody" if on else "off"
    result(json, {"on": on, "left_s": seconds}, f"Maintenance is {sentence}.")


@app.command()
def move(
    name: NamedPanel,
    port: Port,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Note that a panel is on another port now; it is checked to be the same one.

    Changes: the port in the registry.
    JSON: {panel_id, name, device_pub, port, state}
    Exit codes: 3, 16
    See also: menshen panel list

    Examples:
      $ menshen panel move door --port /dev/ttyACM0
    """
    with Site.open(site) as opened:
        record = panels.move(opened, name, port).record
    result(json, record.public(), f"{record.name} is on {port}.")


@app.command("network")
def network_(
    login: Annotated[Path | None, typer.Option(help="The panel's login at the broker, a JSON file.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Leave the broker.")] = False,
    ssid: Annotated[str | None, typer.Option(help="The Wi-Fi to join; its password is asked for.")] = None,
    wifi_password: Annotated[Path | None, typer.Option(help="A file with the Wi-Fi's password.")] = None,
    ntp: Annotated[str | None, typer.Option(help="Where to ask for the time: a name or address.")] = None,
    hold: Annotated[
        int | None, typer.Option(help="Seconds that faces wait at most for what the broker kept.", min=0, max=3600)
    ] = None,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Set a panel's Wi-Fi and broker, over a cable at first; without options tell how it is connected.

    What is not named stays as it is. Passwords come from files or are asked for; the panel seals them in its vault and
    tells them to nobody. Afterwards menshen panel move NAME --port mqtts://HOST[:PORT] reaches it over the broker.

    Changes: the panel's network, half a second after its answer.
    JSON: {ssid, ntp, host, port:number, tls, name:certificate, user, hold_s, up, address, connected, drained, holding,
    problem:network}
    Exit codes: 2, 3, 9
    See also: menshen fleet broker-config, menshen panel move

    Examples:
      $ menshen panel network
      $ menshen panel network --ssid Hof7 --wifi-password wifi.txt --ntp 192.168.1.1
    """
    wanted: dict[str, Any] = network.BrokerLogin.read(login).for_panel() if login else {}
    if off:
        wanted["host"] = ""
    if ssid is not None:
        wanted |= {"ssid": ssid, "wifi_password": _wifi_password(wifi_password)}
    if ntp is not None:
        wanted["ntp"] = network.look_up(ntp) if ntp else ""
    if hold is not None:
        wanted["hold_s"] = hold
    with on_panel(site, panel) as (opened, door):
        data = network.change(opened, door, **wanted) if wanted else door.request("network")
        if login:
            with waiting(f"{door.name} connects to its broker"):
                data = network.wait_connected(door)
    result(json, data, "\n".join(f"{name}: {value}" for name, value in data.items()))


@app.command()
def feed(
    photo: Annotated[Path, typer.Argument(help="A picture of any size; it is fitted into a frame.")],
    uses: Annotated[int, typer.Option(help="How many times the panel sees it.", min=1, max=255)] = 10,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Let a board without camera see a picture, on benches and in emulators; others refuse it.

    Changes: what the panel's camera gives until it was seen so many times or the panel restarts.
    JSON: {panel, seen}
    Exit codes: 3, 4, 9
    See also: menshen panel selftest, menshen sim start

    Examples:
      $ menshen panel feed grace.jpg --uses 20
    """
    frame = next(search_levels(load_grey(photo)))[0].frame
    with on_panel(site, panel) as (_, door):
        panels.feed(door, frame, uses)
    result(json, {"panel": door.name, "seen": uses}, f"{door.name} sees the picture {uses} times.")


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
    """Let a panel examine itself. The door works meanwhile.

    Changes: nothing; with --lock the lock opens for a moment.
    JSON: {panel, checks[name, verdict, says, figures{}]}
    Exit codes: 3, 9, 23
    See also: menshen panel status

    Examples:
      $ menshen panel selftest --no-lock
    """
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
def log(
    attempts: Annotated[bool, typer.Option("--attempts", help="What happened at the door lately, instead.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Show what the panel says: its console since the start, or the last attempts at the door. Nobody is named.

    Both are kept in memory only; who came in when stands in the audit log.

    Changes: nothing.
    JSON: [line:text?, kind?, opened:flag?, reason?, hint?, ms?, frames:count?, times?, why?, what?]
    Exit codes: 2, 3, 9
    See also: menshen log, menshen panel diagnose

    Examples:
      $ menshen panel log
      $ menshen panel log --attempts
    """
    if follow and json:
        raise Usage("--follow prints lines as they come; JSON is one document. Leave one of them out.")
    with on_panel(site, panel) as (_, door):
        since = 0
        while True:
            items, since = diagnose.attempts(door, since) if attempts else _lines(door, since)
            if json:
                result(json, items, "")
            for item in [] if json else items:
                print(_attempt(item) if attempts else item["line"])
            if not follow:
                break
            sys.stdout.flush()
            time.sleep(_FOLLOW_S)


@app.command("diagnose")
def diagnose_(
    out: Annotated[
        Path | None, typer.Option("--out", help="The file.", show_default="menshen-BOARD-DATE.json here")
    ] = None,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Put what a bug report needs into one file.

    Versions, self-test, memory, settings, counts, the console's last lines. Nobody's name, flat, card or handle is in
    it, nor when anybody came. The door works meanwhile. Read the file before you send it.

    Changes: nothing on the panel.
    JSON: {file, failed:checks}
    Exit codes: 2, 3, 9
    See also: menshen panel selftest, menshen panel log

    Examples:
      $ menshen panel diagnose --out report.json
    """
    with on_panel(site, panel) as (opened, door), steps("Asking the panel") as step:
        report = diagnose.collect(opened, door, step)
        board = report["panel"]["board"]
    path = out or Path(f"menshen-{board}-{time.strftime('%Y%m%d-%H%M%S')}.json")
    diagnose.write(report, path)
    failed = [check["name"] for check in report["selftest"] if check["verdict"] == "failed"]
    sentence = f"{path} is written. Failed checks: {', '.join(failed) or 'none'}. Read it before you send it."
    result(json, {"file": str(path), "failed": failed}, sentence)


@app.command()
def retire(
    name: NamedPanel,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Forget a panel that was erased or scrapped. Consents and receipts stay as evidence.

    Changes: the registry only: the panel's link key is gone. Faces still stored in the panel are not wiped, and
    deletions that it owes stay in the ledger; menshen panel decommission erases a panel that still works.
    JSON: {retired}
    Exit codes: 2, 3
    See also: menshen panel decommission

    Examples:
      $ menshen panel retire door --dry-run
    """
    with Site.open(site) as opened:
        record = opened.panel(name).record
        confirm(
            f"This forgets the link key of {record.name}: no command can reach it again unless it is erased. "
            "Faces still stored in it are not wiped.",
            record.name,
            yes,
            dry_run,
            json,
        )
        panels.retire(opened, name)
    result(json, {"retired": record.name}, f"{record.name} is retired.")


@app.command()
def decommission(
    name: NamedPanel,
    approve: Annotated[list[str] | None, typer.Option(help="An approver; two are needed.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Erase everything on a panel for good and take it out of the site.

    The panel's secret goes first, then block after block, each read back. Refused while receipts wait to be fetched.

    Changes: every face, card, PIN and key on the panel is gone; the panel is a fresh one.
    JSON: {panel_id, faces, blocks:count, done}
    Exit codes: 2, 3, 20
    See also: menshen panel retire, menshen site key, menshen site approver

    Examples:
      $ menshen panel decommission door --dry-run
    """
    with Site.open(site) as opened:
        door = opened.panel(name)
        what = f"This erases EVERYTHING on {door.name}: every face, card, PIN and key. It cannot be undone."
        allowed = approved(opened, approve or [], what, f"erase {door.name}", yes, dry_run, json)
        with waiting(f"Erasing {door.name}"):
            done = clearing.decommission(opened, door, allowed)
    data = {"panel_id": done.panel_id.hex(), "faces": done.facts.faces, "blocks": done.blocks, "done": done.done}
    sentence = (
        f"{name} is erased: {done.facts.faces} faces, {done.blocks} blocks read back as empty, signed by the panel."
    )
    result(json, data, sentence)


def _wifi_password(file: Path | None) -> str:
    if file:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise Usage(f"{file} cannot be read.") from error
    if not sys.stdin.isatty():
        raise Usage("Nobody is here to type the Wi-Fi's password. Name a file with it: --wifi-password FILE.")
    return str(typer.prompt("The Wi-Fi's password", hide_input=True, default="", show_default=False, err=True))


def _lines(door: Panel, since: int) -> tuple[list[dict[str, Any]], int]:
    lines, since = diagnose.console(door, since)
    return [{"line": line} for line in lines], since


def _attempt(event: dict[str, Any]) -> str:
    """A line: what, the outcome, then what the panel noticed."""
    outcome = "opened" if event.get("opened") else event.get("reason") or event.get("what") or ""
    rest = [f"{name} {event[name]}" for name in ("hint", "ms", "frames", "times") if event.get(name)]
    return "\t".join([event["kind"], outcome, ", ".join(rest)])


def _may_open(name: str) -> bool:
    """Nobody at a terminal: then the lock stays as it is."""
    return sys.stdin.isatty() and typer.confirm(f"May {name} release its lock for a moment?", err=True)


def _on_or_off(word: str) -> bool:
    if word not in ("on", "off"):
        raise typer.BadParameter("say on or off")
    return word == "on"
