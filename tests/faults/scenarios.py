"""One cut, everywhere: each step in each setting, cut after each of its operations in each way, and the start after
it cut after each of its own."""

from tests.faults.model import PEOPLE, Findings, Model
from tests.faults.rig import Rig, tearing

GRACE, EILEEN, DOROTHY = PEOPLE
_FILLED = 36  # entries in a block of the log
_SLOTS = 255  # of a block of counters


def _lived_in(model: Model) -> None:
    for handle, tag in ((GRACE, 1), (EILEEN, 2)):
        model.step("enrol", model.enrol(handle, tag))
        model.step("credential", model.credential(handle, tag))


def _log_full(model: Model, left: int) -> None:
    """The log's ring has gone round, and its block in use has room for `left` more."""
    _lived_in(model)
    model.step("wipe", model.wipe(EILEEN))  # its receipt is to be carried
    model.step("chatter", model.chatter(3 * _FILLED))
    while model.rig.vault._audit._slot != _FILLED - left:
        model.step("chatter", model.chatter(1))


def _resisting(model: Model) -> None:
    _lived_in(model)
    block = model.rig.vault._pool.index[(1, EILEEN)][0]
    model.rig.faults.stuck.add(block)
    model.step("wipe", model.wipe(EILEEN))


def _counted(model: Model) -> None:
    _lived_in(model)
    while model.rig.vault._counters._slot < _SLOTS:
        model.step("count", model.count(model.numbers["link"] + 1))


# name: (what came before, the step)
SCENARIOS = {
    "enrol": (_lived_in, lambda m: m.enrol(DOROTHY, 3)),
    "replace": (_lived_in, lambda m: m.enrol(GRACE, 3)),
    "wipe": (_lived_in, lambda m: m.wipe(GRACE)),
    "credential change": (_lived_in, lambda m: m.credential(GRACE, 9)),
    "credentials dropped": (_lived_in, lambda m: m.drop(GRACE)),
    "tombstone": (_lived_in, lambda m: m.bury(GRACE)),
    "enrol as the log turns": (lambda m: _log_full(m, 0), lambda m: m.enrol(DOROTHY, 3)),
    "replace as the log turns": (lambda m: _log_full(m, 1), lambda m: m.enrol(GRACE, 3)),
    "wipe as the log turns": (lambda m: _log_full(m, 1), lambda m: m.wipe(GRACE)),
    "log rotation": (lambda m: _log_full(m, 0), lambda m: m.chatter(1)),
    "log purged by age": (lambda m: _log_full(m, 9), lambda m: m.purge()),
    "receipts acknowledged": (lambda m: _log_full(m, 9), lambda m: m.acknowledge()),
    "counters carried over": (_counted, lambda m: m.count(500)),
    "wipe beside a resisting block": (_resisting, lambda m: m.wipe(GRACE)),
    "log rotation with a wipe open": (
        lambda m: (_resisting(m), m.step("chatter", m.chatter(4 * _FILLED - 20)))[0],
        lambda m: m.chatter(24),
    ),
    "wipe-all": (_lived_in, None),
    "wipe-all beside a resisting block": (_resisting, None),
}


def run(findings: Findings, name: str, make_rig=Rig, tears=(0, 1, 2, 3), again=True) -> None:
    setting, step = SCENARIOS[name]
    model = Model(findings, make_rig)
    setting(model)
    start = model.snapshot()
    for tear in tears:
        cut_after = 0
        while not findings.bad and _cut_at(model, name, step, start, tear, cut_after, again):
            cut_after += 1


def _cut_at(model: Model, name: str, step, start: tuple, tear: int, cut_after: int, again: bool) -> bool:
    """Whether the step was long enough to be cut there."""
    model.restore(start)
    model.rig.faults.torn = tearing(tear, cut_after)
    if step:
        cut = model.step(name, step(model), cut_after)
        power_on = model.reopen
    else:
        cut = model.give_up(cut_after)
        power_on = model.after_giving_up
    if not cut:
        model.rig.faults.torn = None
        return False
    broken = model.snapshot()
    model.rig.faults.torn = None
    power_on()
    later = 0
    while again and not model.findings.bad:
        model.rewind(broken)
        model.rig.faults.torn = tearing(tear, 1000 + later)
        if not power_on(later):
            break
        model.rig.faults.torn = None
        power_on()
        later += 1 if step else 5
    model.rig.faults.torn = None
    return True
