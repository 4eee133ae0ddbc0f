"""The command `menshen`: every command parses, calls the library, prints."""

from __future__ import annotations

import json as json_
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from firmware.base.errors import MenshenError
from host_tools.cli import (
    consent,
    credential,
    deadlines,
    enrol,
    face,
    flash,
    image,
    panel,
    paper,
    parity,
    policy,
    resident,
    sim,
    site,
)
from host_tools.cli.common import Json, talk
from host_tools.errors import EXIT_CODES, HostError, from_code

app = typer.Typer(
    name="menshen",
    help="A face door that never insists on your face.\n\nExit codes:\n\n"
    + "\n\n".join(f"{code}  {meaning}" for code, meaning in EXIT_CODES.items()),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(sim.app, name="sim")
app.add_typer(panel.app, name="panel")
app.add_typer(resident.app, name="resident")
app.add_typer(consent.app, name="consent")
app.add_typer(policy.app, name="policy")
app.command()(enrol.enrol)
app.add_typer(credential.app, name="credential")
app.command()(face.wipe)
app.add_typer(face.receipt, name="receipt")
app.add_typer(face.log, name="log")
app.command("deadlines")(deadlines.show)
app.command("deadline-days")(deadlines.set_days)
app.command()(paper.certificate)
app.command()(paper.export)
app.add_typer(paper.report, name="report")
paper.report.command()(parity.parity)
app.add_typer(site.app, name="site")
app.add_typer(image.app, name="image")
app.command()(flash.flash)


@app.command()
def demo(
    photos: Annotated[
        Path | None, typer.Option(help="Your own pictures: a folder for each person.", file_okay=False, exists=True)
    ] = None,
    page: Annotated[Path, typer.Option(help="Where the page with the pictures goes.")] = Path(
        "build/menshen-demo.html"
    ),
    blur: Annotated[bool, typer.Option("--blur", help="Make faces on the page unrecognisable.")] = False,
    json: Json = False,
) -> None:
    """Tell the whole story on a virtual panel: consent, entry by face, PIN and card, withdrawal, proof."""
    # The demo brings the models' runtime and picture libraries, which take a second to load.
    from host_tools.demo import run

    raise typer.Exit(run(photos=photos, json=json, page=page, blur=blur))


def main() -> None:
    try:
        app()
    except (HostError, MenshenError) as error:
        _fail(error if isinstance(error, HostError) else from_code(error.code, str(error)))
    except KeyboardInterrupt:
        talk("Interrupted. Run the same command again to finish.")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if os.environ.get("MENSHEN_DEBUG"):
            raise
        _fail(HostError(f"Something unexpected: {type(error).__name__}: {error}. MENSHEN_DEBUG=1 shows where."))


def _fail(error: HostError) -> None:
    if "--json" in sys.argv:
        print(json_.dumps({"error": error.code, "message": str(error), "exit_code": error.exit_code}))
    talk(f"menshen: {error}")
    sys.exit(error.exit_code)
