"""A main.py for the virtual panel that thinks as slowly as a board when a file `slow` is there, and says what it does.

Each operator of a network then takes STEP_MS more, without giving way. The firmware under it is unchanged.
"""

import os
import time

import board

from firmware.app import App
from firmware.services.face import FaceWay

STEP_MS = 40
_drive = FaceWay._drive


def _slow():
    return "slow" in os.listdir()


def _steps(steps):
    say("INFERENCE begins")
    for step in steps:
        if _slow():
            time.sleep_ms(STEP_MS)
        yield step
    say("INFERENCE ends")


def say(what):
    print(time.ticks_ms(), what)


async def _told_drive(self, steps, wanted=None):
    await _drive(self, _steps(steps), wanted)


FaceWay._drive = _told_drive
panel = board.build()
_release, _scan, _poll = panel.lock.release, panel.keypad.scan, panel.nfc.poll
_state = {"lock": False, "card": None}


def _told_release(on):
    _release(on)
    if on != _state["lock"]:
        _state["lock"] = on
        say("LOCK released" if on else "LOCK holds")


def _told_scan():
    keys = _scan()
    if keys:
        say("KEYS")
    return keys


def _told_poll():
    uid = _poll()
    if uid and uid != _state["card"]:
        say("CARD")
    _state["card"] = uid
    return uid


panel.lock.release, panel.keypad.scan, panel.nfc.poll = _told_release, _told_scan, _told_poll
App(panel).run()
