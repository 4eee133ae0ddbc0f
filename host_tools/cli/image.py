"""`menshen image`: flash images for factory programming."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools.cli.common import Json, listing, result, talk, waiting
from host_tools.cli.help import Menu
from host_tools.errors import Usage

if TYPE_CHECKING:
    from host_tools.image.build import FlashImage

app = Menu("Build flash images and look into them.")

Board = Annotated[str, typer.Option("--board", help="A folder of boards/, such as xiao_esp32s3_sense.")]
Stock = Annotated[
    Path, typer.Option("--micropython", help="The stock MicroPython .bin, for boards with a sensor with its module.")
]
Provision = Annotated[
    Path | None,
    typer.Option("--provision", help='A JSON file: {"settings": {...}, "network": {"ssid", "password", "ntp"}}.'),
]
UpdateKey = Annotated[
    Path | None, typer.Option("--update-key", help="The public key whose updates the panel takes, FILE.pub.")
]


@app.command()
def build(
    board: Board,
    micropython: Stock,
    out: Annotated[Path, typer.Option("--out", help="Where the image goes.")],
    provision: Provision = None,
    update_key: UpdateKey = None,
    json: Json = False,
) -> None:
    """Write the whole flash of a new panel into a file.

    MicroPython, firmware, models and an erased vault, for programming boards in numbers.

    Changes: the file OUT.
    JSON: {file, bytes, board, micropython, cautions[], parts[name, offset, bytes]}
    Exit codes: 2, 21
    See also: menshen flash, menshen image inspect

    Examples:
      $ menshen image build --board freenove_esp32s3_wroom_cam --micropython MICROPYTHON.bin --out flash.bin
    """
    from host_tools.image import build as library

    with waiting("Compiling the firmware"):
        image = library.build(board, micropython, provision, trusted(update_key))
    cautions(image)
    whole = image.whole()
    _write(out, whole)
    data = {
        "file": str(out),
        "bytes": len(whole),
        "board": board,
        "micropython": image.stock.description(),
        "cautions": image.cautions(),
        "parts": [{"name": name, "offset": at, "bytes": len(content)} for name, at, content in image.parts],
    }
    sentence = (
        f"{out}: {len(whole) // 1024} KB for {image.board.title}, with {data['micropython']}. Write it at offset 0."
    )
    result(json, data, sentence)


def trusted(update_key: Path | None) -> bytes | None:
    from host_tools.image.bundle import read_public

    return read_public(update_key) if update_key else None


def cautions(image: FlashImage) -> None:
    for sentence in image.cautions():
        talk(f"Caution: {sentence}")


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A flash image, or a dump of a panel's flash.")],
    files: Annotated[bool, typer.Option("--files", help="Also list the filesystem's files.")] = False,
    json: Json = False,
) -> None:
    """Show what is inside a flash image, or a dump of a panel's flash.

    Changes: nothing.
    JSON: {file, bytes, chip, flash_mb, problems[], partitions[name, kind, offset, size:bytes, content, used?, why?,
          files:sizes?{}]}
    Exit codes: 21
    See also: menshen image build

    Examples:
      $ menshen image inspect flash.bin
      $ menshen image inspect flash.bin --files
    """
    from host_tools.image.inspect import inspect as library

    found = library(file)
    if json:
        result(True, found, "")
        return
    print(f"{found['chip']}, {found['flash_mb']} MB of flash; the file has {found['bytes']} bytes.")
    for problem in found["problems"]:
        print(f"Problem: {problem}")
    listing(
        False, [_row(partition) for partition in found["partitions"]], ("name", "kind", "offset", "size", "content")
    )
    for name, size in _files(found) if files else ():
        print(f"{size}\t{name}")


def _row(partition: dict[str, Any]) -> dict[str, Any]:
    used = f", {partition['used'] // 1024} KB used" if "used" in partition else ""
    why = f" ({partition['why']})" if "why" in partition else ""
    return {
        **partition,
        "offset": f"{partition['offset']:#x}",
        "size": f"{partition['size'] // 1024} KB",
        "content": partition["content"] + used + why,
    }


def _files(found: dict[str, Any]) -> list[tuple[str, int]]:
    return [item for partition in found["partitions"] for item in partition.get("files", {}).items()]


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Usage(f"{path} cannot be written: {error.strerror}.") from error
