"""Text with soft edges on a GS4_HMSB frame buffer, from .fnt files.

A .fnt file, all little endian: magic "MFN1", line height u8, zero u8, glyph count u16; per glyph, by rising
code point, that u16, the width u8, zero u8 and the offset u32 of its bitmap in the file; then the bitmaps, line height
rows of ink in thirds, four pixels a byte, the leftmost in the lowest bits (framebuf.GS2_HMSB).
"""

# ruff: noqa: RUF001 - Chinese punctuation and typographic signs are meant

import os

import framebuf

from firmware.base.compat import const
from firmware.ui.palette import blend

_HEAD_BYTES = const(8)
_ENTRY_BYTES = const(8)
_FIRST = const(32)
_NEVER_FIRST = "，。、！？：；）"  # Chinese punctuation that must not begin a line
_CHINESE_FROM = const(0x2E80)


class Font:
    """One size. Characters without a glyph show as an empty box, never as nothing."""

    def __init__(self, path: str):
        data = bytearray(os.stat(path)[6])
        with open(path, "rb") as file:
            file.readinto(data)
        if data[:4] != b"MFN1":
            raise ValueError("not a font: " + path)
        self.height = data[4]
        self._data = memoryview(data)
        self._count = data[6] | data[7] << 8
        self._inks = {}

    def has(self, character: str) -> bool:
        return self._find(character) > 0

    def width(self, text: str) -> int:
        return sum([self._width(self._find(character)) for character in text])

    def _width(self, at: int) -> int:
        return self._data[at + 2] if at else self.height // 2

    def _find(self, character: str) -> int:
        """Where the file's table names the glyph, 0 where it does not: a table of objects would be as large as the
        bitmaps."""
        data, code = self._data, ord(character)
        low, high = 0, self._count
        middle = code - _FIRST  # where the printable ASCII leads the table
        while low < high:
            if not low <= middle < high:
                middle = (low + high) // 2
            at = _HEAD_BYTES + _ENTRY_BYTES * middle
            found = data[at] | data[at + 1] << 8
            if found == code:
                return at
            if found < code:
                low = middle + 1
            else:
                high = middle
            middle = -1
        return 0

    def draw(self, fb, text: str, x: int, y: int, ink: int, paper: int) -> int:
        """Draws `text` with its top left corner at x, y, on a background of `paper`; returns the x after
        it.
        """
        palette = self._palette(ink, paper)
        for character in text:
            at = self._find(character)
            width = self._width(at)
            if at:
                offset = self._data[at + 4] | self._data[at + 5] << 8 | self._data[at + 6] << 16
                size = (width + 3) // 4 * self.height
                bitmap = self._data[offset : offset + size]
                fb.blit(framebuf.FrameBuffer(bitmap, width, self.height, framebuf.GS2_HMSB), x, y, -1, palette)
            else:
                fb.rect(x + 1, y + 3, width - 2, self.height - 6, ink)
            x += width
        return x

    def _palette(self, ink: int, paper: int):
        """Four pixels: the colours of no ink, a third, two thirds and all of it."""
        if (ink, paper) not in self._inks:
            palette = framebuf.FrameBuffer(bytearray(2), 4, 1, framebuf.GS4_HMSB)
            for thirds in range(4):
                palette.pixel(thirds, 0, blend(paper, ink, thirds))
            self._inks[(ink, paper)] = palette
        return self._inks[(ink, paper)]


def centred(fb, font: Font, text: str, x: int, y: int, width: int, ink: int, paper: int) -> None:
    font.draw(fb, text, x + max(0, (width - font.width(text)) // 2), y, ink, paper)


def _pieces(text: str) -> list:
    """What a line may be broken between: words, and single Chinese characters with their punctuation."""
    pieces = []
    word = ""
    for character in text:
        chinese = ord(character) >= _CHINESE_FROM
        if chinese and pieces and not word and character in _NEVER_FIRST:
            pieces[-1] += character
            continue
        if chinese and word:
            pieces.append(word)
            word = ""
        word += character
        if chinese or character == " ":
            pieces.append(word)
            word = ""
    return pieces + [word] if word else pieces


def wrapped(font: Font, text: str, width: int) -> list:
    """The lines of `text` in a column of `width` pixels; a word too long for it is broken."""
    lines = []
    line = ""
    for piece in _pieces(text):
        if line and font.width((line + piece).rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        while font.width(piece.rstrip()) > width and len(piece) > 1:
            fits = len(piece) - 1
            while fits > 1 and font.width(piece[:fits]) > width:
                fits -= 1
            lines.append(piece[:fits])
            piece = piece[fits:]
        line += piece
    return lines + [line.rstrip()] if line.strip() else lines


def balanced(font: Font, text: str, width: int) -> list:
    """`wrapped` into as many lines, of about equal length: no word is left alone on the last one."""
    lines = wrapped(font, text, width)
    narrower = lines
    while len(lines) > 1 and len(narrower) == len(lines):
        lines, width = narrower, width - 8
        narrower = wrapped(font, text, width)
    return lines
