"""The command `menshen`: every command parses, calls the library, prints."""

from __future__ import annotations

import json as json_
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from firmware.base.errors import MenshenError
from host_tools.cli import (
    aim,
    consent,
    credential,
    deadlines,
    enrol,
    face,
    flash,
    fleet,
    image,
    panel,
    paper,
    parity,
    policy,
    resident,
    sim,
    site,
    status,
    tech,
    update,
)
from host_tools.cli.common import Json, Stdout, secret, talk
from host_tools.cli.help import Menu
from host_tools.errors import HostError, Usage, from_code
from host_tools.site.safe import Safe

app = Menu(
    """A face door that never insists on your face.

    stdout is data, stderr is talk. With --json, stdout holds one document; a failure without data has one too:
    {error, message, exit_code}. Nothing is asked when nobody is at a terminal. NO_COLOR is honoured.

    Exit codes: all
    See also: menshen COMMAND --help, host_tools/MANAGER.md, host_tools/REFERENCE.md

    Examples:
      $ menshen status
      $ menshen --install-completion
    """,
    name="menshen",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_UsageError: Any = typer.BadParameter.__base__  # typer brings its own click, or uses the installed one
app.command()(status.status)
app.add_typer(sim.app, name="sim")
app.add_typer(panel.app, name="panel")
app.add_typer(fleet.app, name="fleet")
panel.app.command()(aim.camera)
panel.app.command()(aim.calibrate)
panel.app.command()(update.update)
panel.app.command()(update.update_key)
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
app.add_typer(tech.app, name="tech")
app.add_typer(image.app, name="image")
image.app.command()(update.key)
image.app.command()(update.bundle)
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
    """Tell the whole story on a virtual panel: consent, entry by face, PIN and card, withdrawal, proof.

    Changes: the file PAGE; the panel and the site are made for the occasion and vanish.
    JSON: {ok, steps[], ready_milliseconds, peak_heap_bytes, models:sizes{}, page}
    Exit codes: 1, 2
    See also: menshen sim start

    Examples:
      $ menshen demo
      $ menshen demo --photos pictures --page demo.html --json
    """
    # The demo brings the models' runtime and picture libraries, which take a second to load.
    from host_tools.demo import run

    raise typer.Exit(run(photos=photos, json=json, page=page, blur=blur))


def main() -> None:
    Stdout.documents = 0
    Safe.ask = secret if sys.stdin.isatty() else None
    try:
        sys.exit(app(standalone_mode=False, prog_name="menshen"))
    except _UsageError as error:
        error.show()
        _say_failed(Usage(error.format_message()))
        sys.exit(Usage.exit_code)
    except (HostError, MenshenError) as error:
        _fail(error if isinstance(error, HostError) else from_code(error.code, str(error)))
    except (KeyboardInterrupt, typer.Abort):
        talk("Interrupted. Run the same command again to finish.")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if os.environ.get("MENSHEN_DEBUG"):
            raise
        _fail(HostError(f"Something unexpected: {type(error).__name__}: {error}. MENSHEN_DEBUG=1 shows where."))


def _fail(error: HostError) -> None:
    _say_failed(error)
    talk(f"menshen: {error}")
    sys.exit(error.exit_code)


def _say_failed(error: HostError) -> None:
    if "--json" in sys.argv and not Stdout.documents:
        print(json_.dumps({"error": error.code, "message": str(error), "exit_code": error.exit_code}))
