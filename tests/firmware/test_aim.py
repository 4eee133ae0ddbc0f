"""The picture for whoever aims the camera: after a press, for a while, and nothing of it stays."""

import asyncio

from firmware.base.errors import CameraError, Refused
from firmware.capture.frame import HEIGHT, WIDTH
from firmware.services import aim as service
from firmware.services.commands import Commands
from firmware.vision import quality
from tests.firmware.entry_house import Entrance
from tests.firmware.vault_house import GRACE, refused

BOX = (120, 100, 60, 60, 80, ((2240, 1800), (2880, 1800), (2560, 2160), (2300, 2540), (2820, 2540)))


class Eye:
    """Camera, pipeline and the face's way in, in one; `seen` is what the detector finds."""

    works = ready = True
    looking = False

    def __init__(self):
        self.frame = memoryview(bytearray(WIDTH * HEIGHT))
        self.faces = [BOX]
        self.light = 99
        self.levels = []
        self.wiped = self.lent = 0

    def check_works(self):
        if not self.works:
            raise CameraError("this panel's camera does not work")

    def stop(self):
        pass

    def adjust(self):
        self.levels.append("set")

    def wake(self):
        pass

    def expose(self, level):
        self.levels.append(level)

    async def borrow(self):
        self.lent += 1
        return self, self

    def give_back(self):
        self.lent -= 1

    def take(self):
        for i in range(WIDTH * HEIGHT):
            self.frame[i] = (i >> 9) & 255

    def find_steps(self):
        yield

    def judge(self, limits):
        return (self.faces[0], quality.OK) if self.faces else (None, quality.NO_FACE)

    def wipe(self):
        self.wiped += 1
        self.frame[:] = bytes(WIDTH * HEIGHT)


def house() -> tuple:
    door = Entrance()
    door.resident(GRACE, "301", b"246813")
    eye = Eye()
    door.panel.face = eye
    door.board.camera = eye
    return door, Commands(door.panel), eye


def frame(commands, **fields) -> dict:
    return asyncio.run(commands.aim_frame(**fields))


def refuses(commands) -> bool:
    try:
        frame(commands, band=0)
    except Refused:
        return True
    return False


def test_nothing_is_seen_before_somebody_allows_it():
    door, commands, eye = house()
    assert refuses(commands)
    assert commands.aim(1, 60)["state"] == "asked" and door.panel.screens.calls[-1] == ("allow_aiming", True)
    assert refuses(commands) and not eye.lent
    door.type("*")
    assert commands.aim(1, 60)["state"] == "refused" and refuses(commands)
    commands.aim(2, 60)
    door.type("#")
    assert commands.aim(2, 60) == {"state": "on", "seconds": 60}
    found = frame(commands, band=0)
    assert (found["width"], found["height"], len(found["data"])) == (160, 120, 3200)
    assert found["box"] == [100, 60, 60, 80] and found["light"] == 99 and found["faces"] == 1
    assert "aiming" in [call[0] for call in door.panel.screens.calls], "the screen says so"
    assert eye.wiped == 1, "the frame is zeroed after each picture"
    first = frame(commands, band=1)["data"]
    assert first != found["data"] and frame(commands, band=1)["data"] == first and eye.wiped == 1


def test_it_ends_with_a_key_with_the_time_and_with_the_host():
    for how in ("key", "time", "silence", "host"):
        door, commands, eye = house()
        commands.aim(1, 60)
        door.type("#")
        frame(commands, band=0, level=2)
        assert eye.lent == 1 and eye.levels[-1] == 2
        if how == "key":
            door.type("*")
        elif how == "host":
            commands.aim_end()
        else:
            for _ in range(3):
                door.uptime += 19
                if how == "time":
                    frame(commands, band=0)
            door.uptime += 3
            door.panel.aim.tend()
        assert refuses(commands) and eye.lent == 0 and eye.levels[-1] == "set", how
        assert door.panel.aim._small is None
        said = [detail for kind, detail in door.log() if kind == "camera"]
        assert said == [b"aiming", b"aiming over"], how


def test_pin_and_card_open_meanwhile_and_maintenance_has_allowed_it_already():
    door, commands, _ = house()
    commands.aim(1, 60)
    door.type("#")
    frame(commands, band=0)
    assert door.type("301#246813#")
    commands.aim_end()
    door.panel.upkeep._state = "on"
    assert commands.aim(2, 60)["state"] == "on"


def test_a_panel_without_camera_and_a_busy_one_say_so():
    door, commands, eye = house()
    eye.works = False
    assert refused(CameraError, commands.aim, 1, 60)
    eye.works = True
    door.type("30")
    assert refused(Refused, commands.aim, 1, 60)


def test_two_pixels_share_a_byte():
    src, out = bytearray(range(0, 256, 16)), bytearray(8)
    service._pack(src, out, 8)
    assert list(out) == [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF]
