"""The ESP32's modules as their documentation says that they behave, for drivers to run against on a PC.

`install()` puts fresh ones in place and returns the chip behind them. Sources: docs.micropython.org (machine, esp32,
network), ports/esp32 of MicroPython for errors and numbers, and the micropython-camera-API's README and type stubs.
"""

import sys
import time
from array import array

SECTOR = 4096
ESP_ERR_INVALID_ARG = 0x102
ESP_ERR_INVALID_SIZE = 0x104


class Restart(BaseException):
    """machine.reset(): nothing of the firmware runs after it."""


class Chip:
    def __init__(self):
        self.levels = {}  # what is wired to a pin drives it to this level
        self.pins = {}  # number -> its fake
        self.modes = {}  # number -> (mode, pull, first value)
        self.pwm = []
        self.timers = {}
        self.spi = None
        self.buses = []
        self.devices = {}  # I2C address -> device
        self.analog = {}
        self.wdt = None
        self.hertz = 0
        self.pixels = []  # (pin, bytes) of each bitstream
        self.radio = False
        self.wifi = None
        self.sensor = None
        self.camera_fails = False
        self.kbd_intr = []
        self.rtc = None
        self.partitions = [Partition("vault", 1, 0x40, 64), Partition("vfs", 1, 0x81, 16)]

    def fire(self, timer: int) -> None:
        """The timer's period is over."""
        self.timers[timer].fire()


chip = None


class Pin:
    IN, OUT, OPEN_DRAIN = 1, 3, 7
    PULL_UP, PULL_DOWN = 2, 1

    def __init__(self, number, mode=-1, pull=-1, value=None):
        if isinstance(number, Pin):
            number = number.number
        if not 0 <= number <= 48 or 22 <= number <= 25:
            raise ValueError("invalid pin")
        self.number = number
        self._mode = mode
        self._level = 0
        chip.pins[number] = self
        if mode >= 0:
            chip.modes[number] = (mode, pull, value)
            self._pull = pull
            if value is not None:
                self._level = value

    def value(self, level=None):
        if level is None:
            if self._mode == Pin.OUT:
                return self._level
            return chip.levels.get(self.number, 1 if self._pull == Pin.PULL_UP else 0)
        self._level = 1 if level else 0
        return None

    __call__ = value

    @property
    def driven(self):
        return self._level


class ADC:
    def __init__(self, pin):
        if not 1 <= pin.number <= 20:
            raise ValueError("invalid pin")
        self._pin = pin

    def read_u16(self):
        readings = chip.analog.get(self._pin.number, [30000])
        readings.append(readings.pop(0))
        return readings[0]


class PWM:
    """LEDC channels are handed out from 0 upwards."""

    def __init__(self, pin, freq=5000, duty_u16=32768):
        self.pin, self._freq, self._duty = pin.number, freq, duty_u16
        self.channel = len(chip.pwm)
        chip.pwm.append(self)

    def freq(self, hertz=None):
        if hertz is None:
            return self._freq
        if not 1 <= hertz <= 40_000_000:
            raise ValueError("freq")
        self._freq = hertz

    def duty_u16(self, duty=None):
        if duty is None:
            return self._duty
        self._duty = duty


class Timer:
    ONE_SHOT, PERIODIC = 0, 1

    def __init__(self, number):
        if not 0 <= number <= 3:
            raise ValueError("invalid Timer number")
        self.number, self.running = number, False
        chip.timers[number] = self

    def init(self, mode=PERIODIC, period=0, callback=None, freq=0):
        self.mode, self.period, self.callback, self.running = mode, period, callback, True

    def deinit(self):
        self.running = False

    def fire(self):
        if self.running:
            self.running = self.mode == Timer.PERIODIC
            self.callback(self)


class WDT:
    def __init__(self, id=0, timeout=5000):
        self.timeout, self.fed = timeout, 0
        chip.wdt = self

    def feed(self):
        self.fed += 1


class RTC:
    def datetime(self, fields=None):
        if fields is None:
            return chip.rtc
        if len(fields) != 8 or not 1 <= fields[1] <= 12:
            raise ValueError("datetime")
        chip.rtc = fields


