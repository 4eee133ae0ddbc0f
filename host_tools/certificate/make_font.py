"""Draws the certificate's font from Noto Sans CJK: Simplified Chinese, GB 2312 and Latin-1, TrueType outlines.

    python -m host_tools.certificate.make_font NotoSansCJK-Regular.ttc

Debian has it in the package fonts-noto-cjk. ReportLab sets TrueType outlines only, so the curves are converted to
quadratic ones, at most 2 units of 1,000 from the originals.
"""

# ruff: noqa: RUF001 - typographic signs are meant

from __future__ import annotations

import lzma
import sys
from io import BytesIO
from pathlib import Path

from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection, TTFont, newTable

OUT = Path(__file__).with_name("NotoSansSC-GB2312.ttf.xz")
_SIMPLIFIED_CHINESE = 2  # the face's index in the collection
_MOST_ERROR = 2.0
_UNUSED = ["vhea", "vmtx", "VORG", "BASE", "GPOS", "GSUB", "GDEF"]


def characters() -> set[int]:
    found = {*range(32, 127), *range(0xA0, 0x100), *map(ord, "–—‘’“”…→✓")}
    for high in range(0xA1, 0xF8):
        for low in range(0xA1, 0xFF):
            found.update(map(ord, bytes([high, low]).decode("gb2312", "ignore")))
    return found


def truetype(font: TTFont) -> None:
    """Replaces the PostScript outlines in place."""
    order, drawn = font.getGlyphOrder(), font.getGlyphSet()
    glyphs = {}
    for name in order:
        pen = TTGlyphPen(None)
        drawn[name].draw(Cu2QuPen(pen, _MOST_ERROR, reverse_direction=True))
        glyphs[name] = pen.glyph()
    font["loca"], font["glyf"] = newTable("loca"), newTable("glyf")
    font["glyf"].glyphOrder, font["glyf"].glyphs = order, glyphs
    del font["CFF "]
    font["glyf"].compile(font)
    most = font["maxp"]
    most.tableVersion, most.maxZones = 0x00010000, 1
    for name in ("TwilightPoints", "Storage", "FunctionDefs", "InstructionDefs", "StackElements", "SizeOfInstructions"):
        setattr(most, f"max{name}", 0)
    most.maxComponentElements = 0
    most.compile(font)
    font["post"].formatType = 3.0
    font.sfntVersion = "\0\1\0\0"


def main(collection: str) -> None:
    font = TTCollection(collection).fonts[_SIMPLIFIED_CHINESE]
    options = Options(layout_features=[], hinting=False, notdef_outline=True, desubroutinize=True)
    options.drop_tables += _UNUSED
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=characters())
    subsetter.subset(font)
    truetype(font)
    out = BytesIO()
    font.save(out)
    OUT.write_bytes(lzma.compress(out.getvalue(), preset=9))


if __name__ == "__main__":
    main(sys.argv[1])
