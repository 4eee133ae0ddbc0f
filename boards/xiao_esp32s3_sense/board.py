"""Seeed Studio XIAO ESP32S3 Sense. Keypad on I2C; the screen on the pins of the card socket, which stays empty."""

from firmware.hal.esp32.board import Esp32Board
from firmware.ui.palette import PALETTE

CAMERA = {
    "data_pins": [15, 17, 18, 16, 14, 12, 11, 48],
    "vsync_pin": 38,
    "href_pin": 47,
    "pclk_pin": 13,
    "xclk_pin": 10,
    "sda_pin": 40,
    "scl_pin": 39,
}
I2C = {"sda": 5, "scl": 6}
LCD = {"sck": 7, "mosi": 9, "dc": 8}
WIRES = {"lock": 1, "exit": 2, "contact": 4, "tamper": 21, "buzzer": 43}
NOISE = 2
CAPABILITIES = ("camera", "nfc", "keypad", "display")


def build() -> Esp32Board:
    return Esp32Board("xiao_esp32s3_sense", PALETTE, WIRES, I2C, NOISE, "mpr121", camera=CAMERA, lcd=LCD)
