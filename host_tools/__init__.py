"""Menshen's host tools. An installed wheel carries firmware, models and boards under this package, out of everybody's
way; a checkout has them beside it."""

import sys

if sys.implementation.name != "micropython":  # which reads the virtual cards from here, in tests
    from pathlib import Path

    _bundle = Path(__file__).parent / "_bundle"
    if _bundle.is_dir():
        sys.path.append(str(_bundle))  # last: whatever else is called `firmware` or `models` goes before
