"""Draws the panel's fonts from Noto Sans CJK: the printable ASCII and just the Chinese glyphs that the
screens use.

    python -m host_tools.make_fonts DIRECTORY_WITH_NotoSansCJK_FONTS [TEXT_FILE ...]

Debian has them in the package fonts-noto-cjk. The glyphs of further text files (notices) are added to the
small font. The file format is described in firmware/ui/fonts/text.py, the licence in
firmware/ui/fonts/LICENSE.
"""

# ruff: noqa: RUF001 - Chinese punctuation and typographic signs are meant

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from firmware.ui import labels
from host_tools import notices

FONTS = Path(__file__).resolve().parent.parent / "firmware" / "ui" / "fonts"
SIMPLIFIED_CHINESE = 2  # the face's index in the collection
ASCII = "".join(map(chr, range(32, 127)))
EXTRA = "·—–…“”‘’°×、，。：；！？（）《》"


def used_glyphs() -> str:
    texts = list(labels.CHINESE.values())
    for what, step in labels.DENIALS.values():
        texts += [what[1], step[1]]
    return "".join(texts)


def notice_glyphs() -> str:
    """What the shipped notices show on the panel."""
    shown = (notices.load(name) for name in notices.names())
    return "".join(notice.title + notice.screen for notice in shown).replace("\n", "")


def glyph(font: ImageFont.FreeTypeFont, character: str, top: int, height: int) -> tuple[int, bytes]:
    """(width, rows of four-level ink) of one character in a line of `height`, `top` above the em box's top."""
    width = max(1, round(font.getlength(character)))
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).text((0, -top), character, fill=255, font=font)
    ink = np.zeros((height, (width + 3) // 4 * 4), np.uint8)
    ink[:, :width] = (np.asarray(image).astype(int) * 3 + 127) // 255
    packed = ink[:, 0::4] | ink[:, 1::4] << 2 | ink[:, 2::4] << 4 | ink[:, 3::4] << 6
    return width, packed.astype(np.uint8).tobytes()


def font_bytes(path: Path, size: int, characters: str) -> bytes:
    """A .fnt file with `characters` at `size` pixels an em."""
    font = ImageFont.truetype(str(path), size, index=SIMPLIFIED_CHINESE)
    unique = sorted(set(characters))
    boxes = [font.getbbox(character) for character in unique if character.strip()]
    top, height = int(min(box[1] for box in boxes)), int(max(box[3] for box in boxes))
    height -= top
    head, bitmaps = bytearray(), bytearray()
    start = 8 + 8 * len(unique)
    for character in unique:
        width, bitmap = glyph(font, character, top, height)
        head += ord(character).to_bytes(2, "little") + bytes((width, 0))
        head += (start + len(bitmaps)).to_bytes(4, "little")
        bitmaps += bitmap
    return b"MFN1" + bytes((height, 0)) + len(unique).to_bytes(2, "little") + bytes(head + bitmaps)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    source = Path(arguments[0])
    regular, bold = source / "NotoSansCJK-Regular.ttc", source / "NotoSansCJK-Bold.ttc"
    chinese = used_glyphs()
    for name, path, size, characters in (
        ("small", regular, 17, ASCII + EXTRA + chinese + notice_glyphs()),
        ("large", bold, 26, ASCII + chinese),
        ("digits", bold, 44, "0123456789 "),
    ):
        data = font_bytes(path, size, characters)
        (FONTS / f"{name}.fnt").write_bytes(data)
        print(f"{name}.fnt: {len(set(characters))} glyphs, {len(data)} bytes", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
