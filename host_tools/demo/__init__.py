"""`menshen demo`: the main job end to end on one virtual panel, told on the terminal and as one HTML page."""

from __future__ import annotations

import json as json_
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from host_tools.demo import report
from host_tools.demo.people import cast
from host_tools.demo.report import Step
from host_tools.image import packs, source_root
from host_tools.sim.control import Sim
from host_tools.site import Site


def run(photos: Path | None, page: Path, *, json: bool = False, blur: bool = False) -> int:
    """Runs the story; 0 when each step came out as it must, else 1. `json`: the last line is one JSON object.
    `blur`: what the camera saw is unrecognisable on the page.

    The panel and the registry live in a temporary folder, which goes when it ends.
    """
    console = Console(highlight=False)
    people = cast(photos)
    started = time.monotonic()
    # The models' runtime takes a second to load; nothing else waits for it.
    from host_tools.demo.story import Story

    steps: list[Step] = []
    powered = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="menshen-demo-") as folder,
        Sim.start(Path(folder) / "panel") as sim,
        Site.open(Path(folder) / "site.db") as site,
    ):
        sim.wait_console("app: ready")
        ready_ms = round(1000 * (time.monotonic() - powered))
        story = Story(sim, site, people, Path(folder))
        for step in story.run(lambda step: console.print(f"[bold]{step.title}[/bold]")):
            steps.append(step)
            _tell(console, step)
        peak = story.peak_heap_bytes() if steps[0].ok else 0
    ok = all(step.ok for step in steps) and not steps[-1].error
    models = _models()
    report.write(page, steps, _facts(ready_ms, peak, models, time.monotonic() - started), blur)
    console.print(f"\n{'[green]Every step came out as it must.' if ok else '[red]A step failed.'}[/] Page: {page}")
    if json:
        summary = {
            "ok": ok,
            "steps": [step.as_json() for step in steps],
            "ready_milliseconds": ready_ms,
            "peak_heap_bytes": peak,
            "models": models,
            "page": str(page),
        }
        print(json_.dumps(summary))
    return 0 if ok else 1


def _tell(console: Console, step: Step) -> None:
    for what, held in step.checks:
        console.print(f"  {'[green]✓[/green]' if held else '[red]✗[/red]'} {what}")
    for attempt in step.attempts:
        times = f" ({attempt.times_ms['altogether']} ms)" if "altogether" in attempt.times_ms else ""
        console.print(f"    [dim]{attempt.caption} {attempt.outcome}{times}[/dim]", soft_wrap=True)
    if step.error:
        console.print(f"  [red]✗ {step.error}[/red]")


def _models() -> dict[str, dict[str, int]]:
    """Bytes of each model, as the host reads it and as the panel does."""
    found: dict[str, dict[str, int]] = {}
    for pack in packs():
        name = pack.stem
        tflite = source_root() / "models" / name / f"{name}.tflite"
        found[name] = {"tflite_bytes": tflite.stat().st_size, "pack_bytes": pack.stat().st_size}
    return found


def _facts(ready_ms: int, peak: int, models: dict[str, Any], seconds: float) -> dict[str, str]:
    facts = {
        "the panel, from power to ready": f"{ready_ms} ms",
        "the panel's heap at its peak": f"{peak:,} bytes",
        "the whole story": f"{seconds:.1f} s",
    }
    for name, sizes in models.items():
        facts[f"the {name}'s pack"] = f"{sizes['pack_bytes']:,} bytes"
    return facts
