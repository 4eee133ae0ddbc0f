"""`menshen wipe`, `menshen receipt` and `menshen log`: erasing a face and proving it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import chains, ledger, receipts
from host_tools import log as audit
from host_tools.cli.common import (
    DryRun,
    Json,
    MaybeWho,
    PanelName,
    SiteFile,
    Yes,
    confirm,
    goes_on,
    listing,
    on_panel,
    result,
    talk,
    waiting,
    when,
)
from host_tools.cli.help import Menu
from host_tools.cli.site import approved
from host_tools.errors import ChainBroken, HostError, LinkFailed, NoPanel, Queued, ReceiptInvalid, Usage
from host_tools.site import Panel, Resident, Site, deadlines, history
from host_tools.site.deadlines import Deadline
from host_tools.wipe import wipe_all, wipe_everywhere, wipe_face

log = Menu(invoke_without_command=True, no_args_is_help=False)
receipt = Menu("Verify, list and save the receipts of erased faces.")


def wipe(
    resident: MaybeWho = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="From every panel.")] = False,
    everyone: Annotated[bool, typer.Option("--all", help="Every face of the site, or of --panel.")] = False,
    order: Annotated[
        str, typer.Option(help="A court's or authority's reference: from every panel, and consent ends too.")
    ] = "",
    days: Annotated[int | None, typer.Option(help="Days until it must be done.", min=0, max=365)] = None,
    approve: Annotated[list[str] | None, typer.Option(help="With --all: an approver; two are needed.")] = None,
    save: Annotated[Path | None, typer.Option(help="Where to save the receipt of one panel.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Erase a resident's face: from one panel, --everywhere, or --all faces.

    Card and PIN go on working. The panel reads the erased block back and signs a receipt, which is kept here. A panel
    that cannot be reached is asked at the next contact; until then the deletion stands in the ledger with its deadline.

    Changes: the face is gone from the panel for good; with --order the consent ends too.
    JSON: [panel, outcome, receipt]
    Exit codes: 2, 4, 17, 20
    See also: menshen consent withdraw, menshen receipt, menshen deadlines

    Examples:
      $ menshen wipe Ann --dry-run
      $ menshen wipe Ann --yes --save ann.receipt
      $ menshen wipe Ann --order 'Heping District Court 2026-118' --yes
      $ menshen wipe --all --dry-run
    """
    if (resident is None) != everyone:
        raise Usage("Name a resident, or say --all.")
    if save and (everyone or everywhere or order):
        raise Usage("One file holds one panel's receipt. All are kept: menshen receipt list, menshen receipt save.")
    with Site.open(site) as opened:
        if everyone:
            only = opened.panel(panel) if panel else None
            what = f"This erases EVERY face from {only.name if only else 'every panel'} for good."
            allowed = approved(opened, approve or [], what, "erase every face", yes, dry_run, json)
            with waiting("Asking panels"):
                outcomes = wipe_all(opened, allowed, only)
            _told(json, outcomes, deadlines.pending(opened))
            return
        who = opened.resident(resident or "")
        door = None if everywhere or order else opened.panel(panel)
        where = door.name if door else "every panel"
        confirm(
            f"This erases the face of {who.name} (flat {who.flat}) from {where} for good.", who.name, yes, dry_run, json
        )
        if door:
            _wipe_one(opened, door, who, save, json)
            return
        with waiting("Asking panels"):
            outcomes = wipe_everywhere(opened, who, "order" if order else "request", order, days)
        _told(json, outcomes, deadlines.pending(opened, who.handle))


def _wipe_one(site: Site, door: Panel, who: Resident, save: Path | None, json: bool) -> None:
    try:
        with waiting("Erasing"):
            data = wipe_face(site, door, who)
    except (NoPanel, LinkFailed) as error:
        raise Queued(f"{door.name} owes this deletion now and is asked at the next contact. {error}") from error
    info = receipts.verify(data, door.record.device_pub)
    if save:
        _write(save, data)
    told = f"Erased: flash block {', '.join(map(str, info.blocks))}. The receipt is valid and kept."
    result(json, [_outcome(ledger.Outcome(door.name, data))], told)


def _told(json: bool, outcomes: list[ledger.Outcome], pending: list[Deadline]) -> None:
    """One line a panel and deletion; Queued when something is still owed."""
    listing(json, [_outcome(outcome) for outcome in outcomes], ("panel", "outcome"))
    if pending:
        raise Queued(f"Not confirmed yet: {len(pending)}. See: menshen deadlines.")


def _outcome(outcome: ledger.Outcome) -> dict[str, Any]:
    return {
        "panel": outcome.panel,
        "outcome": outcome.problem or ("erased" if outcome.receipt else "no face was stored"),
        "receipt": outcome.receipt.hex() if outcome.receipt else None,
    }


@receipt.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The receipt.")],
    key: Annotated[str, typer.Option(help="The panel's public device key: 64 hex digits, or a file with them.")],
    json: Json = False,
) -> None:
    """Verify a receipt. Nothing but the file and the panel's public key is needed.

    Changes: nothing.
    JSON: {panel_id, handle, counter, time, time_source, reason, blocks[]}
    Exit codes: 2, 12
    See also: menshen receipt save, firmware/vault/README.md

    Examples:
      $ menshen receipt verify ann.receipt --key door.pub
    """
    try:
        data = receipts.unwrapped(file.read_bytes())
    except OSError as error:
        raise Usage(f"The receipt {file} cannot be read: {error.strerror}.") from error
    info = receipts.verify(data, _key(key))
    told = (
        f"Valid. Panel {info.panel_id.hex()} erased the record {info.handle.hex()} ({info.reason}) "
        f"on {when(info.time)}: flash block {', '.join(map(str, info.blocks))} read back as erased."
    )
    result(json, info.public(), told)


