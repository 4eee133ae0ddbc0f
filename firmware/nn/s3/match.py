"""Comparing a face with the gallery on the vector unit; the interface stands in firmware/biometrics/match.py."""

from array import array

import uctypes

from firmware.base.compat import const

_ALIGN = const(16)


class Matcher:
    """`machine`: the module of routines. Calls allocate nothing once `scan` has seen its table."""

    def __init__(self, machine):
        self._machine = machine
        self._scores = array("i")

    def dots(self, probe, table, start: int, count: int, out) -> None:
        """`out`: array("i")."""
        address = uctypes.addressof
        self._machine.dots(address(probe), address(table) + start, count, address(out))

    def scan(self, probe, table, scales, counts, per_row: int, margin: int, out) -> int:
        """How many rows come within `margin` of the second best; their numbers go into `out` while it has room.

        More than its room when the table is not aligned.
        """
        address, machine = uctypes.addressof, self._machine
        rows = len(counts)
        if address(table) % _ALIGN:
            return len(out) + 1
        if len(self._scores) != rows:
            self._scores = array("i", (0 for _ in range(rows)))
        scores = address(self._scores)
        second = machine.scan(address(probe), address(table), address(scales), address(counts), rows, per_row, scores)
        return machine.pick(scores, rows, second - margin, address(out), len(out))
