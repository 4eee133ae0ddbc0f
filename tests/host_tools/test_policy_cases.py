"""The manager's table of cases, executed, and what no combination of facts may do."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.access.policy import CLOCK_KEPT, CLOCK_SET, DENIALS, KINDS, Facts, Rights, decide
from firmware.access.schedule import HOLIDAY, Schedule
from firmware.services.visits import Visits

TABLES = Path(__file__).resolve().parents[2] / "firmware" / "access" / "cases.md"
ZONE = timezone(timedelta(hours=8))
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def rows(heading: str) -> list[dict[str, str]]:
    text = TABLES.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [dict(zip(lines[0], cells, strict=True)) for cells in lines[2:]]


def unix(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()) if text else 0


def hours(text: str) -> Schedule:
    if text in ("always", "never"):
        return Schedule.always() if text == "always" else Schedule()
    return Schedule([window(part) for part in text.split(", ")])


def window(text: str) -> tuple[int, int, int]:
    days, times = text.split()
    start, end = (int(t[:2]) * 60 + int(t[3:]) for t in times.split("-"))
    if days == "Holiday":
        return HOLIDAY, start, end
    first, last = DAYS.index(days[:3]), DAYS.index(days[-3:])
    return sum(1 << day for day in range(first, last + 1)), start, end


PEOPLE = {
    row["who"]: Rights(
        sum(1 << int(door) for door in row["doors"].split()), hours(row["hours"]), unix(row["from"]), unix(row["until"])
    )
    for row in rows("People")
}


def facts(case: dict[str, str]) -> Facts:
    while_ = case["while"].split(", ") if case["while"] else []
    *first, last = case["proves"].split(" + ")
    kind, *how = last.split()
    came = [words.split()[-1] for words in while_ if words.startswith("just in by")]
    visits = Visits()
    for by in came:
        visits.released(b"her", by)
        visits.opened(100)
    two = "two proofs" in while_
    return Facts(
        kind=kind,
        verified=how != ["wrong"],
        rights=PEOPLE[case["who"]] if how != ["wrong"] else None,
        door=int(case["door"]),
        clock={"clock unknown": 0, "clock kept": CLOCK_KEPT}.get(
            next((w for w in while_ if w[:5] == "clock"), ""), CLOCK_SET
        ),
        battery_low="battery low" in while_,
        provisioned="no owner" not in while_,
        maintenance="maintenance" in while_,
        lockdown="lockdown" in while_,
        locked=tuple(k for k in KINDS if f"{k} locked" in while_),
        withdrawn=tuple(k for k in KINDS if f"{k} withdrawn" in while_),
        one_to_many="one to many" in while_,
        claimed="flat not typed" not in while_,
        passback=visits.recent(b"her", 130, 60),
        second=KINDS if two else (),
        proven=tuple(first),
        duress=how == ["duress"],
        holidays=(unix("2024-01-01 12:00") // 86400,) if "holiday" in while_ else (),
        utc_offset_min=480,
    )


@pytest.mark.parametrize(
    "case", rows("Cases"), ids=lambda c: " ".join(filter(None, (c["who"], c["proves"], c["while"])))
)
def test_a_managers_case(case: dict[str, str]) -> None:
    decision = decide(facts(case), unix(case["when"]))
    answer = ("opens" if decision.allow else "shut") + (", silent alarm" if decision.alarm else "")
    assert (answer, decision.reason) == (case["answer"], case["reason"])


def test_the_table_shows_every_reason() -> None:
    assert {case["reason"] for case in rows("Cases")} >= {reason for reason, _ in DENIALS} - {
        "unknown_kind",
        "bad_facts",
    }


# Properties

kinds = st.lists(st.sampled_from(KINDS), max_size=3, unique=True).map(tuple)
minutes = st.integers(0, 1439)
windows = st.lists(st.tuples(st.integers(1, 255), minutes, st.integers(1, 1440)), max_size=4)
schedules = st.one_of(st.just(Schedule.always()), windows.map(Schedule))
moments = st.integers(0, 2**32 - 1)
limits = st.one_of(st.just(0), moments)
rights = st.builds(Rights, st.integers(0, 2**32 - 1), schedules, limits, limits)
anything = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=3), st.binary(max_size=3), kinds)


def some_facts(kind=st.sampled_from(KINDS), **fixed) -> st.SearchStrategy[Facts]:  # noqa: B008
    parts = dict(
        kind=kind,
        verified=st.booleans(),
        rights=rights,
        door=st.integers(0, 31),
        clock=st.integers(0, 2),
        battery_low=st.booleans(),
        provisioned=st.booleans(),
        maintenance=st.booleans(),
        lockdown=st.booleans(),
        locked=kinds,
        withdrawn=kinds,
        one_to_many=st.booleans(),
        claimed=st.booleans(),
        passback=kinds,
        second=kinds,
        proven=kinds,
        duress=st.booleans(),
        holidays=st.lists(st.integers(0, 60000), max_size=3).map(tuple),
        utc_offset_min=st.integers(-720, 840),
    )
    return st.builds(Facts, **{**parts, **fixed})


OPENING = dict(
    verified=st.just(True), provisioned=st.just(True), maintenance=st.just(False), lockdown=st.just(False)
)  # fmt: skip
FREE = {name: st.just(()) for name in ("locked", "withdrawn", "passback", "second")}
# Each makes one denial more; none may turn a shut door into an open one.
WORSE = (
    {"verified": False},
    {"provisioned": False},
    {"maintenance": True},
    {"lockdown": True},
    {"locked": KINDS},
    {"withdrawn": KINDS},
    {"passback": KINDS},
    {"second": KINDS},
    {"proven": ()},
    {"claimed": False},
    {"one_to_many": False},
    {"clock": 0},
    {"battery_low": True},
    {"rights": None},
    {"door": -1},
)


def changed(facts: Facts, **values) -> Facts:
    return Facts(**{**vars(facts), **values})


@settings(max_examples=300, deadline=None)
@given(some_facts(), moments)
def test_adding_a_denial_never_opens(given_facts: Facts, now: int) -> None:
    before = decide(given_facts, now)
    for values in WORSE:
        after = decide(changed(given_facts, **values), now)
        assert before.allow or not after.allow, values
    for name in ("locked", "withdrawn", "passback", "second"):
        for kind in KINDS:
            more = changed(given_facts, **{name: (*getattr(given_facts, name), kind)})
            assert before.allow or not decide(more, now).allow


@settings(max_examples=300, deadline=None)
@given(some_facts(**FREE, claimed=st.just(True)), moments)
def test_equal_rights_open_equally_whatever_the_credential(given_facts: Facts, now: int) -> None:
    assert len({decide(changed(given_facts, kind=kind), now) for kind in KINDS}) == 1


@settings(max_examples=300, deadline=None)
@given(some_facts(kind=st.just("card"), **OPENING, **FREE), moments)
def test_nothing_of_the_face_keeps_a_valid_card_out(given_facts: Facts, now: int) -> None:
    plain = decide(given_facts, now)
    for name in ("locked", "withdrawn", "passback", "second"):
        assert decide(changed(given_facts, **{name: ("face",)}), now) == plain
    for values in ({"claimed": False}, {"one_to_many": True}, {"proven": ("face",)}):
        assert decide(changed(given_facts, **values), now) == plain


@settings(max_examples=300, deadline=None)
@given(some_facts(**OPENING), moments, st.sampled_from([name for name in vars(Facts()) if name != "duress"]), anything)
def test_facts_that_make_no_sense_never_raise_and_open_only_for_what_was_proven(
    given_facts: Facts, now: int, name: str, value: object
) -> None:
    decision = decide(changed(given_facts, **{name: value}), now)
    if name in ("verified", "provisioned") and value is not True:
        assert not decision.allow
    if name in ("maintenance", "lockdown") and value is not False:
        assert not decision.allow


@given(st.sampled_from([name for name in vars(Facts()) if name not in ("utc_offset_min", "duress")]))
def test_by_default_the_door_stays_shut(name: str) -> None:
    assert not decide(Facts(), 0).allow
    assert not decide(changed(Facts(), **{name: KINDS}), 0).allow


@given(moments, st.integers(1, 1440), st.sampled_from(KINDS))
def test_a_face_taken_for_somebodys_never_costs_them_card_or_pin(now: int, minutes: int, kind: str) -> None:
    visits = Visits()
    visits.released(b"her", "face")
    visits.opened(now)
    assert visits.recent(b"her", now + 1, minutes * 60) == ("face",)
    visits.released(b"her", kind)
    visits.opened(now)
    assert kind in visits.recent(b"her", now + 1, minutes * 60)
    assert visits.recent(b"her", now + minutes * 60, minutes * 60) == ()
    assert visits.recent(b"him", now + 1, minutes * 60) == ()
