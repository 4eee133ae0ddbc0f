"""The door's decision: cases a manager can read, and the properties that no case may break."""

from firmware.access.policy import CLOCK_KEPT, CLOCK_SET, DENIALS, KINDS, REASONS, Facts, Rights, decide, explain
from firmware.access.schedule import Schedule

TIANJIN = 8 * 60
OFFICE = Schedule([(0x1F, 8 * 60, 18 * 60)])
ALWAYS = Schedule.always()
EVERY_RIGHT = Rights(1, ALWAYS, 0, 0)
NOW = 1704067200 + 4 * 3600  # Monday, 1 January 2024, 04:00 UTC: noon in Tianjin


def good(kind: str = "card", **changes) -> Facts:
    """Facts that open the door, with `changes`."""
    facts = dict(
        kind=kind,
        verified=True,
        rights=EVERY_RIGHT,
        door=0,
        clock=CLOCK_SET,
        battery_low=True,
        provisioned=True,
        maintenance=False,
        lockdown=False,
        locked=(),
        withdrawn=(),
        claimed=True,
        passback=(),
        second=(),
        holidays=(),
        utc_offset_min=TIANJIN,
    )
    facts.update(changes)
    return Facts(**facts)


# What differs from facts that open the door, at Monday noon, and the reason to expect.
CASES = (
    ({}, "granted"),
    ({"kind": "voice"}, "unknown_kind"),
    ({"provisioned": False}, "not_provisioned"),
    ({"maintenance": True}, "maintenance"),
    ({"lockdown": True}, "lockdown"),
    ({"locked": KINDS}, "locked_out"),
    ({"verified": False}, "not_recognised"),
    ({"verified": 1}, "not_recognised"),
    ({"rights": None}, "not_recognised"),
    ({"withdrawn": KINDS}, "withdrawn"),
    ({"door": 3}, "wrong_door"),
    ({"door": -1}, "wrong_door"),
    ({"rights": Rights(0, ALWAYS, 0, 0)}, "wrong_door"),
    ({"rights": Rights(2, ALWAYS, 0, 0), "door": 1}, "granted"),
    ({"rights": Rights(1, ALWAYS, NOW + 1, 0)}, "not_yet"),
    ({"rights": Rights(1, ALWAYS, NOW, 0)}, "granted"),
    ({"rights": Rights(1, ALWAYS, 0, NOW)}, "expired"),
    ({"rights": Rights(1, ALWAYS, 0, NOW + 1)}, "granted"),
    ({"rights": Rights(1, Schedule(), 0, 0)}, "out_of_hours"),
    ({"rights": Rights(1, OFFICE, 0, 0)}, "granted"),
    ({"rights": Rights(1, OFFICE, 0, 0), "utc_offset_min": -8 * 60}, "out_of_hours"),
    ({"rights": Rights(1, OFFICE, 0, 0), "holidays": (NOW // 86400,)}, "out_of_hours"),
    ({"holidays": (NOW // 86400,)}, "granted"),
    ({"clock": 0}, "granted"),
    ({"clock": 0, "rights": Rights(1, OFFICE, 0, 0)}, "clock_unknown"),
    ({"clock": 0, "rights": Rights(1, ALWAYS, 0, NOW + 9)}, "clock_unknown"),
    ({"clock": CLOCK_KEPT, "rights": Rights(1, OFFICE, 0, 0)}, "clock_unknown"),
    ({"clock": CLOCK_KEPT, "battery_low": False, "rights": Rights(1, OFFICE, 0, 0)}, "granted"),
    ({"clock": CLOCK_SET, "rights": Rights(1, OFFICE, 0, 0)}, "granted"),
    ({"passback": KINDS}, "passback"),
    ({"second": KINDS}, "second_factor"),
    ({"second": KINDS, "proven": ("nose",)}, "second_factor"),
    ({"second": KINDS, "proven": KINDS}, "granted"),
    ({"duress": True}, "granted"),
    ({"rights": Rights(1, OFFICE, 0, 0), "holidays": None}, "bad_facts"),
    ({"rights": Rights(1, None, 0, 0)}, "bad_facts"),
    ({"rights": Rights("1", ALWAYS, 0, 0)}, "bad_facts"),
    ({"rights": "everything"}, "bad_facts"),
    ({"locked": None}, "bad_facts"),
    ({"door": "0"}, "bad_facts"),
)

DENYING = [changes for changes, reason in CASES if reason != "granted"]


def test_a_manager_can_read_every_case():
    for kind in KINDS:
        for changes, reason in CASES:
            decision = decide(good(**dict({"kind": kind}, **changes)), NOW)
            assert decision.reason == reason, (kind, changes, decision)
            assert decision.allow is (reason == "granted"), (kind, changes, decision)
    assert decide(good("face", claimed=False), NOW).reason == "flat_first"
    assert decide(good("face", claimed=False, one_to_many=True), NOW).allow
    assert decide(good("card", claimed=False), NOW).allow


def test_with_nothing_known_the_door_stays_locked():
    assert not decide(Facts(), NOW).allow
    for kind in KINDS:
        assert not decide(Facts(kind=kind), NOW).allow
        assert not decide(Facts(kind=kind, verified=True), NOW).allow


def test_each_fact_is_needed():
    """Taking any one fact back to its default shuts the door; the clock only where hours are set."""
    start = vars_of(good())
    for name in start:
        if name in ("clock", "battery_low", "holidays", "utc_offset_min"):
            continue  # these matter to timed rights alone
        if name in ("claimed", "one_to_many", "proven", "duress"):
            continue  # to faces, to two proofs, and to the alarm
        facts = good()
        setattr(facts, name, getattr(Facts(), name))
        assert not decide(facts, NOW).allow, name


def vars_of(facts) -> list:
    return [name for name in dir(facts) if not name.startswith("_")]


def test_adding_a_denial_never_opens():
    for first in DENYING:
        for second in DENYING:
            both = dict(first)
            both.update(second)
            # Where both touch the same fact the second stands, and it denies by itself.
            assert not decide(good(**both), NOW).allow, (first, second)


def test_the_same_rights_open_the_same_doors_at_the_same_times_whatever_the_credential():
    for rights in (EVERY_RIGHT, Rights(6, OFFICE, NOW - 9, NOW + 90000), Rights(2, OFFICE, 0, 0)):
        for door in range(4):
            for hour in range(0, 24 * 8, 3):
                for clock in (CLOCK_SET, CLOCK_KEPT, 0):
                    answers = {
                        decide(
                            good(kind, rights=rights, door=door, clock=clock),
                            NOW + hour * 3600,
                        )
                        for kind in KINDS
                    }
                    assert len(answers) == 1, (rights, door, hour, answers)


def test_a_face_lockout_or_withdrawal_leaves_pin_and_card_as_they_were():
    for changes, reason in CASES:
        if "locked" in changes or "withdrawn" in changes or "kind" in changes:
            continue
        for kind in ("pin", "card"):
            facts = good(kind, locked=("face",), withdrawn=("face",), **changes)
            assert decide(facts, NOW).reason == reason
        facts = good("face", locked=("face",), withdrawn=("face",), **changes)
        assert not decide(facts, NOW).allow


def test_a_stranger_learns_nothing_about_rights():
    """Whatever the rights, an unproven credential gets the same answer."""
    for rights in (None, EVERY_RIGHT, Rights(0, ALWAYS, 0, 0), Rights(1, OFFICE, NOW + 9, NOW + 10)):
        for withdrawn in ((), KINDS):
            facts = good("pin", verified=False, rights=rights, withdrawn=withdrawn, clock=0)
            assert decide(facts, NOW).reason == "not_recognised"


def test_duress_calls_for_help_and_changes_nothing_else():
    for changes, _ in CASES:
        if "duress" in changes or changes.get("verified", True) is not True:
            continue
        calm, forced = decide(good(**changes), NOW), decide(good(**dict(changes, duress=True)), NOW)
        assert calm[:2] == forced[:2] and not calm.alarm and forced.alarm
    assert not decide(good(duress=True, verified=False), NOW).alarm


def test_two_proofs_are_of_two_kinds():
    for first in KINDS:
        for second in KINDS:
            allowed = decide(good(first, second=KINDS, proven=(second,)), NOW).allow
            assert allowed is (first != second)


def test_deciding_changes_no_fact_and_repeats():
    facts = good("face", rights=Rights(1, OFFICE, 5, 0))
    before = [getattr(facts, name) for name in vars_of(facts)]
    first = decide(facts, NOW)
    assert decide(facts, NOW) == first
    assert before == [getattr(facts, name) for name in vars_of(facts)]


def test_every_reason_has_its_sentence():
    used = {reason for _, reason in CASES} | {"flat_first"}
    assert used == set(REASONS)
    assert {reason for reason, _ in DENIALS} | {"granted", "bad_facts"} == set(REASONS)
    for sentence in REASONS.values():
        assert sentence.endswith(".")
    assert explain(decide(good(), NOW)) == REASONS["granted"]
