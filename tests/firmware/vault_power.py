"""Power cuts for the vault's tests: after every operation of a step, and of the start that follows."""

import random

from firmware.hal.virtual.flash import PowerCut


def dice(seed: int):
    """A torn operation's random bits, reproducible."""
    random.seed(seed)
    return lambda n: bytes(random.getrandbits(8) for _ in range(n))


def cut(house, action, cut_after: int) -> bool:
    """Whether the power failed in `action`, allowed so many operations."""
    house.faults.cut_after = cut_after
    try:
        action()
    except PowerCut:
        return True
    finally:
        house.faults.restore()
    return False


def after_every_cut(house, action, check, again: bool = False) -> int:
    """Cuts `action` after each operation, clean and torn, reopens and calls check(finished); the cuts made.

    `again`: also cuts the start that follows, after each of its operations.
    """
    start = house.image()
    cuts = 0
    for torn in (None, 1, 2):
        n = 0
        failed = True
        while failed:
            house.restore_image(start)
            house.open()
            house.faults.torn = torn and dice(torn * 1000 + n)
            failed = cut(house, action, n)
            broken = house.image()
            house.open()
            check(not failed)
            cuts += 1
            if again and failed:
                cuts += _cut_the_start(house, broken, check)
            n += 1
    house.faults.torn = None
    return cuts


def _cut_the_start(house, broken: bytes, check) -> int:
    n = 0
    while True:
        house.restore_image(broken)
        try:
            house.open_until(n)
            return n
        except PowerCut:
            pass
        house.open()
        check(False)
        n += 1
