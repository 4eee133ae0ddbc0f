"""The screen's sixteen colours, and the names that drawing uses. Read by firmware and host tools alike.

Eight even greys carry the camera's picture and the text's soft edges; the others mean something.
"""

from firmware.base.compat import const

PALETTE = (
    (0, 0, 0),
    (36, 36, 36),
    (73, 73, 73),
    (109, 109, 109),
    (146, 146, 146),
    (182, 182, 182),
    (219, 219, 219),
    (255, 255, 255),
    (205, 48, 52),
    (84, 20, 26),
    (240, 188, 72),
    (20, 72, 46),
    (62, 186, 112),
    (92, 150, 230),
    (26, 38, 58),
    (250, 150, 40),
)

BLACK = const(0)
GREY1, GREY2, GREY3, GREY4, GREY5, GREY6 = const(1), const(2), const(3), const(4), const(5), const(6)
WHITE = const(7)
RED = const(8)  # denied, alarm
DARK_RED = const(9)
GOLD = const(10)  # the panel's own voice: titles' lines, the box around a face
DARK_GREEN = const(11)
GREEN = const(12)  # granted
BLUE = const(13)
NAVY = const(14)  # fields and buttons
AMBER = const(15)  # something is not as usual

GREYS = const(8)  # palette entries 0..7, from black to white


def blend(paper: int, ink: int, thirds: int) -> int:
    """What shows best `thirds` / 3 of `ink` over `paper`: a grey or one of the two, never a foreign hue."""
    mixed = [(p * (3 - thirds) + i * thirds) // 3 for p, i in zip(PALETTE[paper], PALETTE[ink])]

    def distance(index: int) -> int:
        return sum([(a - b) ** 2 for a, b in zip(PALETTE[index], mixed)])

    return min((paper, ink) + tuple(range(GREYS)), key=distance)
