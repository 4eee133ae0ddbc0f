"""`make fleet`: one face is wiped from a thousand panels. The last line is one JSON object with the figures."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.fleet.campaign import Fleet

GOAL_S = 60.0
GROWTH_MB = 16.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fleet", description=__doc__)
    parser.add_argument("--panels", type=int, default=1000)
    parser.add_argument("--real", type=int, default=5, help="of them real virtual panels")
    parser.add_argument("--site", default="", help="an empty registry (default: a SQLite file of its own)")
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Fleet(Path(folder), args.panels, args.real, args.site, talk=_talk) as fleet,
    ):
        outcome = fleet.run()
    slowest = max(outcome.seconds, default=0.0)
    _talk(f"online panels: {len(outcome.seconds)}, all done after {slowest:.1f} s")
    _talk(
        f"panels that were away: {len(outcome.late_seconds)}, done {max(outcome.late_seconds, default=0):.1f} s later"
    )
    _talk(f"power cuts in mid-command: {outcome.restarts}")
    for early, late in outcome.memory_mb:
        _talk(f"a service's memory: {early:.0f} MB after a quarter, {late:.0f} MB at the end")
    for fault in outcome.faults:
        _talk(f"FAULT: {fault}")
    print(json.dumps(outcome.public()))
    good = not outcome.faults and not outcome.missing and not outcome.duplicates_applied
    flat = all(late - early < GROWTH_MB for early, late in outcome.memory_mb)
    return 0 if good and flat and outcome.receipts == outcome.panels and slowest <= GOAL_S else 1


def _talk(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
