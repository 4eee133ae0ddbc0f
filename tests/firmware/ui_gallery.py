"""MicroPython program: draws every screen and writes each frame buffer as NAME.gs4.

micropython tests/firmware/ui_gallery.py FRAME_FILE OUTPUT_DIRECTORY
"""

# ruff: noqa: RUF001 - Chinese punctuation is meant

import sys
from binascii import b2a_base64

import framebuf

from firmware.ui.screens import Screens

NOTICE = (
    "May this door store a numeric template of your face?",
    "",
    "You need not agree. Card and PIN open the same doors at the same hours.",
    "",
    "Use: opening the doors of your flat's entry, nothing else.",
    "Kept: only in this panel, 1 year at most. No photo is kept.",
    "",
    "You may withdraw at any time, here or at the management. The template is then erased at once and you get"
    " a signed receipt.",
)
CHINESE_NOTICE = (
    "您是否同意本门禁保存您的人脸特征模板？",
    "",
    "您可以不同意。门卡和密码在同样的时间打开同样的门。",
)
RECEIPT = b2a_base64(bytes(range(204))).strip()
FACE = (40, 118, 60, 92, 112, ((2280, 1650), (2970, 1640), (2620, 2010), (2330, 2340), (2930, 2330)))


class Display:
    """Shows by writing a file."""

    width = 240
    height = 320

    def __init__(self, directory: str):
        self._directory = directory
        self._buf = bytearray(self.width * self.height // 2)
        self.fb = framebuf.FrameBuffer(self._buf, self.width, self.height, framebuf.GS4_HMSB)
        self.name = ""

    def show(self) -> None:
        with open("%s/%s.gs4" % (self._directory, self.name), "wb") as file:
            file.write(self._buf)


def every_screen(screens: Screens, frame) -> list:
    """(name, function that draws it), in the order in which a person may meet them."""
    pages = screens.notice_pages(NOTICE)
    title = "Your face at this door"
    return [
        ("starting", screens.starting),
        ("not_provisioned", screens.not_provisioned),
        ("idle", screens.idle),
        ("idle_camera_off", lambda: screens.idle(camera_on=False)),
        ("flat", lambda: screens.flat("301")),
        ("flat_refused", lambda: screens.flat("", refused=True)),
        ("pin", lambda: screens.pin("301", 4)),
        ("pin_most_digits", lambda: screens.pin("301234", 12, with_face=True)),
        ("pin_refused", lambda: screens.pin("301", 0, refused=True)),
        ("looking", lambda: screens.looking("301", 0, frame, FACE, "come closer")),
        ("looking_typing", lambda: screens.looking("301234", 12, frame, None)),
        ("checking", screens.checking),
        ("granted", screens.granted),
        ("denied", lambda: screens.denied("not_recognised")),
        ("denied_wait", lambda: screens.denied("locked_out", 3600)),
        ("denied_hours", lambda: screens.denied("out_of_hours")),
        ("denied_card_removed", lambda: screens.denied("card_removed")),
        ("close_the_door", screens.close_the_door),
        ("notice_first", lambda: screens.notice(title, pages, 0)),
        ("notice_last", lambda: screens.notice(title, pages, len(pages) - 1)),
        (
            "notice_chinese",
            lambda: screens.notice("关于本门禁使用您的人脸信息", screens.notice_pages(CHINESE_NOTICE), 0),
        ),
        ("consent_recorded", screens.consent_recorded),
        ("consent_declined", screens.consent_declined),
        ("consent_unanswered", screens.consent_unanswered),
        ("enrolling", lambda: screens.enrolling(frame, 2, 4, FACE, "look straight")),
        ("face_deleted", screens.face_deleted),
        ("delete_face_who", screens.delete_face_who),
        ("delete_face_confirm", screens.delete_face_confirm),
        ("no_face_stored", screens.no_face_stored),
        ("face_not_erased", screens.face_not_erased),
        ("receipt", lambda: screens.receipt(RECEIPT)),
        ("maintenance", screens.maintenance),
        ("allow_maintenance", lambda: screens.allow_maintenance(True)),
        ("allow_maintenance_by_button", lambda: screens.allow_maintenance(False)),
        ("allow_aiming", lambda: screens.allow_aiming(True)),
        ("allow_aiming_by_button", lambda: screens.allow_aiming(False)),
        ("aiming", lambda: screens.aiming(frame, FACE, "come closer")),
    ]


def main(frame_file: str, directory: str) -> None:
    with open(frame_file, "rb") as file:
        frame = bytearray(file.read())
    display = Display(directory)
    for name, draw in every_screen(Screens(display), frame):
        display.name = name
        draw()
        print(name)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
