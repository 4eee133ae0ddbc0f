"""Whether a door opens: a pure function of facts and time, default deny, the same for every kind of
credential. `cases.md` beside this file says in a manager's words what follows from it.

A fact left out denies. The rules are a list of denials, read in order: the first that holds gives the
reason, and only when none holds is the door opened, so that another denial can only ever shut it.

Neither the link nor the camera is among the facts: a panel that is offline, or blind, decides as ever.
"""

from collections import namedtuple

from firmware.access.schedule import Schedule
from firmware.base.compat import const

KINDS = ("face", "pin", "card")

CLOCK_KEPT = const(1)
CLOCK_SET = const(2)

# `alarm`: a duress PIN was proven; help is called in silence, whether the door opens or not.
Decision = namedtuple("Decision", ("allow", "reason", "alarm"))
Rights = namedtuple("Rights", ("doors", "schedule", "valid_from", "valid_until"))

REASONS = {
    "granted": "The credential was proven, and its holder may use this door at this time.",
    "bad_facts": "The panel could not read what it knows about this resident, so the door stays locked.",
    "unknown_kind": "This panel does not know this kind of credential.",
    "not_provisioned": "This panel belongs to no site yet.",
    "maintenance": "The panel is in maintenance and opens for nobody.",
    "lockdown": "The site is in lockdown.",
    "locked_out": "Too many failed attempts of this kind; other ways in still work.",
    "not_recognised": "The credential was not recognised.",
    "flat_first": "This panel compares a face only with those of the flat that was typed before.",
    "withdrawn": "This credential was withdrawn: revoked, used up, or a face whose consent has ended.",
    "wrong_door": "The resident's rights do not include this door.",
    "clock_unknown": "The panel does not surely know the time, and this resident's rights depend on it.",
    "not_yet": "The resident's rights have not begun.",
    "expired": "The resident's rights have ended.",
    "out_of_hours": "The resident's hours do not include this time.",
    "passback": "The resident has just come in this way, and nobody is to pass a credential back.",
    "second_factor": "This way in needs another proof besides: the PIN with a face or card, either with the PIN.",
}


class Facts:
    """What is known at one attempt. Every default denies.

    kind            'face', 'pin' (a visitor's code is one) or 'card'
    verified        the credential itself was proven: matched, hash equal, key shown
    rights          of its holder: doors (bitmap), schedule, valid_from and valid_until (Unix seconds,
                    0 is no limit); anything with these attributes, or None for nobody
    door            this door's number, a bit of `doors`
    clock           0 unknown, CLOCK_KEPT by its battery since it was last set, CLOCK_SET since the start
    battery_low     the clock's battery is weak: what it kept is not believed
    locked          the kinds of credential now under lockout
    withdrawn       the kinds that this resident has had withdrawn, or used up
    one_to_many     faces may be compared with everybody's; else the flat comes first
    claimed         the holder's flat was typed before
    passback        the kinds by which this resident has come in too recently
    second          the kinds that do not suffice alone
    proven          the other kinds that the same holder has proven at this visit
    duress          the credential says that its holder is threatened
    holidays        local days since 1 January 1970
    utc_offset_min  the site's time zone
    """

    def __init__(
        self,
        kind: str = "",
        verified: bool = False,
        rights=None,
        door: int = -1,
        clock: int = 0,
        battery_low: bool = True,
        provisioned: bool = False,
        maintenance: bool = True,
        lockdown: bool = True,
        locked: tuple = KINDS,
        withdrawn: tuple = KINDS,
        one_to_many: bool = False,
        claimed: bool = False,
        passback: tuple = KINDS,
        second: tuple = KINDS,
        proven: tuple = (),
        duress: bool = False,
        holidays=None,
        utc_offset_min: int = 0,
    ):
        self.kind = kind
        self.verified = verified
        self.rights = rights
        self.door = door
        self.clock = clock
        self.battery_low = battery_low
        self.provisioned = provisioned
        self.maintenance = maintenance
        self.lockdown = lockdown
        self.locked = locked
        self.withdrawn = withdrawn
        self.one_to_many = one_to_many
        self.claimed = claimed
        self.passback = passback
        self.second = second
        self.proven = proven
        self.duress = duress
        self.holidays = holidays
        self.utc_offset_min = utc_offset_min


def _timed(rights) -> bool:
    return bool(rights.valid_from or rights.valid_until) or not rights.schedule.is_always


def _knows_time(facts: Facts) -> bool:
    return facts.clock == CLOCK_SET or (facts.clock == CLOCK_KEPT and facts.battery_low is False)


def _shut_now(facts: Facts, now: int) -> bool:
    schedule = facts.rights.schedule
    return not schedule.is_always and not schedule.is_open(now, facts.utc_offset_min, facts.holidays)


def _alone(facts: Facts) -> bool:
    """No other kind was proven beside this one."""
    return not [kind for kind in facts.proven if kind in KINDS and kind != facts.kind]


# States of the panel come first, then the proof, then the rights: a stranger learns nothing about anybody's
# rights. A second proof is asked for last, of those whom it would let in.
DENIALS = (
    ("unknown_kind", lambda facts, now: facts.kind not in KINDS),
    ("not_provisioned", lambda facts, now: facts.provisioned is not True),
    ("maintenance", lambda facts, now: facts.maintenance is not False),
    ("lockdown", lambda facts, now: facts.lockdown is not False),
    ("locked_out", lambda facts, now: facts.kind in facts.locked),
    ("not_recognised", lambda facts, now: facts.verified is not True or facts.rights is None),
    (
        "flat_first",
        lambda facts, now: facts.kind == "face" and facts.one_to_many is not True and facts.claimed is not True,
    ),
    ("withdrawn", lambda facts, now: facts.kind in facts.withdrawn),
    ("wrong_door", lambda facts, now: facts.door < 0 or not facts.rights.doors >> facts.door & 1),
    ("bad_facts", lambda facts, now: not isinstance(facts.rights.schedule, Schedule)),
    ("clock_unknown", lambda facts, now: not _knows_time(facts) and _timed(facts.rights)),
    ("not_yet", lambda facts, now: facts.rights.valid_from and now < facts.rights.valid_from),
    ("expired", lambda facts, now: facts.rights.valid_until and now >= facts.rights.valid_until),
    ("out_of_hours", _shut_now),
    ("passback", lambda facts, now: facts.kind in facts.passback),
    ("second_factor", lambda facts, now: facts.kind in facts.second and _alone(facts)),
)


def decide(facts: Facts, now: int) -> Decision:
    """The decision at `now`, Unix seconds; facts that cannot be read deny."""
    alarm = facts.duress is True and facts.verified is True
    try:
        for reason, denies in DENIALS:
            if denies(facts, now):
                return Decision(False, reason, alarm)
    except (TypeError, ValueError, AttributeError, IndexError, KeyError, OverflowError):
        return Decision(False, "bad_facts", alarm)
    return Decision(True, "granted", alarm)


def explain(decision: Decision) -> str:
    return REASONS[decision.reason]
