"""`menshen wipe`, `menshen receipt` and `menshen log`: erasing a face and proving it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import log as audit
from host_tools import receipts
from host_tools.cli.common import Json, PanelName, SiteFile, Who, Yes, confirm, listing, on_panel, result, when
from host_tools.errors import ReceiptInvalid, Usage
from host_tools.site import Site
from host_tools.wipe import wipe_face

receipt = typer.Typer(help="Verify, list and save the receipts of erased faces.", no_args_is_help=True)


def wipe(
    resident: Who,
    save: Annotated[Path | None, typer.Option(help="Where to save the receipt.")] = None,
    yes: Yes = False,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Erase a resident's face from the panel. Card and PIN go on working."""
    with on_panel(site, panel) as (opened, door):
        who = opened.resident(resident)
        confirm(f"This erases the face of {who.name} (flat {who.flat}) from {door.name} for good.", who.name, yes)
        data = wipe_face(opened, door, who)
        info = receipts.verify(data, door.record.device_pub)
    if save:
        save.write_bytes(data)
    told = f"Erased: flash block {', '.join(map(str, info.blocks))}. The receipt is valid and kept."
    result(json, {**info.public(), "receipt": data.hex()}, told)


@receipt.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The receipt.")],
    key: Annotated[str, typer.Option(help="The panel's public device key: 64 hex digits, or a file with them.")],
    json: Json = False,
) -> None:
    """Verify a receipt. Nothing but the file and the panel's public key is needed."""
    try:
        data = file.read_bytes()
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


def log(
    since: Annotated[int, typer.Option(help="From this entry on.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 1000,
    site: SiteFile = None,
    panel: PanelName = None,
    json: Json = False,
) -> None:
    """Show the panel's audit log. Panels know handles; names are added here."""
    with on_panel(site, panel) as (opened, door):
        entries = [{**entry.public(), "when": when(entry.time)} for entry in audit.fetch(opened, door, since, limit)]
    listing(json, entries, ("seq", "when", "kind", "name", "detail"))


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
