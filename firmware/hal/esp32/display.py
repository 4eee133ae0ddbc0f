"""Screens. All keep the whole 240x320 picture of 16 colours in RAM; each shows of it what its glass can.

St7789   240x320 TFT on SPI: everything. On a landscape panel (320x240) three quarters of the size, upright.
Ssd1306  128x64 OLED on I2C: a reduced status. Half the size, black and white, empty rows left out: the first lines of
         the screen, enough for a digit, a tick or a cross and its word, too little for reading a notice.
NoScreen nothing.
"""

from time import sleep_ms

import framebuf
import micropython

from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.base.log import log

_WIDTH = const(240)
_HEIGHT = const(320)
_ROW = const(120)  # bytes a row: two pixels each, the left one in the high nibble
_ROWS_AT_ONCE = const(8)

# ST7789 commands (datasheet, section 9)
_SWRESET, _SLPOUT, _NORON, _INVOFF, _INVON = const(0x01), const(0x11), const(0x13), const(0x20), const(0x21)
_DISPON, _CASET, _RASET, _RAMWR, _MADCTL, _COLMOD = (
    const(0x29),
    const(0x2A),
    const(0x2B),
    const(0x2C),
    const(0x36),
    const(0x3A),
)
_RGB565 = b"\x55"

_OLED_COMMAND, _OLED_DATA = const(0x00), const(0x40)
# SSD1306 datasheet, section 3: 128x64, charge pump, horizontal addressing.
_OLED_INIT = b"\xae\xd5\x80\xa8\x3f\xd3\x00\x40\x8d\x14\x20\x00\xda\x12\x81\xcf\xd9\xf1\xdb\x40\xa4\xa6"
_OLED_UPRIGHT, _OLED_TURNED, _OLED_ON = b"\xa1\xc8", b"\xa0\xc0", b"\xaf"
_OLED_WINDOW = b"\x21\x00\x7f\x22\x00\x07"


class NoScreen:
    width = _WIDTH
    height = _HEIGHT

    def __init__(self):
        self._buf = bytearray(_ROW * _HEIGHT)
        self.fb = framebuf.FrameBuffer(self._buf, _WIDTH, _HEIGHT, framebuf.GS4_HMSB)

    def show(self) -> None:
        pass


class St7789(NoScreen):
    """Also for the ILI9341 and ILI9342, whose commands are the same. `palette`: 16 times (red, green, blue).

    `cs`, `reset` and `backlight` are Pins or None where the wire is fixed. `madctl` turns and mirrors (datasheet,
    section 9.1.28)."""

    def __init__(self, spi, dc, palette, cs=None, backlight=None, madctl=0, inverted=True, landscape=False):
        super().__init__()
        self._spi, self._dc, self._cs = spi, dc, cs
        self._landscape = landscape
        self._colours = bytearray(32)
        for index, (red, green, blue) in enumerate(palette):
            value = (red >> 3) << 11 | (green >> 2) << 5 | blue >> 3
            self._colours[2 * index], self._colours[2 * index + 1] = value & 0xFF, value >> 8
        width = 180 if landscape else _WIDTH
        self._rows = bytearray(width * 2 * _ROWS_AT_ONCE)
        self._start(madctl, inverted)
        self._clear(320 if landscape else 240, 240 if landscape else 320)
        left = (320 - width) // 2 if landscape else 0
        self._window(left, left + width - 1, 240 if landscape else 320)
        self.show()
        if backlight:
            backlight.value(1)

    def show(self) -> None:
        self._select(0)
        self._command(_RAMWR)
        self._dc.value(1)
        if self._landscape:
            self._show_fitted()
        else:
            self._show_whole()
        self._select(1)

    def _show_whole(self) -> None:
        for row in range(0, _HEIGHT, _ROWS_AT_ONCE):
            _expand(self._buf, self._rows, self._colours, row * _ROW, _ROW * _ROWS_AT_ONCE)
            self._spi.write(self._rows)

    def _show_fitted(self) -> None:
        """Of four rows three: the first, the mean of the middle two, the last; likewise of four columns."""
        chunk = memoryview(self._rows)[: 180 * 2]
        for row in range(0, _HEIGHT, 4):
            for upper, lower in ((row, row), (row + 1, row + 2), (row + 3, row + 3)):
                _fit(self._buf, chunk, self._colours, upper << 9 | lower)
                self._spi.write(chunk)

    def _start(self, madctl: int, inverted: bool) -> None:
        self._select(0)
        self._command(_SWRESET)
        sleep_ms(150)
        self._command(_SLPOUT)
        sleep_ms(120)
        self._command(_COLMOD, _RGB565)
        self._command(_MADCTL, bytes([madctl]))
        self._command(_INVON if inverted else _INVOFF)
        self._command(_NORON)
        self._command(_DISPON)
        self._select(1)

    def _clear(self, width: int, height: int) -> None:
        self._window(0, width - 1, height)
        self._select(0)
        self._command(_RAMWR)
        self._dc.value(1)
        black = bytes(width * 2)
        for _ in range(height):
            self._spi.write(black)
        self._select(1)

    def _window(self, left: int, right: int, height: int) -> None:
        self._select(0)
        self._command(_CASET, bytes([left >> 8, left & 0xFF, right >> 8, right & 0xFF]))
        self._command(_RASET, bytes([0, 0, (height - 1) >> 8, (height - 1) & 0xFF]))
        self._select(1)

    def _command(self, code: int, data: bytes = b"") -> None:
        self._dc.value(0)
        self._spi.write(bytes([code]))
        if data:
            self._dc.value(1)
            self._spi.write(data)

    def _select(self, level: int) -> None:
        if self._cs:
            self._cs.value(level)


