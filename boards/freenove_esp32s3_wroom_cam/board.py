"""Freenove ESP32-S3-WROOM CAM (N8R8, N16R8). The camera leaves few pins: keypad on I2C, the screen on the pins of the
card socket, which stays empty."""

from firmware.hal.esp32.board import Esp32Board
from firmware.ui.palette import PALETTE

CAMERA = {
    "data_pins": [11, 9, 8, 10, 12, 18, 17, 16],
    "vsync_pin": 6,
    "href_pin": 7,
    "pclk_pin": 13,
    "xclk_pin": 15,
    "sda_pin": 4,
    "scl_pin": 5,
}
I2C = {"sda": 41, "scl": 42}
LCD = {"sck": 39, "mosi": 38, "dc": 40}
WIRES = {"lock": 21, "exit": 47, "contact": 14, "tamper": 1, "buzzer": 2}
PIXEL = 48  # on the board
NOISE = 1
CAPABILITIES = ("camera", "nfc", "keypad", "display")


def build() -> Esp32Board:
    return Esp32Board(
        "freenove_esp32s3_wroom_cam",
        PALETTE,
        WIRES,
        I2C,
        NOISE,
        "mpr121",
        camera=CAMERA,
        flips={"vflip": True},
        lcd=LCD,
        pixel=PIXEL,
    )
