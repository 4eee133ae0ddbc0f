"""Noto Sans SC with the characters of GB 2312, so that the certificate looks the same on every machine.

Drawn by make_font.py from Debian's fonts-noto-cjk (licence: LICENSE-FONT): the Simplified Chinese face reduced to
GB 2312 and Latin-1, its outlines turned into TrueType's quadratic ones, packed by xz.
"""

from __future__ import annotations

import logging
import lzma
from functools import cache
from importlib import resources
from io import BytesIO

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

_FILE = "NotoSansSC-GB2312.ttf.xz"


@cache
def truetype() -> bytes:
    return lzma.decompress(resources.files("host_tools.certificate").joinpath(_FILE).read_bytes())


def webfont(text: str) -> bytes:
    """A WOFF file with just the characters of `text`."""
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    font = TTFont(BytesIO(truetype()))
    subsetter = Subsetter(Options(hinting=False, layout_features=[]))
    subsetter.populate(text=text)
    subsetter.subset(font)
    font.flavor = "woff"
    out = BytesIO()
    font.save(out)
    return out.getvalue()
