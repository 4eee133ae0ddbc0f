"""`menshen flash`: firmware onto a board over USB."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from host_tools.cli.common import DryRun, Json, Yes, confirm, result, talk, waiting
from host_tools.cli.image import Board, Provision, Stock, UpdateKey, cautions, trusted


def flash(
    board: Board,
    port: Annotated[str, typer.Option("--port", help="The board's serial port.")],
    micropython: Stock,
    provision: Provision = None,
    update_key: UpdateKey = None,
    erase_vault: Annotated[
        bool, typer.Option("--erase-vault", help="Also erase keys, residents, faces and log: a new panel.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Write firmware onto a board over USB.

    Residents of a panel in use stay, unless --erase-vault is given; then no receipt is made, so decommission it first.

    Changes: the board's flash, which is read back.
    JSON: {board, port, micropython, written{}, vault}
    Exit codes: 2, 3, 21
    See also: menshen image build, menshen panel provision, menshen panel selftest

    Examples:
      $ menshen flash --board freenove_esp32s3_wroom_cam --port /dev/ttyACM0 --micropython MICROPYTHON.bin --dry-run
    """
    from host_tools import flash as library
    from host_tools.image.build import build

    with waiting("Compiling the firmware"):
        image = build(board, micropython, provision, trusted(update_key))
    cautions(image)
    if dry_run:
        parts = ", ".join(f"{name} {len(content) // 1024} KB" for name, _, content in image.parts)
        vault = "The vault is erased: keys, residents, faces and log." if erase_vault else "The vault is kept."
        confirm(f"This writes {parts} to the {image.board.title} on {port}. {vault}", port, yes, dry_run, json)
    with _progress() as progress:
        done = library.flash(
            image,
            port,
            confirm=lambda what, word: confirm(what, word, yes),
            erase_vault=erase_vault,
            progress=progress,
        )
    sentence = f"The board on {port} is flashed and verified; its vault was {done['vault']}. "
    sentence += "It is starting." if done["vault"] == "kept" else f"Next: menshen panel provision --port {port}."
    result(json, done, sentence)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, a line a part elsewhere. It appears with the first part: a question may come before."""
    shown = Progress(console=Console(stderr=True), transient=True, auto_refresh=False)
    started = False

    def step(what: str, done: int, total: int) -> None:
        nonlocal started
        if not sys.stderr.isatty():
            if what:
                talk(f"Writing {what}")
            return
        if not started:
            shown.start()
            started = True
        if what:
            for task in shown.task_ids:
                shown.remove_task(task)
            shown.add_task(what, total=None)
        else:
            shown.update(shown.task_ids[-1], completed=done, total=total)
        shown.refresh()

    try:
        yield step
    finally:
        if started:
            shown.stop()
