"""Packages from micropython-lib that the firmware needs on this board, by name and hash: none."""

REQUIRES = ()
