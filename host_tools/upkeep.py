"""What a site needs once a day: `menshen deadlines --retry`, from cron or a timer."""

from __future__ import annotations

import contextlib

from host_tools import chains, ledger, renewal
from host_tools.errors import HostError
from host_tools.site import Site


def run(site: Site) -> list[ledger.Outcome]:
    """Ends consents that were not renewed, asks again for what is owed, hears what happened at the panels, fetches
    their logs and forgets what of them is too old."""
    outcomes = renewal.lapse(site) + ledger.retry(site)
    for record in site.panel_records():
        with contextlib.suppress(HostError):  # told in the outcomes already
            chains.fetch(site, site.link(record))
    chains.purge(site)
    return list(dict.fromkeys(outcomes))
