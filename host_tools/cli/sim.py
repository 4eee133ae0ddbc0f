"""`menshen sim`: a virtual panel, left running for other commands, and the people and things around it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import platformdirs
import typer
from PIL import Image

from host_tools.cli.common import Json, result, waiting
from host_tools.cli.help import Menu
from host_tools.errors import DoorDenied, Usage
from host_tools.sim.control import TTY_FILE, Sim

_RELEASE_S = 30.0  # the longest that a site may have the lock released

app = Menu("Start and handle a virtual panel.")

State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        envvar="MENSHEN_SIM",
        help="The folder with the virtual panel's flash, clock and files.",
        show_default="the user's state folder",
    ),
]
Opens = Annotated[
    float,
    typer.Option("--opens", help="Wait so many seconds for the door to open; exit code 13 when it stays shut."),
]


@app.command()
def start(
    blocks: Annotated[int, typer.Option(help="Size of its vault's flash in 4 KB blocks.", min=20, max=1048)] = 1048,
    fed: Annotated[bool, typer.Option("--fed", help="Without camera: menshen panel feed gives it pictures.")] = False,
    state: State = None,
    json: Json = False,
) -> None:
    """Switch a virtual panel on and leave it running. Its ports are printed.

    Changes: a process on this computer, and a folder with the panel's flash.
    JSON: {simulator, port, device}
    Exit codes: 2
    See also: menshen sim stop, menshen panel provision

    Examples:
      $ menshen sim start
      $ menshen sim start --state second-panel --blocks 64
    """
    with waiting("Starting the virtual panel"):
        sim = Sim.start(_folder(state), blocks=blocks, fed=fed, detach=True, tty=True)
    ports = {"simulator": str(sim.state), "port": sim.port, "device": str(sim.state / TTY_FILE)}
    sim.close()
    sentence = f"The virtual panel runs on {ports['port']} and {ports['device']} (the device stays the same)."
    result(json, ports, sentence)


@app.command()
def stop(state: State = None, json: Json = False) -> None:
    """Switch the virtual panel off. What it stored stays.

    Changes: the panel's process ends, as at a power cut.
    JSON: {simulator}
    Exit codes: 3
    See also: menshen sim start

    Examples:
      $ menshen sim stop --state second-panel
    """
    sim = Sim.attach(_folder(state))
    sim.stop()
    result(json, {"simulator": str(sim.state)}, "The virtual panel is off; what it stored stays.")


@app.command()
def status(state: State = None, json: Json = False) -> None:
    """Show what the virtual panel's hardware is doing.

    Changes: nothing.
    JSON: {pid, panel_pid, port, uptime_s, released, passable, light, clock, clock_source, card, door_closed,
          exit_pressed, case_open, fire_alarm, battery_low}
    Exit codes: 3
    See also: menshen panel status

    Examples:
      $ menshen sim status
    """
    with _attached(state) as sim:
        data = {**sim.status(), "port": sim.port}
    result(json, data, "\n".join(f"{name}: {value}" for name, value in data.items()))


@app.command()
def face(
    photo: Annotated[Path | None, typer.Argument(help="A picture of who stands there; none: nobody.")] = None,
    height: Annotated[float, typer.Option(help="The picture's height on the sensor, in pixels.")] = 240.0,
    rotation: Annotated[float, typer.Option(help="Degrees counter-clockwise.")] = 0.0,
    gain: Annotated[float, typer.Option(help="Exposure; 1 leaves the picture's.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the sensor's noise.")] = 0,
    opens: Opens = 0,
    state: State = None,
    json: Json = False,
) -> None:
    """Put a picture before the camera, or take it away.

    Changes: what the virtual panel's camera sees from now on.
    JSON: {opened:flag}
    Exit codes: 3, 8, 13
    See also: menshen sim keys, menshen sim card

    Examples:
      $ menshen sim face ann.jpg
      $ menshen sim face ann.jpg --height 300 --gain 0.8
      $ menshen sim face
    """
    view = {"height": height, "rotation": rotation, "gain": gain, "seed": seed}
    act: Callable[[Sim], Any] = lambda sim: sim.show(photo, **(view if photo else {}))  # noqa: E731
    _do(state, json, opens, act, f"{photo or 'Nobody'} is before the camera.")


@app.command()
def keys(
    pressed: Annotated[str, typer.Argument(help='Such as "301#": flat number, then # for yes; * is no.')],
    opens: Opens = 0,
    state: State = None,
    json: Json = False,
) -> None:
    """Press keys on the keypad.

    Changes: what the people at the virtual panel have typed.
    JSON: {opened:flag}
    Exit codes: 2, 3, 13
    See also: menshen credential pin

    Examples:
      $ menshen sim keys '301#'
      $ menshen sim keys '*'
    """
    _do(state, json, opens, lambda sim: sim.press(pressed), "The keys were pressed.")


@app.command()
def card(
    file: Annotated[Path | None, typer.Argument(help="The card's file; none: take it away.")] = None,
    seconds: Annotated[float, typer.Option(help="How long it is held to the reader.")] = 2.0,
    opens: Opens = 0,
    state: State = None,
    json: Json = False,
) -> None:
    """Hold a card to the reader, or take it away.

    Changes: the card before the virtual panel's reader.
    JSON: {opened:flag}
    Exit codes: 2, 3, 13
    See also: menshen credential card

    Examples:
      $ menshen sim card ann.card.json --opens 10
      $ menshen sim card
    """
    if file and not file.is_file():
        raise Usage(f"There is no card {file}. Make one: menshen credential card RESIDENT {file}.")
    done = f"{file} is at the reader." if file else "No card is at the reader."
    _do(state, json, opens, lambda sim: sim.tap(file, seconds if file else None), done)


@app.command()
def screen(
    png: Annotated[Path, typer.Argument(help="Where to save the picture.")],
    state: State = None,
    json: Json = False,
) -> None:
    """Save what the panel's screen shows as a picture.

    Changes: the file PNG.
    JSON: {file, size[]}
    Exit codes: 2, 3

    Examples:
      $ menshen sim screen screen.png
    """
    with _attached(state) as sim:
        picture = Image.fromarray(sim.screen())
    try:
        picture.save(png)
    except (OSError, ValueError) as error:
        raise Usage(f"The picture cannot be saved as {png}: {error}.") from error
    result(json, {"file": str(png), "size": list(picture.size)}, f"Saved as {png}.")


def _do(state: Path | None, json: bool, opens: float, act: Callable[[Sim], Any], done: str) -> None:
    with _attached(state) as sim:
        if opens:  # what another action opened must have shut, or this one could not be told from it
            sim.wait_shut(timeout=_RELEASE_S)
        since = time.time()
        act(sim)
        opened = sim.wait_lock(True, since=since, timeout=opens) if opens else None
    if opened is False:
        raise DoorDenied(f"{done} The door stayed shut for {opens:g} seconds. See: menshen log.")
    result(json, {"opened": opened}, f"{done} The door opened." if opened else done)


@contextmanager
def _attached(state: Path | None) -> Iterator[Sim]:
    sim = Sim.attach(_folder(state))
    try:
        yield sim
    finally:
        sim.close()


def _folder(state: Path | None) -> Path:
    return state or Path(os.fspath(platformdirs.user_state_path("menshen", appauthor=False))) / "sim"
