"""Drivers of chips, above a bus object that the board makes: `machine` on a board, a software chip in tests."""
