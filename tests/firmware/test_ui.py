"""The screens: every word legible and inside, the ways in equal, the answers to a notice equal, refusals silent on
what a guesser would like to know."""

# ruff: noqa: RUF001 - Chinese punctuation is meant

import micropython

from firmware.access.policy import REASONS
from firmware.credentials import nfc
from firmware.ui import preview, screens
from firmware.ui.fonts.text import Font, balanced, wrapped
from firmware.ui.labels import CHINESE, DENIALS, denial
from firmware.ui.palette import GREYS, PALETTE, WHITE, blend
from firmware.vision.quality import HINTS
from tests.firmware.ui_gallery import FACE, NOTICE, every_screen

FONTS = screens.__file__.rsplit("/", 1)[0] + "/fonts/"
FRAME_BYTES = 320 * 240


class Screen:
    """A display that keeps what it is shown."""

    width, height = 240, 320

    def __init__(self):
        import framebuf

        self.buf = bytearray(self.width * self.height // 2)
        self.fb = framebuf.FrameBuffer(self.buf, self.width, self.height, framebuf.GS4_HMSB)
        self.shown = None

    def show(self):
        self.shown = bytes(self.buf)

    def area(self, x, y, width, height) -> list:
        return [[self.fb.pixel(x + i, y + j) for i in range(width)] for j in range(height)]


class StrictFont:
    """A font that insists on glyphs and on staying inside the screen."""

    def __init__(self, font, seen):
        self._font = font
        self._seen = seen
        self.height = font.height

    def width(self, text):
        return self._font.width(text)

    def draw(self, fb, text, x, y, ink, paper):
        self._seen.append(text)
        for character in text:
            assert self._font.has(character), (text, character)
        assert x >= 0 and x + self._font.width(text) <= 240, (text, x)
        assert y >= 0 and y + self._font.height <= 320, (text, y)
        return self._font.draw(fb, text, x, y, ink, paper)


def panel() -> tuple:
    display = Screen()
    return screens.Screens(display), display


def test_every_word_of_every_screen_has_its_glyphs_and_stays_inside():
    shown, display = panel()
    seen = []
    for name in ("_small", "_large", "_digits"):
        setattr(shown, name, StrictFont(getattr(shown, name), seen))
    for name, draw in every_screen(shown, bytearray(FRAME_BYTES)):
        display.shown = None
        draw()
        assert display.shown, name
    for reason in DENIALS:
        shown.denied(reason, 3600)
    for hint in HINTS[1:]:
        shown.looking("301", 4, bytearray(FRAME_BYTES), FACE, hint)
        assert hint in CHINESE, hint
    assert "欢迎" in seen and "Welcome" in seen


def test_the_three_ways_in_have_the_same_room_and_the_same_colours():
    shown, display = panel()
    shown.idle()
    rows = [display.area(10, y, 220, 76) for y in (52, 134, 216)]
    inks = [{pixel for line in row for pixel in line} for row in rows]
    lit = [sum([pixel == WHITE for line in row for pixel in line]) for row in rows]
    assert inks[0] == inks[1] == inks[2]
    assert max(lit) < 2 * min(lit), lit


def test_with_the_camera_off_pin_and_card_look_as_always():
    shown, display = panel()
    shown.idle()
    before = display.area(0, 0, 240, 212)
    shown.idle(camera_on=False)
    assert display.area(0, 0, 240, 212) == before
    assert display.area(10, 216, 220, 76) != before


def test_accepting_and_declining_are_equally_prominent():
    shown, display = panel()
    pages = shown.notice_pages(NOTICE)
    shown.notice("Notice", pages, len(pages) - 1)
    decline, accept = display.area(10, 258, 107, 54), display.area(123, 258, 107, 54)
    edge = [line[0] for line in decline] + decline[0] + decline[-1]
    assert edge == [line[0] for line in accept] + accept[0] + accept[-1]
    assert {p for line in decline for p in line} == {p for line in accept for p in line}


def test_a_notice_keeps_every_word_in_order():
    shown, _ = panel()
    for text in (NOTICE, ("",), (), ("one",), NOTICE * 5):
        pages = shown.notice_pages(text)
        words = " ".join([" ".join(page) for page in pages]).split()
        assert words == " ".join(text).split()
        for page in range(len(pages)):
            shown.notice("Notice", pages, page)


def test_a_guesser_cannot_tell_a_wrong_pin_from_an_unknown_flat_or_card():
    refusals = [nfc.UNKNOWN_CARD, nfc.WRONG_KEY, nfc.MALFORMED, "not_recognised"]
    assert len({denial(reason) for reason in refusals}) == 1


def test_every_reason_has_its_words_and_a_next_step():
    for reason in list(REASONS) + [nfc.CARD_REMOVED, "something new"]:
        (what, what_zh), (step, step_zh) = denial(reason)
        assert what and what_zh and step and step_zh


def test_the_picture_is_mirrored_scaled_and_brightens_evenly():
    _, display = panel()
    frame = bytearray(FRAME_BYTES)
    for y in range(240):
        for x in range(320):
            frame[y * 320 + x] = 255 if x < 160 else 0
    preview.draw(display.fb, frame, 44)
    assert display.fb.pixel(239, 44) == WHITE and display.fb.pixel(0, 223) == 0
    assert display.fb.pixel(0, 43) == display.fb.pixel(239, 224) == 0
    means = []
    for level in range(0, 256, 15):
        for i in range(FRAME_BYTES):
            frame[i] = level
        preview.draw(display.fb, frame, 0)
        means.append(sum([sum(line) for line in display.area(0, 0, 4, 4)]))
    assert means == sorted(set(means)) and means[0] == 0 and means[-1] == 16 * (GREYS - 1)


def test_drawing_the_picture_allocates_nothing():
    _, display = panel()
    frame = bytearray(FRAME_BYTES)
    preview.draw(display.fb, frame, 0)
    micropython.heap_lock()
    try:
        preview.draw(display.fb, frame, 44)
    finally:
        micropython.heap_unlock()


def test_a_face_at_the_edge_is_marked_inside_the_picture():
    _, display = panel()
    for x, y in ((-80, -80), (300, 200), (-400, 0), (0, 500)):
        face = (9, x, y, 120, 150, ((x * 16, y * 16),) * 5)
        preview.mark(display.fb, face, 44, WHITE, WHITE)
    assert not any([any(line) for line in display.area(0, 0, 240, 40)])
    assert not any([any(line) for line in display.area(0, 228, 240, 90)])


def test_lines_break_between_words_and_between_chinese_characters():
    font = Font(FONTS + "small.fnt")
    for text in ("Please wait, or use another way", "请稍候，或用其他方式请稍候，或用其他方式", "w" * 60, "a b c", ""):
        lines = wrapped(font, text, 120)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        for line in lines:
            assert font.width(line) <= 120 and not line.startswith("，"), lines
    assert len(balanced(font, "Please wait, or use another way", 200)[-1]) > len("way")


def test_what_has_no_glyph_shows_as_a_box():
    font = Font(FONTS + "small.fnt")
    _, display = panel()
    assert not font.has("\u9f98")
    after = font.draw(display.fb, "\u9f98", 0, 0, WHITE, 0)
    assert after == font.width("\u9f98") > 0
    assert any([WHITE in line for line in display.area(0, 0, after, font.height)])


def test_soft_edges_stay_between_ink_and_paper():
    assert len(PALETTE) == 16
    for ink in range(16):
        for paper in range(16):
            assert blend(paper, ink, 0) == paper and blend(paper, ink, 3) == ink
            assert all([blend(paper, ink, t) in list(range(GREYS)) + [ink, paper] for t in (1, 2)])
