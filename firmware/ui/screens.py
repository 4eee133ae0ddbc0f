"""What the person at the door sees: each method draws one whole screen and shows it.

Face, card and PIN stand side by side in the same size everywhere; a refusal says what to do next; the two
answers to a notice look the same and neither is preset. No names, no scores: a screen can be read over a
shoulder.
"""

from firmware.base.compat import const
from firmware.ui import icons, preview, qr
from firmware.ui.fonts.text import Font, balanced, centred, wrapped
from firmware.ui.labels import CHINESE, denial
from firmware.ui.palette import (
    AMBER,
    BLACK,
    GOLD,
    GREEN,
    GREY1,
    GREY2,
    GREY4,
    GREY5,
    GREY6,
    NAVY,
    RED,
    WHITE,
)

WIDTH = const(240)
HEIGHT = const(320)
_MARGIN = const(10)
_LEADING = const(2)
_NOTICE_MARGIN = const(6)
_TITLE_HEIGHT = const(44)
_NOTICE_TOP = const(48)
_NOTICE_BOTTOM = const(256)
_CODE_TOP = const(72)


class Screens:
    """`display` is the HAL's, 240x320; the fonts are read once, from this package's directory."""

    def __init__(self, display):
        self._display = display
        self._fb = display.fb
        here = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
        self._small = Font(here + "/fonts/small.fnt")
        self._large = Font(here + "/fonts/large.fnt")
        self._digits = Font(here + "/fonts/digits.fnt")

    # Waiting for somebody

    def idle(self, camera_on: bool = True) -> None:
        """The three ways in; with the camera off its row says so, and the other two stay as they are. Below them, how
        to have one's face deleted."""
        self._start("Welcome")
        self._way(52, icons.keypad, "PIN", "flat #, then PIN #")
        self._way(134, icons.card, "Card", "hold it here")
        if camera_on:
            self._way(216, icons.face, "Face", "flat #, then look")
        else:
            self._way(216, icons.face, "Camera off", "use PIN or card", closed=True)
        text = "* delete my face "
        centred(self._fb, self._small, text + CHINESE["delete my face"], 0, 295, WIDTH, GREY6, BLACK)
        self._display.show()

    def starting(self) -> None:
        self._status(None, GOLD, "Starting", ())

    def not_provisioned(self) -> None:
        self._status(icons.bars, GREY4, "Not set up yet", ("This panel belongs to no site yet",))

    def maintenance(self) -> None:
        steps = ("Please ask the manager", "The exit button works")
        self._status(icons.bars, AMBER, "Maintenance", steps)

    def allow_maintenance(self, by_key: bool) -> None:
        """A technician asks; without a keypad the exit button answers."""
        self._head("Maintenance?")
        icons.bars(self._fb, WIDTH // 2, 92, AMBER, BLACK)
        self._line("The door opens for nobody", 130, WHITE)
        self._line("The exit button works", 184, GREY6)
        if by_key:
            self._keys("refuse", "allow")
        else:
            self._line("Press the exit button", 258, WHITE)
        self._display.show()

    def allow_aiming(self, by_key: bool) -> None:
        """A technician wants to see the camera's picture; without a keypad the exit button answers."""
        self._head("Aiming camera")
        icons.face(self._fb, WIDTH // 2, 92, AMBER, BLACK)
        self._line("A technician sees this picture", 130, WHITE)
        if by_key:
            self._keys("refuse", "allow")
        else:
            self._line("Press the exit button", 258, WHITE)
        self._display.show()

    def aiming(self, frame, face=None, hint: str = "") -> None:
        """The camera's picture, as whoever aims it sees it elsewhere."""
        self._head("Aiming camera")
        preview.draw(self._fb, frame, _TITLE_HEIGHT)
        if face is not None:
            preview.mark(self._fb, face, _TITLE_HEIGHT, GOLD, GREEN)
        y = _TITLE_HEIGHT + preview.HEIGHT
        if hint:
            self._hint(hint, y)
        self._line("A technician sees this picture", y + 30, AMBER)
        text = "*  stop  " + CHINESE["stop"]
        centred(self._fb, self._small, text, 0, HEIGHT - 24, WIDTH, WHITE, BLACK)
        self._display.show()

    # Somebody is typing, or being looked at

    def flat(self, digits: str, refused: bool = False) -> None:
        self._start("Flat number")
        self._fb.fill_rect(_MARGIN, 84, WIDTH - 2 * _MARGIN, 76, NAVY)
        y = 84 + (76 - self._digits.height) // 2
        centred(self._fb, self._digits, digits, 0, y, WIDTH, WHITE, NAVY)
        if refused:
            self._line("Too many digits", 170, AMBER)
        else:
            self._line("or hold your card here", 170, GREY6)
        self._keys("back", "continue")
        self._display.show()

    def pin(self, flat: str, digits: int, with_face: bool = False, refused: bool = False) -> None:
        """`with_face`: the camera looks meanwhile. The dots tell how many digits, never which."""
        self._start("PIN", flat)
        self._fb.fill_rect(_MARGIN, 84, WIDTH - 2 * _MARGIN, 76, NAVY)
        self._dots(122, digits, 6)
        if refused:
            self._line("Between 6 and 12 digits", 170, AMBER)
        else:
            self._line("or look at the camera" if with_face else "or hold your card here", 170, GREY6)
        self._keys("back", "continue")
        self._display.show()

    def looking(self, flat: str, digits: int, frame, face=None, hint: str = "look at the camera") -> None:
        """The camera's `frame` (320x240 grey) with `face` marked, while a PIN may be typed and a card held.

        `face`: (score, x, y, w, h, points) as the detector gives it, or None; `hint`: what to do, or "".
        """
        fb = self._fb
        self._start("Flat", flat)
        preview.draw(fb, frame, _TITLE_HEIGHT)
        if face is not None:
            preview.mark(fb, face, _TITLE_HEIGHT, GOLD, GREEN)
        if hint:
            self._hint(hint, _TITLE_HEIGHT + preview.HEIGHT)
        y = _TITLE_HEIGHT + preview.HEIGHT + 34
        for x, icon, label in ((6, icons.keypad, "PIN"), (122, icons.card, "Card")):
            fb.fill_rect(x, y, 112, HEIGHT - y - 6, NAVY)
            icon(fb, x + 30, y + 28, WHITE, NAVY)
            if label == "PIN" and digits:
                self._dots(y + 28, digits, 3, x + 62, 4)
            else:
                self._small.draw(fb, label, x + 60, y + 5, WHITE, NAVY)
                self._small.draw(fb, CHINESE[label], x + 60, y + 28, GREY5, NAVY)
        self._display.show()

    def checking(self) -> None:
        self._status(None, GOLD, "One moment", ())

    # The answer

    def granted(self) -> None:
        self._status(icons.tick, GREEN, "Come in", ())

    def denied(self, reason: str, wait_s: int = 0) -> None:
        """`reason`: a code of access.policy or credentials.nfc; `wait_s`: until the next try of this kind."""
        (what, what_zh), (step, step_zh) = denial(reason)
        self._start(None)
        icons.cross(self._fb, WIDTH // 2, 76, RED, BLACK)
        y = self._title(what, what_zh, 132)
        if wait_s:
            minutes, seconds = wait_s // 60, wait_s % 60
            centred(self._fb, self._large, "%d:%02d" % (minutes, seconds), 0, y, WIDTH, AMBER, BLACK)
            y += self._large.height
        y = self._paragraph(step, y + 4, WHITE)
        self._paragraph(step_zh, y, GREY5)
        self._display.show()

    def close_the_door(self) -> None:
        self._status(icons.door, AMBER, "Please close the door", ())

    # Consent and enrolment

    def notice_pages(self, lines) -> list:
        """`lines` of a notice, "" between paragraphs, broken where too wide, as pages of about equal length."""
        rows = []
        for line in lines:
            rows += wrapped(self._small, line, WIDTH - 2 * _NOTICE_MARGIN) or [""]
        most = (_NOTICE_BOTTOM - _NOTICE_TOP) // (self._small.height + _LEADING)
        count = max(1, (len(rows) + most - 1) // most)
        pages = []
        while rows:
            take = (len(rows) + count - 1) // count
            page, rows, count = rows[:take], rows[take:], max(1, count - 1)
            while page and not page[0]:
                page = page[1:]
            if page:
                pages.append(page)
        return pages or [[]]

    def notice(self, title: str, pages: list, page: int) -> None:
        """Page `page` of `notice_pages`; it can be declined on any page and accepted once read to the last."""
        self._start(None)
        fb, font, last = self._fb, self._small, page == len(pages) - 1
        number = "%d/%d" % (page + 1, len(pages))
        x = WIDTH - _NOTICE_MARGIN - font.width(number)
        font.draw(fb, number, x, 0, GREY5, BLACK)
        heads = wrapped(font, title, x - 2 * _NOTICE_MARGIN)[:2]
        for row, head in enumerate(heads):
            y = row * font.height if len(heads) > 1 else _TITLE_HEIGHT // 2 - font.height // 2 - 2
            font.draw(fb, head, _NOTICE_MARGIN, y, GOLD, BLACK)
        fb.hline(_NOTICE_MARGIN, _TITLE_HEIGHT - 3, WIDTH - 2 * _NOTICE_MARGIN, GOLD)
        for row, line in enumerate(pages[page]):
            y = _NOTICE_TOP + row * (font.height + _LEADING)
            font.draw(fb, line, _NOTICE_MARGIN, y, WHITE, BLACK)
        self._button(_MARGIN, "*", "Decline")
        self._button(WIDTH // 2 + 3, "#" if last else "8", "Accept" if last else "Read on")
        self._display.show()

    def consent_recorded(self) -> None:
        self._status(icons.tick, GREEN, "Thank you", ("You can withdraw it at any time",))

    def consent_declined(self) -> None:
        """As friendly as `consent_recorded`: declining is an answer, not an error."""
        self._status(icons.tick, GREEN, "Understood", ("PIN and card open the same doors",))

    def consent_unanswered(self) -> None:
        self._status(icons.bars, GREY4, "Not answered", ("Nothing was agreed to",))

    def face_deleted(self) -> None:
        self._status(icons.tick, GREEN, "Face deleted", ("PIN and card open the same doors",))

    # A resident deletes the own face

    def delete_face_who(self) -> None:
        """Whose face it is, card or PIN will say."""
        self._head("Delete my face")
        icons.card(self._fb, WIDTH // 2, 72, WHITE, BLACK)
        self._line("Hold your card here", 94, WHITE)
        icons.keypad(self._fb, WIDTH // 2, 176, WHITE, BLACK)
        self._line("or: flat #, then PIN #", 204, WHITE)
        self._button(_MARGIN, "*", "back")
        self._display.show()

    def delete_face_confirm(self) -> None:
        self._head("Delete my face")
        icons.face(self._fb, WIDTH // 2, 92, WHITE, BLACK)
        icons.struck(self._fb, WIDTH // 2, 92, AMBER, BLACK)
        self._line("Delete your face now?", 130, WHITE)
        self._line("It is erased for good", 190, GREY6)
        self._keys("keep", "delete")
        self._display.show()

    def no_face_stored(self) -> None:
        self._status(icons.tick, GREEN, "No face stored", ("Nothing of your face is on this panel",))

    def face_not_erased(self) -> None:
        """Never the tick of success: the face does not match any more, but its block resists."""
        self._status(icons.bars, AMBER, "No longer used", ("Erasing failed and will be tried again",))

    def receipt(self, text: bytes) -> None:
        """The wipe's receipt as a QR code, dark on light, as large as the screen has room for."""
        self._head("Face deleted")
        label = "Your proof: scan and keep"
        centred(self._fb, self._small, label, 0, _TITLE_HEIGHT - 2, WIDTH, WHITE, BLACK)
        code = qr.Code(text)
        side = code.size + 8
        scale = min(WIDTH // side, (HEIGHT - _CODE_TOP - 28) // side)
        qr.draw(self._fb, code, (WIDTH - side * scale) // 2, _CODE_TOP, scale, BLACK, WHITE)
        centred(self._fb, self._small, CHINESE[label], 0, HEIGHT - 26, WIDTH, GREY6, BLACK)
        self._display.show()

    def enrolling(self, frame, done: int, total: int, face=None, hint: str = "") -> None:
        """`done` of `total` views are taken; the rest as in `looking`."""
        self._start("Enrolling")
        preview.draw(self._fb, frame, _TITLE_HEIGHT)
        if face is not None:
            preview.mark(self._fb, face, _TITLE_HEIGHT, GOLD, GREEN)
        y = _TITLE_HEIGHT + preview.HEIGHT
        if hint:
            self._hint(hint, y)
        gap = (WIDTH - 2 * _MARGIN) // total
        for view in range(total):
            ink = GREEN if view < done else GREY2
            self._fb.fill_rect(_MARGIN + view * gap + 2, y + 36, gap - 4, 8, ink)
        text = "Numbers kept, no picture"
        centred(self._fb, self._small, text, 0, y + 49, WIDTH, GREY6, BLACK)
        centred(self._fb, self._small, CHINESE[text], 0, y + 71, WIDTH, GREY5, BLACK)
        self._display.show()

    # Parts

    def _start(self, title, detail: str = "") -> None:
        """An empty screen with its title line: English, Chinese, and perhaps a flat's number."""
        fb = self._fb
        fb.fill(BLACK)
        if title is None:
            return
        x = self._large.draw(fb, title, _MARGIN, 2, WHITE, BLACK)
        if detail and title == "Flat":
            self._large.draw(fb, detail, x + 8, 2, WHITE, BLACK)
        elif detail:
            self._small.draw(fb, detail, x + 12, 11, GREY5, BLACK)
        chinese = CHINESE[title]
        x = WIDTH - _MARGIN - self._small.width(chinese)
        self._small.draw(fb, chinese, x, 11, GREY6, BLACK)
        fb.hline(_MARGIN, _TITLE_HEIGHT - 3, WIDTH - 2 * _MARGIN, GOLD)

    def _head(self, title: str) -> None:
        """An empty screen with a title too long for `_start`."""
        self._start(None)
        self._small.draw(self._fb, title, _MARGIN, 10, WHITE, BLACK)
        x = WIDTH - _MARGIN - self._small.width(CHINESE[title])
        self._small.draw(self._fb, CHINESE[title], x, 10, GREY6, BLACK)
        self._fb.hline(_MARGIN, _TITLE_HEIGHT - 3, WIDTH - 2 * _MARGIN, GOLD)

    def _way(self, y: int, icon, title: str, step: str, closed: bool = False) -> None:
        """One of the three ways in: icon, name, what to do, each in both languages."""
        fb = self._fb
        ink, paper = (GREY5, GREY1) if closed else (WHITE, NAVY)
        fb.fill_rect(_MARGIN, y, WIDTH - 2 * _MARGIN, 76, paper)
        icon(fb, 44, y + 38, ink, paper)
        if closed:
            icons.struck(fb, 44, y + 38, AMBER, paper)
        x = self._small.draw(fb, title, 82, y + 4, ink, paper)
        self._small.draw(fb, CHINESE[title], x + 8, y + 4, ink, paper)
        self._small.draw(fb, step, 82, y + 27, GREY6, paper)
        self._small.draw(fb, CHINESE[step], 82, y + 49, GREY6, paper)

    def _keys(self, star: str, hash_: str) -> None:
        self._button(_MARGIN, "*", star)
        self._button(WIDTH // 2 + 3, "#", hash_)

    def _button(self, x: int, key: str, label: str) -> None:
        """What a key does; every button has the same size, colour and weight."""
        width, top = WIDTH // 2 - _MARGIN - 3, 258
        self._fb.fill_rect(x, top, width, 54, NAVY)
        centred(self._fb, self._small, key + "  " + label, x, top + 3, width, WHITE, NAVY)
        centred(self._fb, self._small, CHINESE[label], x, top + 27, width, WHITE, NAVY)

    def _status(self, icon, ink: int, title: str, steps: tuple) -> None:
        """A big icon, a title, and what follows from it."""
        self._start(None)
        if icon is None:
            for place in (-24, 0, 24):
                self._fb.ellipse(WIDTH // 2 + place, 76, 6, 6, ink, True)
        else:
            icon(self._fb, WIDTH // 2, 76, ink, BLACK)
        y = self._title(title, CHINESE[title], 138)
        for step in steps:
            y = self._paragraph(step, y + 2, WHITE)
            y = self._paragraph(CHINESE[step], y, GREY5)
        self._display.show()

    def _title(self, english: str, chinese: str, y: int) -> int:
        """Both languages, centred; returns the y below."""
        for line in balanced(self._large, english, WIDTH - 8) + [chinese]:
            centred(self._fb, self._large, line, 0, y, WIDTH, WHITE, BLACK)
            y += self._large.height
        return y

    def _paragraph(self, text: str, y: int, ink: int) -> int:
        for line in balanced(self._small, text, WIDTH - 2 * _MARGIN):
            centred(self._fb, self._small, line, 0, y, WIDTH, ink, BLACK)
            y += self._small.height + _LEADING
        return y

    def _line(self, text: str, y: int, ink: int) -> None:
        centred(self._fb, self._small, text, 0, y, WIDTH, ink, BLACK)
        centred(self._fb, self._small, CHINESE[text], 0, y + self._small.height + _LEADING, WIDTH, ink, BLACK)

    def _hint(self, hint: str, y: int) -> None:
        """One line below the picture: 'Come closer', and the same in Chinese."""
        text = hint[0].upper() + hint[1:] + "  " + CHINESE.get(hint, "")
        centred(self._fb, self._small, text, 0, y + 5, WIDTH, AMBER, BLACK)

    def _dots(self, y: int, count: int, radius: int, x: int = 0, per_row: int = 12) -> None:
        """`count` dots about the height `y`, in rows of `per_row`; centred on the screen, or from `x` on."""
        gap = 2 * radius + 4
        rows = (count + per_row - 1) // per_row
        start = x or (WIDTH - gap * (count - 1)) // 2
        for dot in range(count):
            row = y + (2 * (dot // per_row) - rows + 1) * gap // 2
            self._fb.ellipse(start + dot % per_row * gap, row, radius, radius, WHITE, True)
