"""Screens on fakes: which pixel of the picture ends up where on the glass."""

from tests.firmware import esp32_fakes as fakes

fakes.install()

from firmware.base.errors import HalError  # noqa: E402
from firmware.hal.esp32.display import NoScreen, Ssd1306, St7789, reduce  # noqa: E402
from firmware.ui.palette import GOLD, NAVY, PALETTE, RED, WHITE  # noqa: E402
from firmware.ui.screens import Screens  # noqa: E402

CASET, RASET, RAMWR, MADCTL = 0x2A, 0x2B, 0x2C, 0x36


def rgb565(index) -> bytes:
    red, green, blue = PALETTE[index]
    return ((red >> 3) << 11 | (green >> 2) << 5 | blue >> 3).to_bytes(2, "big")


def tft(select=None, **options):
    chip = fakes.install()
    if select is not None:
        options["cs"] = fakes.Pin(select, fakes.Pin.OUT, value=1)
    spi = fakes.SPI(1, 40_000_000, fakes.Pin(39), fakes.Pin(38), miso=None)
    spi.dc = 40
    screen = St7789(spi, fakes.Pin(40, fakes.Pin.OUT, value=0), PALETTE, **options)
    return chip, spi, screen


def pixel(spi, x, y, width) -> bytes:
    at = (y * width + x) * 2
    return spi.last(RAMWR)[at : at + 2]


def test_the_whole_picture_reaches_the_glass_pixel_by_pixel():
    chip, spi, screen = tft(select=42)
    codes = [code for code, _ in spi.commands]
    assert codes[:2] == [0x01, 0x11] and 0x29 in codes  # reset, out of sleep, on
    screen.fb.pixel(0, 0, RED)
    screen.fb.pixel(1, 0, GOLD)
    screen.fb.pixel(239, 319, WHITE)
    screen.fb.pixel(120, 160, NAVY)
    screen.show()
    assert spi.last(CASET) == b"\x00\x00\x00\xef" and spi.last(RASET) == b"\x00\x00\x01\x3f"
    assert len(spi.last(RAMWR)) == 240 * 320 * 2
    for x, y, colour in ((0, 0, RED), (1, 0, GOLD), (239, 319, WHITE), (120, 160, NAVY), (2, 0, 0)):
        assert pixel(spi, x, y, 240) == rgb565(colour), (x, y)
    assert chip.pins[42].driven == 1  # deselected


def test_every_colour_of_the_palette():
    _, spi, screen = tft()
    for index in range(16):
        screen.fb.pixel(index * 3, 7, index)
    screen.show()
    for index in range(16):
        assert pixel(spi, index * 3, 7, 240) == rgb565(index)


def test_a_landscape_glass_shows_three_quarters_of_the_size_in_its_middle():
    _, spi, screen = tft(landscape=True, madctl=0x08)
    assert spi.last(MADCTL) == b"\x08"
    screen.fb.fill_rect(0, 0, 240, 320, NAVY)
    screen.fb.fill_rect(0, 0, 4, 4, WHITE)
    screen.fb.pixel(236, 316, RED)  # the first of a group of four is kept as it is
    screen.show()
    assert spi.last(CASET) == b"\x00\x46\x00\xf9" and spi.last(RASET) == b"\x00\x00\x00\xef"  # 70 to 249, 0 to 239
    assert len(spi.last(RAMWR)) == 180 * 240 * 2
    assert pixel(spi, 0, 0, 180) == pixel(spi, 2, 2, 180) == rgb565(WHITE)
    assert pixel(spi, 3, 3, 180) == rgb565(NAVY)
    assert pixel(spi, 177, 237, 180) == rgb565(RED)


def test_the_middle_pixels_of_four_are_blended():
    _, spi, screen = tft(landscape=True)
    screen.fb.pixel(1, 0, WHITE)  # beside a black one
    screen.show()
    blended = int.from_bytes(pixel(spi, 1, 0, 180), "big")
    assert 0x7000 < blended < 0x9000  # half of white in red


def test_the_oled_shows_the_first_lines_with_ink_and_is_given_up_when_silent():
    chip = fakes.install()
    glass = chip.devices[0x3C] = fakes.Oled()
    bus = fakes.I2C(0, fakes.Pin(6), fakes.Pin(7))
    screen = Ssd1306(bus, PALETTE, flip=True)
    assert b"\xa0\xc0" in glass.commands[0] and glass.commands[0][-1] == 0xAF
    screen.fb.fill_rect(0, 200, 20, 4, WHITE)  # far down: the empty rows above are left out
    screen.show()
    assert glass.glass[4:14] == b"\x03" * 10 and not any(glass.glass[14:])
    glass.silent = True
    screen.show()
    glass.silent = False
    screen.fb.fill(WHITE)
    screen.show()
    assert not any(glass.glass[14:])


def test_no_oled_is_an_error_at_the_start():
    fakes.install()
    try:
        Ssd1306(fakes.I2C(0, fakes.Pin(6), fakes.Pin(7)), PALETTE)
    except HalError:
        return
    raise AssertionError("a missing OLED was not noticed")


def test_refusal_and_welcome_differ_on_the_oled():
    seen = set()
    for draw in ("granted", "not_provisioned", "maintenance"):
        screen = NoScreen()
        getattr(Screens(screen), draw)()
        glass = bytearray(1024)
        reduce(screen._buf, glass, bytes([1 if sum(c) > 300 else 0 for c in PALETTE]))
        assert sum(bin(b).count("1") for b in glass) > 300
        seen.add(bytes(glass))
    assert len(seen) == 3
