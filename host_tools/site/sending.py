"""Changes that concern a panel and the registry both.

The registry first marks what is under way, then the panel is asked, then the mark becomes the new state. A
cut anywhere leaves the mark, and the same command run again finishes the work: every request to a panel is
idempotent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from firmware.base.errors import MenshenError
from host_tools.errors import HostError, LinkFailed
from host_tools.site.database import Connection
from host_tools.site.site import Site


@contextmanager
def sending(site: Site, undo: Callable[[Connection], object]) -> Iterator[None]:
    """Around a panel's request: `undo` takes the mark back when the panel surely did nothing."""
    try:
        yield
    except LinkFailed:
        raise  # the panel may have done it: the mark stays
    except (HostError, MenshenError):
        with site.registry.transaction() as db:
            undo(db)
        raise
