"""`menshen site`, and its commands for the registry itself: where it is, whether it is whole, who can read its keys."""

from __future__ import annotations

from typing import Annotated

import typer

from host_tools import checkup
from host_tools.cli.common import DryRun, Json, SiteFile, Yes, confirm, goes_on, result, secret, waiting
from host_tools.errors import RegistryBroken, Usage
from host_tools.site import Site, keychain

OPEN = "Whoever reads the registry or a backup can give orders to its panels. Protect the keys: menshen site lock."


def show(context: typer.Context, site: SiteFile = None, json: Json = False) -> None:
    """Say where the registry is and how its keys are protected; backup, restore, approvers and retention.

    Changes: nothing.
    JSON: {site, place, database, schema, protection}
    Exit codes: 10, 24
    See also: menshen status, menshen site lock, menshen site check

    Examples:
      $ menshen site
      $ menshen site --json
    """
    if goes_on(context):
        return
    with Site.open(site) as opened:
        registry, protection = opened.registry, opened.safe.protection()
        data = {
            "site": opened.site_id.hex(),
            "place": str(registry.place),
            "database": registry.kind,
            "schema": registry.version(),
            "protection": protection.how if protection else "none",
        }
    told = {
        "none": f"Its keys are NOT protected. {OPEN}",
        "passphrase": "Its keys are sealed by a passphrase.",
        "keyring": "Its keys are sealed by a keyring's entry; the recovery code opens them elsewhere.",
    }
    where = f"Site {data['site']}, in {data['place']} ({data['database']}, schema {data['schema']})."
    result(json, data, f"{where}\n{told[str(data['protection'])]}")


def lock(
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Seal the keys by a passphrase.")] = False,
    keyring: Annotated[bool, typer.Option("--keyring", help="Seal them by this computer's keyring.")] = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Seal the site's keys in the registry, or change by what they are sealed.

    Sealed are the cards' master key and the panels' link keys, here and in later backups; names and consents are not.
    By default the keyring keeps what opens them, where this computer has one, else a passphrase, typed on the terminal
    or read from stdin. Where the keys are sealed already, what opens them now is asked for first: the keyring knows it,
    or MENSHEN_PASSPHRASE holds it, or it is typed. With --keyring the recovery code is printed once: it opens the keys
    on other computers, and from backups. On another computer that shares the registry, --keyring asks for that code
    once.

    Changes: how the keys are stored. Backups made before stay as they are: destroy those with open keys.
    JSON: {protection, recovery_code}
    Exit codes: 2, 10, 24, 25, 26
    See also: menshen site unlock, menshen site

    Examples:
      $ menshen site lock --passphrase < passphrase.txt
    """
    if passphrase and keyring:
        raise Usage("Either --passphrase or --keyring. Nothing was changed.")
    code = None
    with Site.open(site) as opened:
        opened.safe.prepare()
        if keyring or (not passphrase and keychain.available()):
            code = opened.safe.lock_by_keyring()
        else:
            opened.safe.lock(secret("The new passphrase", again=True))
        how = "keyring" if code else "passphrase"
        opened.note("keys_sealed", how=how)
    sentence = "The site's keys are sealed. Without the passphrase nobody can use them: keep it safe."
    if code:
        sentence = f"The site's keys are sealed. The recovery code is {code}: write it down and lock it away."
    result(json, {"protection": how, "recovery_code": code}, sentence)


def unlock(yes: Yes = False, dry_run: DryRun = False, site: SiteFile = None, json: Json = False) -> None:
    """Store the site's keys openly again.

    To change the passphrase, menshen site lock is enough.

    Changes: the keys lie open in the registry and in later backups.
    JSON: {protection}
    Exit codes: 2, 10, 24, 26
    See also: menshen site lock

    Examples:
      $ menshen site unlock --dry-run
      $ menshen site unlock --yes
    """
    with Site.open(site) as opened:
        confirm("This stores the site's keys openly in the registry.", "unlock", yes, dry_run, json)
        opened.safe.unlock()
        opened.note("keys_opened")
    result(json, {"protection": "none"}, f"The site's keys are not protected any more. {OPEN}")


def check(
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what reads every row.")] = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Check that the registry is whole.

    That every row can be read and refers to rows that exist, that the history and the fetched logs are unbroken chains,
    that all keys are sealed if any is, and that nobody who was deleted is on record as stored.

    Changes: nothing.
    JSON: {ok:whole, problems:registry[]}
    Exit codes: 10, 24
    See also: menshen log verify, menshen site restore

    Examples:
      $ menshen site check
      $ menshen site check --quick --json
    """
    with Site.open(site) as opened, waiting("Reading the registry"):
        problems = checkup.look(opened, full=not quick)
    result(json, {"ok": not problems, "problems": problems}, "\n".join(problems) or "The registry is whole.")
    if problems:
        raise RegistryBroken("The registry is not whole. Keep it as it is, and restore a backup: menshen site restore.")
