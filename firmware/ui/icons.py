"""Icons from frame buffer primitives, drawn about a centre, in one ink on one paper. Face, card and keypad
have the same size and weight: none of the three ways in is the main one.
"""

from array import array


def face(fb, x: int, y: int, ink: int, paper: int) -> None:
    fb.ellipse(x, y, 19, 23, ink, True)
    fb.ellipse(x, y, 16, 20, paper, True)
    for eye in (x - 7, x + 7):
        fb.ellipse(eye, y - 4, 2, 3, ink, True)
    for thick in range(2):
        fb.ellipse(x, y + 6, 8, 6 + thick, ink, False, 0b1100)


def card(fb, x: int, y: int, ink: int, paper: int) -> None:
    for inset in range(3):
        fb.rect(x - 23 + inset, y - 16 + inset, 46 - 2 * inset, 32 - 2 * inset, ink)
    fb.fill_rect(x - 15, y - 5, 10, 10, ink)
    for radius in (6, 11, 16):
        for thick in range(2):
            fb.ellipse(x - 2, y, radius + thick, radius + thick - 3, ink, False, 0b1001)
    fb.fill_rect(x - 3, y - 13, 3, 26, paper)


def keypad(fb, x: int, y: int, ink: int, paper: int) -> None:
    for row in range(4):
        for column in range(3):
            fb.fill_rect(x - 17 + 13 * column, y - 22 + 12 * row, 9, 8, ink)


def tick(fb, x: int, y: int, ink: int, paper: int) -> None:
    fb.ellipse(x, y, 46, 46, ink, True)
    _stroke(fb, ((x - 22, y + 1), (x - 6, y + 17), (x + 23, y - 14)), paper)


def cross(fb, x: int, y: int, ink: int, paper: int) -> None:
    fb.ellipse(x, y, 46, 46, ink, True)
    _stroke(fb, ((x - 17, y - 17), (x + 17, y + 17)), paper)
    _stroke(fb, ((x - 17, y + 17), (x + 17, y - 17)), paper)


def bars(fb, x: int, y: int, ink: int, paper: int) -> None:
    """Two upright bars: paused."""
    fb.ellipse(x, y, 46, 46, ink, True)
    fb.fill_rect(x - 17, y - 20, 11, 40, paper)
    fb.fill_rect(x + 6, y - 20, 11, 40, paper)


def door(fb, x: int, y: int, ink: int, paper: int) -> None:
    """A door ajar."""
    for inset in range(4):
        fb.rect(x - 26 + inset, y - 42 + inset, 52 - 2 * inset, 88 - 2 * inset, ink)
    fb.poly(0, 0, array("h", (x - 24, y - 40, x + 8, y - 28, x + 8, y + 54, x - 24, y + 42)), ink, True)
    fb.ellipse(x + 1, y + 12, 3, 3, paper, True)


def struck(fb, x: int, y: int, ink: int, paper: int) -> None:
    """A stroke through the icon that is there: this way is closed."""
    _stroke(fb, ((x - 22, y - 22), (x + 22, y + 22)), paper, 4)
    _stroke(fb, ((x - 22, y - 22), (x + 22, y + 22)), ink, 1)


def _stroke(fb, points: tuple, ink: int, half_width: int = 4) -> None:
    """A polyline with round ends."""
    for i in range(len(points) - 1):
        (x1, y1), (x2, y2) = points[i], points[i + 1]
        steps = max(abs(x2 - x1), abs(y2 - y1))
        for step in range(steps + 1):
            x, y = x1 + (x2 - x1) * step // steps, y1 + (y2 - y1) * step // steps
            fb.ellipse(x, y, half_width, half_width, ink, True)
