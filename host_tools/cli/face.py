"""`menshen wipe`, `menshen receipt` and `menshen log`: erasing a face and proving it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import chains, ledger, receipts
from host_tools import log as audit
from host_tools.cli.common import Json, PanelName, SiteFile, Yes, confirm, listing, on_panel, result, talk, when
from host_tools.cli.site import approved
from host_tools.errors import ChainBroken, HostError, LinkFailed, NoPanel, Queued, ReceiptInvalid, Usage
from host_tools.site import Panel, Resident, Site, deadlines, history
from host_tools.wipe import wipe_all, wipe_everywhere, wipe_face

log = typer.Typer(
    help="Audit logs: of the panel, of this computer, and whether they are whole.", invoke_without_command=True
)
receipt = typer.Typer(help="Verify, list and save the receipts of erased faces.", no_args_is_help=True)


def wipe(
    resident: Annotated[str | None, typer.Argument(help="A resident: name, flat/name, or handle in hex.")] = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="From every panel.")] = False,
    everyone: Annotated[bool, typer.Option("--all", help="Every face of the site, or of --panel.")] = False,
    order: Annotated[str, typer.Option(help="The reference of a court's or authority's order: ends consent too.")] = "",
    days: Annotated[int | None, typer.Option(help="Days until it must be done.", min=0, max=365)] = None,
    approve: Annotated[list[str] | None, typer.Option(help="With --all: an approver; two are needed.")] = None,
    save: Annotated[Path | None, typer.Option(help="Where to save the receipt.")] = None,
    yes: Yes = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Erase a resident's face from a panel, or --everywhere, or --all faces. Card and PIN go on working."""
    if (resident is None) != everyone:
        raise Usage("Name a resident, or say --all.")
    with Site.open(site) as opened:
        if everyone:
            _wipe_all(opened, panel, approve or [], yes, json)
        elif everywhere or order:
            _wipe_everywhere(opened, opened.resident(resident or ""), order, days, yes, json)
        else:
            _wipe_one(opened, opened.panel(panel), opened.resident(resident or ""), save, yes, json)


def _wipe_one(site: Site, door: Panel, who: Resident, save: Path | None, yes: bool, json: bool) -> None:
    confirm(f"This erases the face of {who.name} (flat {who.flat}) from {door.name} for good.", who.name, yes)
    try:
        data = wipe_face(site, door, who)
    except (NoPanel, LinkFailed) as error:
        raise Queued(f"{door.name} owes this deletion now and is asked at the next contact. {error}") from error
    info = receipts.verify(data, door.record.device_pub)
    if save:
        save.write_bytes(data)
    told = f"Erased: flash block {', '.join(map(str, info.blocks))}. The receipt is valid and kept."
    result(json, {**info.public(), "receipt": data.hex()}, told)


def _wipe_everywhere(site: Site, who: Resident, order: str, days: int | None, yes: bool, json: bool) -> None:
    confirm(f"This erases the face of {who.name} (flat {who.flat}) from every panel for good.", who.name, yes)
    outcomes = wipe_everywhere(site, who, "order" if order else "request", order, days)
    told_outcomes(json, outcomes, [deadline.id for deadline in deadlines.pending(site, who.handle)])


def _wipe_all(site: Site, panel: str | None, approve: list[str], yes: bool, json: bool) -> None:
    only = site.panel(panel) if panel else None
    where = only.name if only else "every panel"
    allowed = approved(site, approve, f"This erases EVERY face from {where} for good.", "erase every face", yes)
    outcomes = wipe_all(site, allowed, only)
    told_outcomes(json, outcomes, [deadline.id for deadline in deadlines.pending(site)])


def told_outcomes(json: bool, outcomes: list[ledger.Outcome], pending: list[int]) -> None:
    """One line a panel and deletion; Queued when something is still owed."""
    items = [
        {
            "panel": outcome.panel,
            "receipt": outcome.receipt.hex() if outcome.receipt else None,
            "outcome": outcome.problem or ("erased" if outcome.receipt else "no face was stored"),
        }
        for outcome in outcomes
    ]
    listing(json, items, ("panel", "outcome"))
    if pending:
        raise Queued(f"Not confirmed yet: {len(pending)}. See: menshen deadlines.")


@receipt.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The receipt.")],
    key: Annotated[str, typer.Option(help="The panel's public device key: 64 hex digits, or a file with them.")],
    json: Json = False,
) -> None:
    """Verify a receipt. Nothing but the file and the panel's public key is needed."""
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
    """List the receipts that were collected."""
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
    """Save a receipt for whoever it concerns."""
    with Site.open(site) as opened:
        kept = opened.receipts()
    if not 1 <= number <= len(kept):
        raise Usage(f"There is no receipt {number}. See: menshen receipt list.")
    file.write_bytes(kept[number - 1].data)
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
    """Show the panel's audit log. Panels know handles; names are added here."""
    if context.invoked_subcommand:
        return
    with on_panel(site, panel) as (opened, door):
        entries = [{**entry.public(), "when": when(entry.time)} for entry in audit.fetch(opened, door, since, limit)]
    listing(json, entries, ("seq", "when", "kind", "name", "detail"))


@log.command("verify")
def verify_log(
    offline: Annotated[bool, typer.Option("--offline", help="Check only what was fetched before.")] = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Verify the chains: the host's own history, and each panel's log, which is fetched on."""
    unreached: list[str] = []

    def note(name: str, error: HostError) -> None:
        unreached.append(name)
        talk(f"{name} cannot be asked: {error}")

    with Site.open(site) as opened:
        breaks = chains.verify(opened, not offline, note)
        lengths = chains.lengths(opened)
    data = {"breaks": [found.public() for found in breaks], "entries": lengths, "unreached": unreached}
    if breaks:
        result(json, data, "\n".join(f"{found.chain}: {found.what} from entry {found.seq} on" for found in breaks))
        raise ChainBroken("An audit log was altered or cut off, at the places named. Keep the files as they are.")
    result(json, data, "Whole: " + ", ".join(f"{name} {count} entries" for name, count in lengths.items()) + ".")


@log.command("host")
def host_log(site: SiteFile = None, json: Json = False) -> None:
    """Show what managers did here."""
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
