"""The certificate as one HTML page with everything in it."""

from __future__ import annotations

import base64
from html import escape

import segno

from host_tools.certificate.font import webfont
from host_tools.certificate.text import Block, Both, Code, Facts, Heading, Paragraph

_STYLE = """
body { font: 15px/1.6 menshen, "Noto Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif;
  max-width: 52em; margin: 2em auto; padding: 0 1em; color: #1a1a1a; background: #fff }
h1 { border-bottom: 3px solid #b3261e } h2 { margin-top: 2em; border-bottom: 1px solid #bbb } h3 { margin-top: 1.6em }
.en { display: block; font-size: .92em; color: #555; font-weight: normal }
.good, .bad { padding: .7em 1em; border-left: 5px solid #2e7d32; background: #eef6ee }
.bad { border-color: #b3261e; background: #fbeceb; font-weight: bold } .bad .en { color: inherit }
table { border-collapse: collapse; width: 100% }
th { text-align: left; vertical-align: top; width: 13em; font-weight: normal; padding: .3em .8em .3em 0 }
td { vertical-align: top; padding: .3em 0; overflow-wrap: anywhere } tr { border-bottom: 1px solid #e4e4e4 }
code { font: 13px/1.5 ui-monospace, Consolas, monospace } figure { margin: 1em 0; break-inside: avoid }
figure svg { width: 17em; height: 17em } details code { overflow-wrap: anywhere }
@media print { body { margin: 0; max-width: none } details { display: none } }
"""


def html(blocks: list[Block]) -> str:
    title = next(block.text for block in blocks if isinstance(block, Heading))
    body = "\n".join(_block(block) for block in blocks)
    font = base64.b64encode(webfont(title.zh + title.en + body)).decode()
    face = f"@font-face {{ font-family: menshen; src: url(data:font/woff;base64,{font}) }}"
    return (
        f'<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8"><title>{escape(title.zh)} '
        f"{escape(title.en)}</title>\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{face}{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{_both(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        return f'<p class="{block.kind}">{_both(block.text)}</p>'
    if isinstance(block, Facts):
        return f"<table>{''.join(_row(row.label, row.value, row.code) for row in block.rows)}</table>"
    return _code(block)


def _row(label: Both, value: str, code: bool) -> str:
    text = f"<code>{escape(value)}</code>" if code else escape(value)
    return f"<tr><th>{_both(label)}</th><td>{text}</td></tr>\n"


def _code(code: Code) -> str:
    picture = segno.make(code.text, micro=False, error="m").svg_inline(border=2, omitsize=True, light="#fff")
    href = f"data:application/octet-stream;base64,{code.text}"
    return (
        f"<figure>{picture}<figcaption>{_both(code.caption)}"
        f'<a download="{escape(code.name)}" href="{href}">{escape(code.name)}</a></figcaption>'
        f"<details><summary>Base64</summary><code>{code.text}</code></details></figure>"
    )


def _both(text: Both) -> str:
    return f'{escape(text.zh)}<span class="en" lang="en">{escape(text.en)}</span>'