class Ssd1306(NoScreen):
    """`palette` decides what is lit. HalError when no display answers; one that falls silent later is given up."""

    def __init__(self, i2c, palette, address: int = 0x3C, flip: bool = False):
        super().__init__()
        self._i2c, self._address = i2c, address
        self._lit = bytes([1 if red * 2 + green * 5 + blue > 800 else 0 for red, green, blue in palette])
        self._glass = bytearray(1024)
        self._alive = True
        try:
            self._send(_OLED_COMMAND, _OLED_INIT + (_OLED_TURNED if flip else _OLED_UPRIGHT) + _OLED_ON)
        except OSError:
            raise HalError("no SSD1306 answers")
        self.show()

    def show(self) -> None:
        if not self._alive:
            return
        for at in range(len(self._glass)):
            self._glass[at] = 0
        reduce(self._buf, self._glass, self._lit)
        try:
            self._send(_OLED_COMMAND, _OLED_WINDOW)
            self._send(_OLED_DATA, self._glass)
        except OSError:
            self._alive = False
            log("display", "the OLED no longer answers")

    def _send(self, control: int, data) -> None:
        self._i2c.writevto(self._address, (bytes([control]), data))


def reduce(picture, glass, lit) -> None:
    """Half of `picture` (240x320) into `glass` (128x64, SSD1306 pages), rows without ink left out but one."""
    y = blank = 0
    for row in range(0, _HEIGHT, 2):
        if y == 64:
            return
        blank = 0 if _halve(picture, glass, lit, row << 8 | y) else blank + 1
        if (y and blank < 2) or not blank:
            y += 1


@micropython.viper
def _expand(source: ptr8, out: ptr8, colours: ptr8, start: int, count: int):  # noqa: F821
    at = 0
    for i in range(start, start + count):
        two = source[i]
        high, low = (two >> 4) << 1, (two & 15) << 1
        out[at] = colours[high + 1]
        out[at + 1] = colours[high]
        out[at + 2] = colours[low + 1]
        out[at + 3] = colours[low]
        at += 4


@micropython.viper
def _fit(source: ptr8, out: ptr8, colours: ptr16, rows: int):  # noqa: F821
    upper, lower = (rows >> 9) * 120, (rows & 511) * 120
    at = 0
    for i in range(0, 120, 2):
        a, b = source[upper + i], source[lower + i]
        c, d = source[upper + i + 1], source[lower + i + 1]
        for place in range(3):
            if place == 0:
                p, q = a >> 4, b >> 4
                r, s = p, q
            elif place == 1:
                p, q = a & 15, b & 15
                r, s = c >> 4, d >> 4
            else:
                p, q = c & 15, d & 15
                r, s = p, q
            x, y = int(colours[p]), int(colours[q])
            x = ((x ^ y) & 0xF7DE) // 2 + (x & y)
            y, z = int(colours[r]), int(colours[s])
            y = ((y ^ z) & 0xF7DE) // 2 + (y & z)
            x = ((x ^ y) & 0xF7DE) // 2 + (x & y)
            out[at] = x >> 8
            out[at + 1] = x & 0xFF
            at += 2


@micropython.viper
def _halve(source: ptr8, glass: ptr8, lit: ptr8, where: int) -> int:  # noqa: F821
    """Two rows become one at y = where & 0xFF, in the middle of the glass; how many dots were lit."""
    row, y = where >> 8, where & 0xFF
    upper = row * 120
    page = (y >> 3) * 128 + 4
    bit = 1 << (y & 7)
    found = 0
    for x in range(120):
        a, b = source[upper + x], source[upper + 120 + x]
        ink = lit[a >> 4] + lit[a & 15] + lit[b >> 4] + lit[b & 15]
        if ink > 1:
            glass[page + x] = glass[page + x] | bit
            found += 1
        else:
            glass[page + x] = glass[page + x] & (255 - bit)
    return found