class SPI:
    """Records what went out, each byte with the data/command pin's level then: chip.spi.sent."""

    def __init__(self, number, baudrate=500000, sck=None, mosi=None, miso=37):
        self.pins = [pin.number for pin in (sck, mosi) if pin] + ([] if miso is None else [miso])
        self.baudrate = baudrate
        self.commands = []  # [code, bytearray of its data]
        self.dc = None
        chip.spi = self

    def write(self, data):
        level = chip.pins[self.dc].driven if self.dc is not None else 1
        if level == 0:
            self.commands.append([data[0], bytearray()])
        elif self.commands:
            self.commands[-1][1].extend(data)

    def last(self, code):
        for command in reversed(self.commands):
            if command[0] == code:
                return bytes(command[1])
        return None


class I2C:
    def __init__(self, number, scl=None, sda=None, freq=400000, timeout=50000):
        if number not in (0, 1):
            raise ValueError("I2C")
        self.number, self.pins, self.freq, self.timeout = number, (sda.number, scl.number), freq, timeout
        chip.buses.append(self)

    def _device(self, address):
        device = chip.devices.get(address)
        if device is None or device.silent:
            raise OSError(19)  # ENODEV: nothing acknowledged
        return device

    def scan(self):
        return [address for address in sorted(chip.devices) if not chip.devices[address].silent]

    def writeto(self, address, data, stop=True):
        self._device(address).write(bytes(data))
        return len(data)

    def writevto(self, address, parts, stop=True):
        self._device(address).write(b"".join(bytes(part) for part in parts))

    def readfrom(self, address, count, stop=True):
        return self._device(address).read(count)

    def readfrom_into(self, address, buf, stop=True):
        buf[:] = self._device(address).read(len(buf))

    def readfrom_mem(self, address, register, count, addrsize=8):
        device = self._device(address)
        device.write(bytes([register]))
        return device.read(count)

    def readfrom_mem_into(self, address, register, buf, addrsize=8):
        buf[:] = self.readfrom_mem(address, register, len(buf))

    def writeto_mem(self, address, register, data, addrsize=8):
        self._device(address).write(bytes([register]) + bytes(data))


class Registers:
    """An I2C device with byte registers and a pointer that moves on."""

    def __init__(self, values=None):
        self.silent = False
        self.bytes = bytearray(256)
        self.log = []
        self._at = 0
        for register, value in (values or {}).items():
            self.bytes[register] = value

    def write(self, data):
        self._at = data[0]
        for value in data[1:]:
            self.log.append((self._at, value))
            self.bytes[self._at] = value
            self._at = (self._at + 1) & 0xFF

    def read(self, count):
        got = bytes([self.bytes[(self._at + i) & 0xFF] for i in range(count)])
        self._at = (self._at + count) & 0xFF
        return got


class Port:
    """A PCF8574: a bit reads low where it was written low or something pulls it low."""

    def __init__(self):
        self.silent = False
        self.pulled_low = 0
        self._latch = 0xFF

    def write(self, data):
        self._latch = data[-1]

    def read(self, count):
        return bytes([self._latch & ~self.pulled_low & 0xFF]) * count


class Oled:
    def __init__(self):
        self.silent = False
        self.commands = []
        self.glass = bytes(1024)

    def write(self, data):
        if data[0] == 0x00:
            self.commands.append(data[1:])
        elif data[0] == 0x40:
            self.glass = data[1:]


class Partition:
    TYPE_APP, TYPE_DATA = 0, 1
    BOOT, RUNNING = 0, 1

    def __init__(self, label, type, subtype, blocks):
        self.label, self.type, self.subtype = label, type, subtype
        self.memory = bytearray(b"\xff" * (blocks * SECTOR))
        self.stuck = set()  # blocks whose cells no longer fall
        self.broken = False  # the bus to the chip

    @staticmethod
    def find(type=TYPE_APP, subtype=0xFF, label=None, block_size=4096):
        return [p for p in chip.partitions if p.type == type and (label is None or p.label == label)]

    def _range(self, block, size, offset):
        if self.broken:
            raise OSError(-ESP_ERR_INVALID_ARG)
        start = block * SECTOR + offset
        if start < 0 or start + size > len(self.memory):
            raise OSError(-ESP_ERR_INVALID_SIZE)
        return start

    def readblocks(self, block, buf, offset=0):
        start = self._range(block, len(buf), offset)
        buf[:] = self.memory[start : start + len(buf)]

    def writeblocks(self, block, buf, offset=None):
        """Without an offset the blocks are erased first; with one, bits only fall."""
        start = self._range(block, len(buf), offset or 0)
        if offset is None:
            if len(buf) % SECTOR:
                raise OSError(-ESP_ERR_INVALID_SIZE)
            self._erase(start, len(buf))
        if block not in self.stuck:
            for i, value in enumerate(bytes(buf)):
                self.memory[start + i] &= value

    def ioctl(self, operation, argument):
        if operation == 4:
            return len(self.memory) // SECTOR
        if operation == 5:
            return SECTOR
        if operation == 6:
            self._erase(self._range(argument, SECTOR, 0), SECTOR)
            return 0
        return None

    def _erase(self, start, size):
        self.memory[start : start + size] = b"\xff" * size


