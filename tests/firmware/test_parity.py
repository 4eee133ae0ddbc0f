"""Attempts counted by way in and month, kept across restarts, and nobody's name among them."""

import os

from firmware.services.parity import BINS_MS, Parity, month_of
from tests.firmware.entry_house import Entrance
from tests.firmware.vault_house import GRACE, Clock


def folder() -> str:
    path = (os.getenv("TMPDIR") or "/tmp") + "/parity-%d" % id(folder)
    try:
        os.mkdir(path)
    except OSError:
        pass
    try:
        os.remove(path + "/parity.json")
    except OSError:
        pass
    return path


def test_months_follow_the_calendar():
    days = {0: 197001, 1704067199: 202312, 1704067200: 202401, 1709251199: 202402, 1709251200: 202403}
    days[4102444800] = 210001
    for unix, month in days.items():
        assert month_of(unix) == month, unix


def test_what_is_counted_and_where():
    parity = Parity(folder(), Clock())
    parity.note("pin", True, "granted", 4200, 0)
    parity.note("pin", True, "granted", 99_000, 0)
    parity.note("pin", False, "not_recognised", 1, 0)
    parity.note("pin", False, "out_of_hours", 1, 0)
    parity.note("card", True, "granted", 120, 0)
    pin, card = parity.rows(0, 13)
    assert (pin["kind"], pin["month"], pin["opened"], pin["failed"], pin["total_ms"]) == ("pin", 202701, 2, 1, 103_200)
    assert pin["bins"][BINS_MS.index(6000)] == 1 and pin["bins"][-1] == 1 and sum(pin["bins"]) == 2
    assert card["bins"][0] == 1 and card["failed"] == 0


def test_it_is_written_once_an_hour_and_read_again():
    root, clock = folder(), Clock()
    parity = Parity(root, clock)
    parity.note("card", True, "granted", 100, 10)
    parity.tend(3609)
    assert not Parity(root, clock).rows(0, 13)
    parity.tend(3610)
    assert Parity(root, clock).rows(0, 13) == parity.rows(0, 13)


def test_a_year_and_a_month_are_kept():
    clock = Clock()
    parity = Parity(folder(), clock)
    for _ in range(20):
        parity.note("face", True, "granted", 100, 0)
        clock.unix += 31 * 86400
    months = [row["month"] for row in parity.rows(0, 20)]
    assert len(months) == 13 and months == sorted(months)
    assert [row["month"] for row in parity.rows(months[5], 2)] == months[5:7]


def test_a_file_that_cannot_be_starts_anew():
    root = folder()
    for text in ("", "[]", "7", '{"1": 2}', '{"1": {"pin": [1]}}', '{"x": {"pin": %s}}' % ([0] * 15), "[" * 2000,
                 '{"1": {"nose": %s}}' % ([0] * 15), '{"1": {"pin": %s}}' % ([-1] * 15)):  # fmt: skip
        with open(root + "/parity.json", "w") as file:
            file.write(text)
        assert Parity(root, Clock()).rows(0, 13) == [], text


def test_at_the_door_each_attempt_counts_once_and_names_nobody():
    door = Entrance()
    door.resident(GRACE, "301", b"246813")
    assert door.type("301#246813#") and not door.type("301#111222#")
    door.panel.settings.values["lockdown"] = 1
    assert not door.type("301#246813#")
    rows = door.panel.parity.rows(0, 13)
    assert [(row["kind"], row["opened"], row["failed"]) for row in rows] == [("pin", 1, 1)]
    text = str(rows)
    assert "301" not in text.replace(str(rows[0]["month"]), "") and "grace" not in text
