"""Whether a door opens: a pure function of facts and time, default deny, the same for every kind of
credential.

A fact left out denies. The rules are a list of denials, read in order: the first that holds gives the
reason, and only when none holds is the door opened, so that another denial can only ever shut it.
"""

from collections import namedtuple

from firmware.access.schedule import Schedule

KINDS = ("face", "pin", "card")

Decision = namedtuple("Decision", ("allow", "reason"))
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
    "withdrawn": "This credential was withdrawn: a revoked card or PIN, or a face whose consent has ended.",
    "wrong_door": "The resident's rights do not include this door.",
    "clock_unknown": "The panel does not know the time, and this resident's rights depend on it.",
    "not_yet": "The resident's rights have not begun.",
    "expired": "The resident's rights have ended.",
    "out_of_hours": "The resident's hours do not include this time.",
}


class Facts:
    """What is known at one attempt. Every default denies.

    kind            'face', 'pin' or 'card'
    verified        the credential itself was proven: matched, hash equal, key shown
    rights          of its holder: doors (bitmap), schedule, valid_from and valid_until (Unix seconds,
                    0 is no limit); anything with these attributes, or None for nobody
    door            this door's number, a bit of `doors`
    clock_known     whether `now` can be believed
    locked          the kinds of credential now under lockout
    withdrawn       the kinds that this resident has had withdrawn
    utc_offset_min  the site's time zone
    """

    def __init__(
        self,
        kind: str = "",
        verified: bool = False,
        rights=None,
        door: int = -1,
        clock_known: bool = False,
        provisioned: bool = False,
        maintenance: bool = True,
        lockdown: bool = True,
        locked: tuple = KINDS,
        withdrawn: tuple = KINDS,
        utc_offset_min: int = 0,
    ):
        self.kind = kind
        self.verified = verified
        self.rights = rights
        self.door = door
        self.clock_known = clock_known
        self.provisioned = provisioned
        self.maintenance = maintenance
        self.lockdown = lockdown
        self.locked = locked
        self.withdrawn = withdrawn
        self.utc_offset_min = utc_offset_min


def _timed(rights) -> bool:
    return bool(rights.valid_from or rights.valid_until) or not rights.schedule.is_always


# States of the panel come first, then the proof, then the rights: a stranger learns nothing about anybody's
# rights.
DENIALS = (
    ("unknown_kind", lambda facts, now: facts.kind not in KINDS),
    ("not_provisioned", lambda facts, now: facts.provisioned is not True),
    ("maintenance", lambda facts, now: facts.maintenance is not False),
    ("lockdown", lambda facts, now: facts.lockdown is not False),
    ("locked_out", lambda facts, now: facts.kind in facts.locked),
    ("not_recognised", lambda facts, now: facts.verified is not True or facts.rights is None),
    ("withdrawn", lambda facts, now: facts.kind in facts.withdrawn),
    ("wrong_door", lambda facts, now: facts.door < 0 or not facts.rights.doors >> facts.door & 1),
    ("bad_facts", lambda facts, now: not isinstance(facts.rights.schedule, Schedule)),
    ("clock_unknown", lambda facts, now: facts.clock_known is not True and _timed(facts.rights)),
    ("not_yet", lambda facts, now: facts.rights.valid_from and now < facts.rights.valid_from),
    ("expired", lambda facts, now: facts.rights.valid_until and now >= facts.rights.valid_until),
    (
        "out_of_hours",
        lambda facts, now: (
            not facts.rights.schedule.is_always
            and not facts.rights.schedule.is_open(now, facts.utc_offset_min)
        ),
    ),
)


def decide(facts: Facts, now: int) -> Decision:
    """The decision at `now`, Unix seconds; facts that cannot be read deny."""
    try:
        for reason, denies in DENIALS:
            if denies(facts, now):
                return Decision(False, reason)
    except (TypeError, ValueError, AttributeError, IndexError, KeyError, OverflowError):
        return Decision(False, "bad_facts")
    return Decision(True, "granted")


def explain(decision: Decision) -> str:
    return REASONS[decision.reason]
