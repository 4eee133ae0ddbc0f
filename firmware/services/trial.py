"""The first minute of new firmware: it confirms itself when it works, and gives way to the old one when it does not.

The host may say so sooner (update.py). Firmware that hangs or dies needs none of this: it is not started for ever
(start/slots.py).
"""

import asyncio

from firmware.base.compat import const
from firmware.base.log import log
from firmware.services import selftest, update
from firmware.start import slots

_CALM_S = const(20)  # without the death of a task
_WAIT_MS = const(500)
_MOST_S = const(300)  # whatever keeps it from being calm
_FINE = (selftest.OK, selftest.ABSENT, selftest.SKIPPED)
_CHECKS = ("kernels s3", "kernels viper", "vault", "random")


def on(panel) -> bool:
    """Whether the running firmware is on trial."""
    record = slots.read(panel.board.root)
    return record["trial"] is not None and record["slot"] == slots.running()


async def run(panel) -> None:
    """Ends when the trial has; under the supervisor, as any task of the app."""
    while on(panel):
        panel.beat("trial")
        await asyncio.sleep_ms(_WAIT_MS)
        deaths = panel.supervisor.deaths
        if panel.uptime.seconds() >= _MOST_S or deaths:
            await _end(panel, "its tasks died" if deaths else "it did not settle")
        elif panel.uptime.seconds() >= _CALM_S:
            await _end(panel, await _fault(panel))
    while True:
        panel.beat("trial")
        await asyncio.sleep_ms(_WAIT_MS)


async def _end(panel, why: str) -> None:
    log("update", why or "confirmed by itself")
    if why:
        update.give_up(panel, why)
        await asyncio.sleep(60)  # the restart is under way
    elif on(panel):
        update.confirm(panel)


async def _fault(panel) -> str:
    """What is wrong with it, "" when nothing is."""
    models = slots.manifest(slots.running(), panel.board.root).get("models")
    if models and panel.board.has_camera and not panel.face.ready:
        return "its models cannot be used"
    examiner = selftest.Selftest(panel)
    for check in _CHECKS:
        panel.beat("trial")
        verdict = (await examiner.run(check, False))["verdict"]
        if verdict not in _FINE:
            return "its self-test failed: %s" % check
    return ""
