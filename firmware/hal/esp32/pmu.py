"""Power-up sequences of boards whose power chip feeds camera and screen: (I2C address, register, value) in order.

The values are those of the boards' makers: M5Stack's M5Unified for the CoreS3, LilyGO's camera example for the
T-Camera S3. AXP2101: LDO voltages are 0.5 V + 0.1 V a step.
"""

from firmware.base.errors import HalError

_AXP2101 = 0x34
_AW9523 = 0x58

CORES3 = (
    (_AXP2101, 0x90, 0xBF),  # LDOs on, DLDO1 (backlight) among them
    (_AXP2101, 0x94, 33 - 5),  # ALDO3: camera, 3.3 V
    (_AXP2101, 0x95, 33 - 5),  # ALDO4: card slot, 3.3 V
    (_AXP2101, 0x99, 29 - 5),  # DLDO1: backlight, 2.9 V
    (_AW9523, 0x04, 0b00011000),  # port 0: outputs but 3 and 4
    (_AW9523, 0x05, 0b00001100),  # port 1: outputs but 2 and 3
    (_AW9523, 0x11, 0b00010000),  # port 0 push-pull
    (_AW9523, 0x02, 0b00000111),  # touch and amplifier out of reset, 5 V to the ports
    (_AW9523, 0x03, 0b10000000),  # 5 V boost on, screen and camera in reset
    (_AW9523, 0x03, 0b10000011),  # screen and camera out of reset
)

T_CAMERA_S3 = (
    (_AXP2101, 0x92, 18 - 5),  # ALDO1: camera core, 1.8 V
    (_AXP2101, 0x93, 28 - 5),  # ALDO2: camera I/O, 2.8 V
    (_AXP2101, 0x94, 33 - 5),  # ALDO3: movement sensor, 3.3 V
    (_AXP2101, 0x95, 30 - 5),  # ALDO4: camera analogue, 3.0 V
    (_AXP2101, 0x96, 33 - 5),  # BLDO1: OLED, 3.3 V
    (_AXP2101, 0x90, 0b00011111),  # ALDO1 to 4 and BLDO1 on
)


def power_up(i2c, sequence) -> None:
    try:
        for address, register, value in sequence:
            i2c.writeto_mem(address, register, bytes([value]))
    except OSError as error:
        raise HalError("the power chip does not answer: %s" % error)
