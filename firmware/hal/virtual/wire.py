"""The virtual hardware's bus, read by the panel and by the simulator alike.

Request: op (1 byte), body length (u32 little endian), body. Reply: the op again, or FAILED with a sentence as
body."""

from firmware.base.compat import const

HEADER = "<BI"
HEADER_BYTES = const(5)
MAX_BODY = const(256 * 1024)

CAMERA = const(0x43)  # C -> frame, 76,800 bytes
POWER = const(0x50)  # P u8 -> (camera's power)
EXPOSE = const(0x45)  # E i8 -> (-2 darker to 2 brighter)
KEYS = const(0x4B)  # K -> ASCII keys since the last request
NFC_POLL = const(0x4E)  # N -> UID or nothing
NFC_APDU = const(0x58)  # X APDU -> response with status
DISPLAY = const(0x44)  # D GS4_HMSB buffer ->
LOCK = const(0x4C)  # L u8 ->
INPUTS = const(0x49)  # I -> u8: bit 0 door closed, bit 1 exit button pressed, bit 2 case open, bit 3 fire
# alarm, bit 4 clock battery low
BUZZER = const(0x42)  # B tone name ->
LIGHT = const(0x48)  # H what it says ->
TIME_GET = const(0x54)  # T -> u64 Unix seconds, u8 source
TIME_SET = const(0x53)  # S u64 ->
REPL = const(0x4F)  # O u8, u32 -> (whether Ctrl-C interrupts; seconds until the board restarts, 0: never)
WATCHDOG = const(0x57)  # W u32 milliseconds ->
RESET = const(0x52)  # R -> the panel dies before the reply
FAILED = const(0x21)

DOOR_CLOSED = const(1)
EXIT_PRESSED = const(2)
CASE_OPEN = const(4)
FIRE = const(8)
BATTERY_LOW = const(16)
