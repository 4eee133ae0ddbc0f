"""LilyGO T-Camera S3: camera and a small OLED on board, two free pins. Lock and buzzer take them; exit button, door
contact and tamper switch go on a PCF8574, keypad and reader on the same I2C bus.

A notice cannot be read on the OLED: this board does not offer a display, so consent is asked elsewhere."""

from firmware.hal.esp32.board import Esp32Board
from firmware.hal.esp32.pmu import T_CAMERA_S3
from firmware.ui.palette import PALETTE

CAMERA = {
    "data_pins": [14, 47, 48, 21, 13, 11, 10, 9],
    "vsync_pin": 8,
    "href_pin": 18,
    "pclk_pin": 12,
    "xclk_pin": 38,
    "reset_pin": 39,
    "sda_pin": 5,
    "scl_pin": 4,
}
I2C = {"sda": 7, "scl": 6}
WIRES = {
    "lock": 16,
    "buzzer": 15,
    "exit": ("expander", 0),
    "contact": ("expander", 1),
    "tamper": ("expander", 2),
}
NOISE = None  # no free pin of ADC1
CAPABILITIES = ("camera", "nfc", "keypad")


def build() -> Esp32Board:
    return Esp32Board(
        "lilygo_t_camera_s3",
        PALETTE,
        WIRES,
        I2C,
        NOISE,
        "mpr121",
        camera=CAMERA,
        flips={"vflip": True},
        oled={"flip": True},
        power=(T_CAMERA_S3, I2C["sda"], I2C["scl"]),
    )