class WLAN:
    def __init__(self, interface):
        chip.wifi = chip.wifi or self
        self.joined = None

    def active(self, on=None):
        if on is None:
            return chip.radio
        chip.radio = on

    def connect(self, ssid, password=""):
        if not chip.radio:
            raise OSError("Wifi Not Started")
        if self.joined:
            raise OSError("Wifi Internal State Error")
        self.joined = (ssid, password)

    def disconnect(self):
        self.joined = None

    def isconnected(self):
        return bool(self.joined)

    def ifconfig(self):
        return ("192.168.1.7", "255.255.255.0", "192.168.1.1", "192.168.1.1")


class Camera:
    """One frame buffer: `capture` gives the last one back and waits for the next."""

    frames = 0

    def __init__(self, **options):
        if chip.camera_fails:
            raise OSError(0x105)  # ESP_ERR_NOT_FOUND
        self.options = options
        self.initialised = True
        self.flipped = False
        self.fails = False
        self.size = 320 * 240
        self.memory = array("b", bytes(self.size))
        # The driver's LEDC channel 0 becomes the sensor's clock.
        for pwm in chip.pwm:
            if pwm.channel == 0 and options["xclk_pin"] >= 0 and pwm.pin != options["xclk_pin"]:
                raise OSError("channel 0 is taken by pin %d" % pwm.pin)
        chip.sensor = self

    def capture(self):
        if not self.initialised:
            raise OSError(2)
        if self.fails:
            return None
        Camera.frames += 1
        for i in range(0, self.size, 97):
            self.memory[i] = (Camera.frames * 31 + i) % 251 - 125
        return memoryview(self.memory)[: self.size]

    def deinit(self):
        self.initialised = False

    def set_vflip(self, on):
        self.flipped = on


class _Module:
    def __init__(self, **names):
        for name, value in names.items():
            setattr(self, name, value)


def _reset():
    raise Restart()


def _freq(hertz=None):
    if hertz is None:
        return chip.hertz
    chip.hertz = hertz


def _bitstream(pin, encoding, timing, data):
    assert encoding == 0 and len(timing) == 4
    chip.pixels.append((pin.number, bytes(data)))


def install(camera=True) -> Chip:
    """Fresh modules; without `camera` the image has no such module."""
    global chip
    chip = Chip()
    sys.modules["machine"] = _Module(
        ADC=ADC, I2C=I2C, PWM=PWM, Pin=Pin, RTC=RTC, SPI=SPI, Timer=Timer, WDT=WDT,
        bitstream=_bitstream, freq=_freq, reset=_reset, unique_id=lambda: b"\x01\x02\x03\x04\x05\x06",
    )  # fmt: skip
    sys.modules["esp32"] = _Module(Partition=Partition)
    sys.modules["network"] = _Module(WLAN=WLAN, STA_IF=0)
    sys.modules["micropython"] = _Micropython(__import__("micropython"))
    if camera:
        sys.modules["camera"] = _Module(
            Camera=Camera,
            FrameSize=_Module(QVGA=6),
            PixelFormat=_Module(GRAYSCALE=3),
            GrabMode=_Module(WHEN_EMPTY=0, LATEST=1),
        )
    else:
        sys.modules.pop("camera", None)
    return chip


class _Micropython:
    def __init__(self, real):
        self._real = real._real if isinstance(real, _Micropython) else real
        self.kbd_intr = lambda code: chip.kbd_intr.append(code)

    def __getattr__(self, name):
        return getattr(self._real, name)


def wait_ms(ms: int) -> None:
    time.sleep_ms(ms)