@receipt.command("list")
def list_(
    fetch: Annotated[bool, typer.Option("--fetch", help="First fetch new ones from the panel.")] = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """List the receipts that were collected.

    Changes: nothing; with --fetch new ones are taken over from the panel.
    JSON: [number, panel_id, handle, counter, time, time_source, reason, blocks[], when, receipt]
    See also: menshen receipt save

    Examples:
      $ menshen receipt list
      $ menshen receipt list --fetch
    """
    with Site.open(site) as opened:
        if fetch:
            receipts.collect(opened, opened.panel(panel))
        items = [_row(opened, number, kept.data) for number, kept in enumerate(opened.receipts(), 1)]
    listing(json, items, ("number", "handle", "reason", "when", "blocks"))


@receipt.command()
def save(
    number: Annotated[int, typer.Argument(help="As receipt list shows it.")],
    file: Annotated[Path, typer.Argument(help="Where to save it.")],
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Save a receipt for whoever it concerns.

    Changes: the file FILE.
    JSON: {number, file}
    Exit codes: 2
    See also: menshen receipt list, menshen receipt verify

    Examples:
      $ menshen receipt save 1 first.receipt
    """
    with Site.open(site) as opened:
        kept = opened.receipts()
    if not 1 <= number <= len(kept):
        raise Usage(f"There is no receipt {number}. See: menshen receipt list.")
    _write(file, kept[number - 1].data)
    result(json, {"number": number, "file": str(file)}, f"Saved as {file}. Hand it over with the panel's public key.")


@log.callback()
def show_log(
    context: typer.Context,
    since: Annotated[int, typer.Option(help="From this entry on.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 1000,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Show a panel's audit log, or check every log.

    Panels know handles; names are added here.

    Changes: nothing.
    JSON: [seq, time, kind, handle, detail, name, when]
    Exit codes: 3, 9
    See also: menshen log verify, menshen log host

    Examples:
      $ menshen log
      $ menshen log --since 3 --limit 2
    """
    if goes_on(context):
        return
    with on_panel(site, panel) as (opened, door), waiting("Reading the log"):
        entries = [{**entry.public(), "when": when(entry.time)} for entry in audit.fetch(opened, door, since, limit)]
    listing(json, entries, ("seq", "when", "kind", "name", "detail"))


@log.command("verify")
def verify_log(
    offline: Annotated[bool, typer.Option("--offline", help="Check only what was fetched before.")] = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Verify that no log was altered or cut off.

    The host's own history, and each panel's log, whose new entries are fetched first.

    Changes: nothing but the copies of the panels' logs here.
    JSON: {breaks[chain, seq, what], entries{}, unreached[]}
    Exit codes: 19
    See also: menshen log

    Examples:
      $ menshen log verify
      $ menshen log verify --offline
    """
    unreached: list[str] = []

    def note(name: str, error: HostError) -> None:
        unreached.append(name)
        talk(f"{name} cannot be asked: {error}")

    with Site.open(site) as opened, waiting("Reading the logs"):
        breaks = chains.verify(opened, not offline, note)
        lengths = chains.lengths(opened)
    data = {"breaks": [found.public() for found in breaks], "entries": lengths, "unreached": unreached}
    if breaks:
        result(json, data, "\n".join(f"{found.chain}: {found.what} from entry {found.seq} on" for found in breaks))
        raise ChainBroken("An audit log was altered or cut off, at the places named. Keep the files as they are.")
    result(json, data, "Whole: " + ", ".join(f"{name} {count} entries" for name, count in lengths.items()) + ".")


@log.command("host")
def host_log(site: SiteFile = None, json: Json = False) -> None:
    """Show what managers did here.

    Changes: nothing.
    JSON: [seq, time, actor, action, handle, panel_id, detail:object{}, hash, when, name]
    See also: menshen log verify

    Examples:
      $ menshen log host
    """
    with Site.open(site) as opened:
        names = {resident.handle.hex(): resident.name for resident in opened.residents()}
        with opened.registry.transaction() as db:
            items = [
                {**entry.public(), "when": when(entry.time), "name": names.get(entry.handle, entry.handle)}
                for entry in history.entries(db)
            ]
    listing(json, items, ("seq", "when", "actor", "action", "name", "detail"))


def _row(site: Site, number: int, data: bytes) -> dict[str, Any]:
    parsed = receipts.read(data)
    return {"number": number, **parsed.public(), "when": when(parsed.time), "receipt": data.hex()}


def _write(path: Path, receipt: bytes) -> None:
    try:
        path.write_bytes(receipt)
    except OSError as error:
        raise Usage(f"The receipt cannot be saved as {path}: {error.strerror}. It is kept here.") from error


def _key(text: str) -> bytes:
    path = Path(text)
    try:
        if len(text) != 64 and path.is_file():
            text = path.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise ReceiptInvalid("The key is not 64 hex digits. menshen panel list --json shows device_pub.") from error
    if len(key) != 32:
        raise ReceiptInvalid("The key is not 64 hex digits. menshen panel list --json shows device_pub.")
    return key
