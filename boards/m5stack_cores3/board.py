"""M5Stack CoreS3: camera and screen on board, the door's side on ports A, B, C and the M-Bus.

The screen is a landscape one: it shows the picture upright at three quarters of its size."""

from firmware.hal.esp32.board import Esp32Board
from firmware.hal.esp32.pmu import CORES3
from firmware.ui.palette import PALETTE

CAMERA = {
    "data_pins": [39, 40, 41, 42, 15, 16, 48, 47],
    "vsync_pin": 46,
    "href_pin": 38,
    "pclk_pin": 45,
    "xclk_pin": -1,
    "sda_pin": 12,
    "scl_pin": 11,
}
I2C = {"sda": 2, "scl": 1}
LCD = {"sck": 36, "mosi": 37, "dc": 35, "cs": 3}
WIRES = {"lock": 9, "exit": 18, "contact": 8, "tamper": 17, "buzzer": 5, "light": 6}
NOISE = 8
CAPABILITIES = ("camera", "nfc", "keypad", "display")


def build() -> Esp32Board:
    return Esp32Board(
        "m5stack_cores3",
        PALETTE,
        WIRES,
        I2C,
        NOISE,
        "mpr121",
        camera=CAMERA,
        lcd=dict(LCD, madctl=0x08, landscape=True),
        power=(CORES3, CAMERA["sda_pin"], CAMERA["scl_pin"]),
    )
