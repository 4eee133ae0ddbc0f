"""Any ESP32-S3 module with 8 MB of flash and of PSRAM, without camera: for benches and emulators, frames are fed."""

from firmware.hal.esp32.board import Esp32Board
from firmware.ui.palette import PALETTE

I2C = {"sda": 8, "scl": 9}
LCD = {"sck": 39, "mosi": 40, "dc": 41, "cs": 42, "backlight": 47}
KEYPAD = {"rows": [4, 5, 6, 7], "columns": [15, 16, 17]}
WIRES = {"lock": 10, "exit": 11, "contact": 12, "tamper": 14, "buzzer": 13, "light": 21}
NOISE = 1
CAPABILITIES = ("camera", "nfc", "keypad", "display")


def build() -> Esp32Board:
    return Esp32Board("esp32s3_generic", PALETTE, WIRES, I2C, NOISE, KEYPAD, lcd=LCD)
