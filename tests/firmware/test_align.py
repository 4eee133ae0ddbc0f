"""Alignment: the template maps onto itself, a turned and grown template comes back, nonsense is refused."""

from firmware.base.errors import PoorQuality
from firmware.vision.align import similarity

# The template in 1/16 px at 96 px, rounded.
TEMPLATE = ((469, 683), (1032, 680), (752, 1004), (521, 1334), (988, 1331))


def moved(a: int, b: int, dx: int, dy: int) -> list:
    """The template times the complex number a + bi, shifted (1/16 px)."""
    return [(a * x - b * y + dx, b * x + a * y + dy) for x, y in TEMPLATE]


def near(transform, expected, slack: int) -> bool:
    return all(abs(found - wanted) <= slack for found, wanted in zip(transform, expected))


def test_template_stays_in_place():
    a, b, tx, ty = similarity(TEMPLATE)
    assert near((a, b), (65536, 0), 60)
    assert near((tx, ty), (0, 0), 6000)


def test_scale_turn_and_shift_are_found():
    base = similarity(TEMPLATE)
    a, b, tx, ty = similarity(moved(2, 1, 160, -80))
    assert near((a, b), (2 * base[0] - base[1], base[0] + 2 * base[1]), 2)
    assert near((tx, ty), (2 * base[2] - base[3] + 10 * 65536, base[2] + 2 * base[3] - 5 * 65536), 4)


def test_uneven_points_give_the_exact_integers():
    """Values of an independent rational least-squares solution (tests/host_tools/test_vision_panel.py
    compares many more)."""
    points = ((1601, 1522), (2390, 1493), (2011, 1950), (1700, 2310), (2290, 2333))
    assert similarity(points) == (84669, 249, 4219505, 2533305)


def test_points_that_span_nothing_are_refused():
    scrambled = [(0, 0), (10, 0), (4000, 0), (0, 10), (10, 10)]
    for points in ([(100, 100)] * 5, [(0, 0)] * 5, scrambled):
        try:
            similarity(points)
        except PoorQuality:
            continue
        raise AssertionError("collapsed landmarks were aligned")
