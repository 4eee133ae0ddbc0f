"""The certificate as a PDF. The font is in it: Noto Sans SC with the characters of GB 2312, so that it prints
anywhere; a rarer character is written as its Unicode number."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from xml.sax.saxutils import escape

import segno
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Image, KeepTogether, SimpleDocTemplate, Spacer, Table, TableStyle
from reportlab.platypus import Paragraph as Text

from host_tools.certificate.font import truetype
from host_tools.certificate.text import Block, Both, Code, Facts, Heading, Paragraph

_FONT = "NotoSansSC"
_GREY, _RED, _GREEN = HexColor("#555555"), HexColor("#b3261e"), HexColor("#2e7d32")
_SIZES = {1: 17.0, 2: 13.0, 3: 11.0, 4: 10.0}
_LABEL_MM, _VALUE_MM, _CODE_MM = 48, 122, 52


def pdf(blocks: list[Block]) -> bytes:
    font = _font()
    out = BytesIO()
    title = next(block.text for block in blocks if isinstance(block, Heading))
    template = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=18 * mm,
        bottomMargin=18 * mm,
        title=f"{title.zh} {title.en}",
        author="menshen",
        lang="zh-CN",
    )
    flow = [part for block in blocks for part in _block(block, font)]
    template.build(flow, onFirstPage=_foot, onLaterPages=_foot)
    return out.getvalue()


def _block(block: Block, font: TTFont) -> list[Flowable]:
    if isinstance(block, Heading):
        size = _SIZES[block.level]
        style = _style(size, spaceBefore=size * 0.8, spaceAfter=3, keepWithNext=1)
        return [Text(_both(block.text, font, size), style)]
    if isinstance(block, Paragraph):
        colour = {"good": _GREEN, "bad": _RED}.get(block.kind)
        frame = {"borderColor": colour, "borderWidth": 1, "borderPadding": 5} if colour else {}
        around = 9 if colour else 3
        style = _style(9.5, spaceBefore=around, spaceAfter=around, **frame)
        return [Text(_both(block.text, font, 9.5, block.kind == "bad"), style)]
    if isinstance(block, Facts):
        return [_table(block, font)]
    return [_code(block, font)]


def _table(facts: Facts, font: TTFont) -> Flowable:
    small = _style(8.5)
    rows = [
        [Text(_both(row.label, font, 8.5), small), Text(_escaped(row.value, font), _style(8 if row.code else 8.5))]
        for row in facts.rows
    ]
    lines = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, HexColor("#dddddd")),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ]
    return Table(rows, colWidths=[_LABEL_MM * mm, _VALUE_MM * mm], style=TableStyle(lines), hAlign="LEFT")


def _code(code: Code, font: TTFont) -> Flowable:
    png = BytesIO()
    segno.make(code.text, micro=False, error="m").save(png, kind="png", scale=6, border=4)
    png.seek(0)
    side = _CODE_MM * mm
    caption = Text(_both(code.caption, font, 8.5), _style(8.5))
    return KeepTogether([Spacer(1, 4), Image(png, side, side, hAlign="LEFT"), caption, Spacer(1, 6)])


def _foot(canvas: object, template: SimpleDocTemplate) -> None:
    canvas.setFont(_FONT, 8)  # type: ignore[attr-defined]
    canvas.drawCentredString(A4[0] / 2, 10 * mm, str(template.page))  # type: ignore[attr-defined]


def _both(text: Both, font: TTFont, size: float, loud: bool = False) -> str:
    colour = _RED if loud else _GREY
    english = f'<font size="{size * 0.88:.1f}" color="{colour.hexval().replace("0x", "#")}">'
    return f"{_escaped(text.zh, font)}<br/>{english}{_escaped(text.en, font)}</font>"


def _escaped(text: str, font: TTFont) -> str:
    known = font.face.charToGlyph
    return escape("".join(c if ord(c) in known else f"[U+{ord(c):04X}]" for c in text))


def _style(size: float, **more: object) -> ParagraphStyle:
    return ParagraphStyle(f"size {size}", fontName=_FONT, fontSize=size, leading=size * 1.45, wordWrap="CJK", **more)


@cache
def _font() -> TTFont:
    """Unpacked once a process; only the glyphs that are used go into the PDF."""
    font = TTFont(_FONT, BytesIO(truetype()))
    pdfmetrics.registerFont(font)
    return font
