"""`menshen site`: the registry's backup, who may delete in bulk, and how long things are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from host_tools import approval, chains, impact
from host_tools import backup as backups
from host_tools.cli import registry
from host_tools.cli.common import DryRun, Json, SiteFile, Yes, confirm, listing, result, secret, talk, waiting
from host_tools.cli.help import Menu
from host_tools.site import Site
from host_tools.site.place import Place

app = Menu(invoke_without_command=True, no_args_is_help=False)
app.callback()(registry.show)
for _command in (registry.lock, registry.unlock, registry.check):
    app.command()(_command)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="A new file. It holds the site's keys: keep it safe.")],
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Copy the registry while it is in use.

    A backup is a file, wherever the registry is.

    Changes: the file FILE, which must not exist. It holds what the registry holds: keep it as safe.
    JSON: {file}
    Exit codes: 2, 10, 24
    See also: menshen site restore

    Examples:
      $ menshen site backup monday.db
    """
    with Site.open(site) as opened:
        backups.backup(opened, file)
        keys = "sealed in it" if opened.safe.protection() else "in it, open to whoever reads it"
    result(json, {"file": str(file)}, f"Saved as {file}. Keep it as you keep the registry: the site's keys are {keys}.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Put a backup in the registry's place.

    Who was deleted since stays deleted, here and on the panels, which are told so. With --site a backup moves the site
    to another place: from a file to PostgreSQL, or back.

    Changes: everything in the registry. What it knows that came after the backup stays, if it can still be read.
    JSON: {buried, unreached[]}
    Exit codes: 2, 10, 24, 26
    See also: menshen site backup, menshen site check

    Examples:
      $ menshen site restore monday.db --dry-run
      $ menshen site restore monday.db --yes
    """
    place = Place.of(site)
    what = f"This puts {file} in the place of {place}."
    confirm(what, "restore", yes, dry_run, json)
    with waiting("Restoring, and telling the panels what stays deleted"):
        done = backups.restore(file, place)
    for outcome in done.outcomes:
        if outcome.problem:
            talk(f"{outcome.panel}: {outcome.problem}")
    data = {"buried": done.buried, "unreached": [outcome.panel for outcome in done.outcomes if outcome.problem]}
    result(json, data, f"Restored. Records that were deleted since the backup and stay so: {done.buried}.")


@app.command()
def approver(
    name: Annotated[str | None, typer.Argument(help="Whose passphrase to set; none: list them.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take this approver out.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Name who may approve bulk deletions; two of them are needed for each.

    The passphrase is read from the terminal, or from stdin.

    Changes: the list of approvers.
    JSON: [name]
    Exit codes: 2
    See also: menshen wipe, menshen panel decommission, menshen site key

    Examples:
      $ menshen site approver
      $ menshen site approver 'Li Wei' < passphrase.txt
      $ menshen site approver 'Li Wei' --remove --yes
    """
    with Site.open(site) as opened:
        if name and remove:
            confirm(f"This takes {name} out of the approvers.", name, yes, dry_run, json)
            approval.remove_approver(opened, name)
        elif name:
            approval.add_approver(opened, name, secret(f"Passphrase of {name}", again=True))
        names = approval.approvers(opened)
    listing(json, [{"name": known} for known in names], ("name",))


@app.command()
def key(
    replace: Annotated[bool, typer.Option("--replace", help="Asks for the present key first.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Make the site key, which approves a bulk deletion together with a typed word.

    It is shown once and kept nowhere: write it down and lock it away.

    Changes: with --replace the older key approves nothing any more.
    JSON: {site_key}
    Exit codes: 2, 20
    See also: menshen site approver

    Examples:
      $ menshen site key
    """
    with Site.open(site) as opened:
        if replace:
            confirm(
                "This makes a new site key; the present one approves nothing any more.", "replace", yes, dry_run, json
            )
        made = approval.new_site_key(opened, secret("The present site key") if replace else None)
    result(json, {"site_key": made}, f"The site key is {made}. It is not kept: write it down and lock it away.")


@app.command()
def retention(
    purge: Annotated[
        bool, typer.Option("--purge", help="Forget fetched log entries that are older than that.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Show how long what is kept.

    Changes: nothing; with --purge entries of panels' logs that are too old are forgotten here.
    JSON: [what, kept]
    See also: menshen report impact

    Examples:
      $ menshen site retention
      $ menshen site retention --purge --dry-run
      $ menshen site retention --purge --yes
    """
    with Site.open(site) as opened:
        if purge:
            what = f"This forgets fetched entries of the panels' logs that are older than {chains.LOG_DAYS} days."
            confirm(what, "purge", yes, dry_run, json)
            talk(f"Purged: {chains.purge(opened)}.")
        rules = impact.retention(opened)
    listing(json, [{"what": what, "kept": kept} for what, kept in rules.items()], ("what", "kept"))


def approved(
    site: Site, names: list[str], what: str, word: str, yes: bool, dry_run: bool, json: bool
) -> approval.Approval:
    """Two approvers' passphrases, or the typed word and the site key."""
    if names and not dry_run:
        talk(what)
        return approval.by_two(site, [(name, secret(f"Passphrase of {name}")) for name in names])
    confirm(what, word, yes, dry_run, json)
    return approval.by_site_key(site, secret("Site key"))
