"""Keeps the panel's tasks alive: one that dies or hangs leaves a locked door and is running again within two seconds.

A task says that it lives by `beat(name)`, once in each turn of its loop, and lengthy work at each of its steps. Silence
is counted in the supervisor's own rounds, so that a loop that was busy for a while accuses nobody: every task has had
its turn in each of them. When the loop itself hangs nobody feeds the watchdog, and the board resets; its lock is secure
in reset.
"""

import asyncio
import gc
import sys

from firmware.base.compat import const
from firmware.base.log import log

ROUND_MS = const(200)
_AGAIN_MS = const(50)  # before a task that died runs again
_AGAIN_MOST_MS = const(1600)  # before one that dies again and again
_CALM_ROUNDS = const(50)  # without a death, and all is forgotten

_PATIENCE = const(4)  # rounds of silence that are taken for a hang


class _Task:
    def __init__(self, run):
        self.run = run
        self.silent = 0
        self.lived = 0
        self.pause_ms = _AGAIN_MS
        self.task = None


class Supervisor:
    """`secure()` locks the door; it must not raise."""

    def __init__(self, secure):
        self._secure = secure
        self._tasks = {}
        self.deaths = 0  # of tasks, hung ones counted

    def add(self, name: str, run) -> None:
        """`run` makes the coroutine, anew after each end."""
        self._tasks[name] = _Task(run)

    def beat(self, name: str) -> None:
        task = self._tasks.get(name)
        if task:
            task.silent = 0

    def start(self) -> None:
        for name in self._tasks:
            self._begin(name)

    def look(self) -> None:
        """Once in each round."""
        for name, task in self._tasks.items():
            task.silent += 1
            task.lived += 1
            if task.lived > _CALM_ROUNDS:
                task.pause_ms = _AGAIN_MS
            if task.silent > _PATIENCE:
                log("app", "%s hangs" % name)
                self.deaths += 1
                self._secure()
                task.task.cancel()
                self._begin(name)

    def _begin(self, name: str) -> None:
        task = self._tasks[name]
        task.silent = task.lived = 0
        task.task = asyncio.create_task(self._keep(name, task))

    async def _keep(self, name: str, task: _Task) -> None:
        while True:
            try:
                await task.run()
                log("app", "%s ended" % name)
            except Exception as error:
                log("app", "%s died: %s" % (name, type(error).__name__))
                sys.print_exception(error)
            self.deaths += 1
            self._secure()
            gc.collect()  # it may have died of that
            await asyncio.sleep_ms(task.pause_ms)
            task.pause_ms = min(2 * task.pause_ms, _AGAIN_MOST_MS)
            task.silent = task.lived = 0
            log("app", "%s again" % name)
