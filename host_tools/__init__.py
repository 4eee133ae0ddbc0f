"""Menshen's host tools. An installed wheel carries firmware, models and boards under this package, out of everybody's
way; a checkout has them beside it."""

import sys
from pathlib import Path

_BUNDLE = Path(__file__).parent / "_bundle"
if _BUNDLE.is_dir():
    sys.path.append(str(_BUNDLE))  # last: whatever else is called `firmware` or `models` goes before
