"""`menshen certificate`, `menshen export` and `menshen report`: what is handed to residents, courts and authorities."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import Annotated

import typer

from host_tools import impact, ledger, subject
from host_tools.cli.common import Json, SiteFile, Who, listing, result, talk, waiting, when
from host_tools.cli.help import Menu
from host_tools.errors import Usage
from host_tools.site import Site, deadlines

report = Menu("Assessments for the authorities; each is kept for three years.")

Offline = Annotated[bool, typer.Option("--offline", help="Ask no panel; tell what is on record.")]


def certificate(
    resident: Who,
    out: Annotated[Path | None, typer.Option(help="Where to: OUT.html and OUT.pdf.")] = None,
    name: Annotated[str, typer.Option(help="Whom it is about, when the registry has forgotten; not kept.")] = "",
    offline: Offline = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Write a certificate of erasure in Chinese and English, as a page and as a PDF.

    Panels that still owe something are asked first; one that has not confirmed is named as such.

    Changes: OUT.html and OUT.pdf, and an entry in the history.
    JSON: {made, name, flat, handle, complete, panels[panel, panel_id, device_pub, state, receipts[], deadlines[]],
          files[]}
    Exit codes: 2
    See also: menshen consent withdraw, menshen receipt save

    Examples:
      $ menshen certificate Ann --out ann-certificate
    """
    # Fonts and page setting load slowly, and only this command needs them.
    from host_tools import certificate as certificates

    with Site.open(site) as opened:
        who = opened.resident(resident, removed=True)
        if not offline:
            for panel_id in {deadline.panel_id for deadline in deadlines.pending(opened, who.handle)}:
                record = opened.panel_record(panel_id)
                if record.state == "active":
                    ledger.attempt(opened, opened.link(record), who.handle)
        facts = certificates.gather(opened, who, name)
        with waiting("Setting the pages"):
            page, pdf = certificates.write(facts, out or Path(f"certificate-{who.handle.hex()}"))
        opened.note("certificate_made", who.handle, complete=facts.complete)
    for panel in facts.unconfirmed:
        talk(f"{panel.record.name} has not confirmed yet; the certificate says so.")
    told = "every panel has confirmed" if facts.complete else "NOT complete"
    result(json, {**facts.public(), "files": [str(page), str(pdf)]}, f"Wrote {page} and {pdf}: {told}.")


def export(
    resident: Who,
    out: Annotated[Path | None, typer.Option(help="Write OUT.json and OUT.txt instead of printing.")] = None,
    offline: Offline = False,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Give one person everything that is known about them.

    Templates, PINs and card keys are not in it: this computer does not have them.

    Changes: an entry in the history; with --out two files.
    JSON: {made?, person?{}, panels?[], consents?[], face_records?[], credentials?[], deletions?[], history?[],
          panel_logs?[], files?[]}
    Exit codes: 2
    See also: menshen certificate

    Examples:
      $ menshen export Ann
      $ menshen export Ann --out ann-export --offline
    """
    with Site.open(site) as opened:
        who = opened.resident(resident, removed=True)
        data = subject.export(opened, who, not offline)
        opened.note("exported", who.handle)
    if out is None:
        result(json, data, subject.readable(data))
        return
    files = {".json": json_.dumps(data, ensure_ascii=False, indent=1), ".txt": subject.readable(data)}
    for suffix, text in files.items():
        _write(out.with_name(out.name + suffix), text)
    result(json, {"files": [str(out) + suffix for suffix in files]}, f"Wrote {out}.json and {out}.txt.")


@report.command("impact")
def impact_(
    out: Annotated[Path | None, typer.Option(help="Write OUT.json and OUT.md instead of printing.")] = None,
    site: SiteFile = None,
    json: Json = False,
) -> None:
    """Write the impact assessment: what is stored where, figures, retention, measures.

    Changes: the assessment is kept in the registry for three years; with --out two files.
    JSON: {made?, site?, stored?[what, where, purpose], panels?[], figures?{}, models?[], notices?[], retention?{},
          measures?[], deletions:figures?{}, warning?, history_head?, files?[]}
    See also: menshen report list

    Examples:
      $ menshen report impact --out impact
    """
    with Site.open(site) as opened:
        data = impact.report(opened)
    if data["warning"]:
        talk(data["warning"])
    if out is None:
        result(json, data, impact.readable(data))
        return
    files = {".json": json_.dumps(data, ensure_ascii=False, indent=1), ".md": impact.readable(data)}
    for suffix, text in files.items():
        _write(out.with_name(out.name + suffix), text)
    result(json, {"files": [str(out) + suffix for suffix in files]}, f"Wrote {out}.json and {out}.md.")


@report.command("list")
def list_(site: SiteFile = None, json: Json = False) -> None:
    """List the assessments that are kept, and until when.

    Changes: nothing.
    JSON: [id, kind, made, keep_until, sha256, body{}, when, until]
    See also: menshen report impact

    Examples:
      $ menshen report list
    """
    with Site.open(site) as opened:
        items = [
            {**kept, "when": when(kept["made"]), "until": when(kept["keep_until"])} for kept in impact.kept(opened)
        ]
    listing(json, items, ("id", "kind", "when", "until", "sha256"))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Usage(f"{path} cannot be written: {error.strerror}.") from error
