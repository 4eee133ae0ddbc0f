"""The demo's page: one self-contained HTML file with what each step did and what every attempt looked like."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


@dataclass
class Attempt:
    """One try at the door, or a look at the screen alone where `opened` is None.

    `frame` is 240x320 uint8 grey, `screen` 320x240x3 uint8; `box` is x, y, w, h and `points` five (x, y), both in
    frame pixels.
    """

    caption: str
    opened: bool | None
    screen: np.ndarray
    frame: np.ndarray | None = None
    box: tuple[int, int, int, int] | None = None
    points: list[tuple[float, float]] = field(default_factory=list)
    times_ms: dict[str, int] = field(default_factory=dict)

    @property
    def entered(self) -> bool:
        return self.opened is True

    @property
    def outcome(self) -> str:
        if self.opened is None:
            return ""
        return "The door opened." if self.opened else "The door stayed shut."


@dataclass
class Step:
    """One step of the story: `checks` are (what must hold, whether it held)."""

    name: str
    title: str
    checks: list[tuple[str, bool]] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    milliseconds: int = 0
    error: str = ""

    @property
    def ok(self) -> bool:
        return not self.error and bool(self.checks) and all(held for _, held in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "milliseconds": self.milliseconds}


_SQUARE = 16

_STYLE = """
:root{--ink:#1c1b19;--soft:#6a655c;--line:#ded8cc;--paper:#fbf9f4;--card:#fff;--good:#1f6f43;--bad:#a3271f}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI","Noto Sans","Noto Sans CJK SC",sans-serif}
main{max-width:960px;margin:0 auto;padding:40px 20px 64px}h1{font-size:30px;margin:0 0 4px}
h2{font-size:19px;margin:0}p{margin:6px 0}.soft{color:var(--soft)}
.verdict{display:inline-block;margin:14px 0 24px;padding:8px 14px;border-radius:8px;color:#fff;font-weight:600}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:18px 20px;margin:0 0 16px}
section>header{display:flex;gap:12px;align-items:baseline;justify-content:space-between}
ul{list-style:none;margin:10px 0 0;padding:0}li{padding-left:26px;position:relative}
li:before{position:absolute;left:2px;font-weight:700}li.ok:before{content:"\\2713";color:var(--good)}
li.no:before{content:"\\2717";color:var(--bad)}
.attempts{display:flex;flex-wrap:wrap;gap:18px;margin-top:16px}
figure{margin:0;flex:0 1 auto;border-top:3px solid var(--good);padding-top:8px}
figure.shut{border-color:var(--bad)}figure>div{display:flex;gap:8px;align-items:flex-start}
figure svg,figure img{border-radius:6px;display:block}figcaption{font-size:14px;max-width:420px;margin-top:6px}
table{border-collapse:collapse;font-size:14px;margin-top:8px}td{padding:3px 18px 3px 0;border-top:1px solid var(--line)}
code{font-size:14px}
"""


def _png_uri(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _frame_svg(attempt: Attempt, blur: bool) -> str:
    if attempt.frame is None:
        return ""
    height, width = attempt.frame.shape
    frame = _coarse(attempt.frame) if blur else attempt.frame
    marks = ""
    if attempt.box:
        x, y, w, h = attempt.box
        marks += f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="none" stroke="#f2b134" stroke-width="2"/>'
    marks += "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="#f2b134"/>' for x, y in attempt.points)
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="what the camera saw"><image href="{_png_uri(frame)}" width="{width}" '
        f'height="{height}"/>{marks}</svg>'
    )


def _coarse(frame: np.ndarray) -> np.ndarray:
    """Squares of 16 pixels, each its mean: where a face was can be seen, whose it was cannot."""
    small = frame.reshape(frame.shape[0] // _SQUARE, _SQUARE, frame.shape[1] // _SQUARE, _SQUARE).mean((1, 3))
    return small.astype(np.uint8).repeat(_SQUARE, 0).repeat(_SQUARE, 1)


def _attempt_html(attempt: Attempt, blur: bool) -> str:
    height, width = attempt.screen.shape[:2]
    screen = (
        f'<img src="{_png_uri(attempt.screen)}" width="{width * 240 // height}" height="240" alt="the panel\'s screen">'
    )
    times = ", ".join(f"{html.escape(stage)} {ms} ms" for stage, ms in attempt.times_ms.items())
    kind = "shut" if attempt.opened is False else "open"
    return (
        f'<figure class="{kind}"><div>{_frame_svg(attempt, blur)}{screen}</div>'
        f"<figcaption><b>{attempt.outcome}</b> {html.escape(attempt.caption)}"
        f"{f'<br><span class=soft>{times}</span>' if times else ''}</figcaption></figure>"
    )


def _step_html(number: int, step: Step, blur: bool) -> str:
    checks = "".join(f'<li class="{"ok" if held else "no"}">{html.escape(what)}</li>' for what, held in step.checks)
    if step.error:
        checks += f'<li class="no">{html.escape(step.error)}</li>'
    attempts = "".join(_attempt_html(attempt, blur) for attempt in step.attempts)
    return (
        f"<section><header><h2>{number}. {html.escape(step.title)}</h2>"
        f'<span class="soft">{step.milliseconds} ms</span></header><ul>{checks}</ul>'
        f'<div class="attempts">{attempts}</div></section>'
    )


def write(path: Path, steps: list[Step], facts: dict[str, str], blur: bool = False) -> None:
    """Writes the page to `path`; `facts` are the measured figures at its foot, name to value."""
    passed = all(step.ok for step in steps)
    rows = "".join(f"<tr><td>{html.escape(k)}</td><td>{html.escape(v)}</td></tr>" for k, v in facts.items())
    body = "".join(_step_html(i, step, blur) for i, step in enumerate(steps, 1))
    verdict = "Every step came out as it must." if passed else "Something did not come out as it must."
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>Menshen: the door opens</title><style>{_STYLE}</style><main>'
        "<h1>Menshen: the door opens</h1>"
        '<p class="soft">One panel, end to end: the firmware in a real MicroPython process, real int8 networks, '
        "real photographs through a camera model, a vault on flash, and a deletion that can be checked.</p>"
        f'<div class="verdict" style="background:var(--{"good" if passed else "bad"})">{verdict}</div>'
        f"{body}<section><h2>Measured in this run</h2><table>{rows}</table></section></main></html>\n",
        encoding="utf-8",
    )
