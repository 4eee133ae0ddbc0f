"""MicroPython program: a part of the campaign. Prints a JSON object every second or so, the last one final.

micropython tests/faults/worker.py DEFECT scenario NAME [tears [no-again]]
micropython tests/faults/worker.py DEFECT histories FIRST_SEED COUNT
"""

import json
import sys
import time

from tests.faults import defects, histories, scenarios
from tests.faults.model import Findings

_REPORT_MS = 1000


def main(defect: str, mode: str, arguments: list) -> None:
    make_rig = defects.plant(defect)
    findings = Findings()
    said = time.ticks_ms()
    if mode == "scenario":
        tears = tuple([int(t) for t in arguments[1]]) if len(arguments) > 1 else (0, 1, 2, 3)
        again = len(arguments) < 3
        guarded(findings, arguments[0], lambda: scenarios.run(findings, arguments[0], make_rig, tears, again))
    else:
        first, count = int(arguments[0]), int(arguments[1])
        for seed in range(first, first + count):
            guarded(findings, "seed %d" % seed, lambda seed=seed: histories.run(findings, seed, make_rig))
            if time.ticks_diff(time.ticks_ms(), said) > _REPORT_MS:
                said = time.ticks_ms()
                report(findings)
            if findings.bad:
                break
    report(findings)


def guarded(findings: Findings, name: str, act) -> None:
    """Whatever the vault throws that it should not is a panel that stands still."""
    try:
        act()
    except Exception as error:
        findings.add("stuck", "%s: %s" % (name, repr(error)))
        sys.print_exception(error, sys.stderr)


def report(findings: Findings) -> None:
    print(json.dumps({"counts": findings.counts, "notes": findings.notes}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
