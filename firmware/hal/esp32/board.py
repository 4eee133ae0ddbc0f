"""An ESP32-S3 board, put together from the tables in boards/<name>/board.py.

What does not answer at the start is logged and left out: a dead reader must not keep the keypad from opening the door.
"""

import time

import machine
from machine import I2C, PWM, SPI, Pin, Timer

from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.base.log import log
from firmware.hal import api
from firmware.hal.drivers.keypad_matrix import MatrixKeypad
from firmware.hal.drivers.mpr121 import Mpr121Keypad
from firmware.hal.drivers.pn532 import Pn532
from firmware.hal.drivers.pn532_buses import I2cBus
from firmware.hal.esp32 import door, light, network, pmu
from firmware.hal.esp32.camera import SensorCamera
from firmware.hal.esp32.clock import Ds3231, Esp32Clock
from firmware.hal.esp32.console import SerialConsole
from firmware.hal.esp32.display import NoScreen, Ssd1306, St7789
from firmware.hal.esp32.entropy import Entropy
from firmware.hal.esp32.expander import Pcf8574
from firmware.hal.esp32.flash import PartitionFlash
from firmware.hal.esp32.system import HardwareWatchdog
from firmware.hal.fed import FedCamera
from firmware.hal.heap import Heap

_CLOCK_HZ = const(240_000_000)
_I2C_HZ = const(100_000)
_I2C_TIMEOUT_US = const(50_000)  # a PN532 stretches the clock while it works
_SPI_HZ = const(40_000_000)
_PN532 = const(0x24)
_MPR121 = const(0x5A)
_KEYPAD_TIMER = const(2)  # 0 is the buzzer's, 1 the watchdog's
_KEYPAD_MS = const(10)


class Esp32Board(api.Board):
    """wires     pin numbers of the door's side: lock, exit, contact; where wired buzzer, tamper, light (an
              LED), fire (opens on alarm) and lock_back (a motor lock's second relay); an input may be ("expander", n)
    i2c       {"sda", "scl"} of the bus that leads out
    noise     an ADC1 pin whose noise helps the random generator; read before it gets its own use
    pixel     the pin of a WS2812 that shows what the tones say, or None
    camera    the sensor's pins (SensorCamera), or None: frames are fed
    keypad    "mpr121", or {"rows": pins, "columns": pins}
    lcd       {"sck", "mosi", "dc"} and where they are wired {"cs", "backlight"}, with St7789's options; or None
    oled      options of Ssd1306, or None
    power     (sequence of pmu, sda, scl) to run before anything else
    """

    def __init__(
        self,
        name,
        palette,
        wires,
        i2c,
        noise,
        keypad,
        camera=None,
        flips=None,
        lcd=None,
        oled=None,
        power=None,
        pixel=None,
    ):
        self.lock = door.RelayLock(wires["lock"])  # first of all: the pin leaves its floating state locked
        self.lock_back = door.RelayLock(wires["lock_back"]) if "lock_back" in wires else None
        machine.freq(_CLOCK_HZ)
        self.name = name
        self.capabilities = set()
        self.watchdog = HardwareWatchdog()
        self.flash = PartitionFlash()
        self.console = SerialConsole(self.watchdog.hold)
        self.console.open_repl(not self.flash.in_use())
        self._heap = Heap()
        if power:
            self._try("power", _power_up, *power)
        self.entropy = Entropy(noise)
        if camera:
            self._held = _keep_clock_channel(camera["xclk_pin"])
        self.buzzer = door.Buzzer(wires["buzzer"]) if "buzzer" in wires else door.NoBuzzer()
        if pixel is not None or "light" in wires:
            self.light = light.Lamp(wires["light"]) if pixel is None else light.Pixel(pixel)
        self.camera = self._offer("camera", SensorCamera, camera, **(flips or {})) if camera else self._fed()
        bus = I2C(0, sda=Pin(i2c["sda"]), scl=Pin(i2c["scl"]), freq=_I2C_HZ, timeout=_I2C_TIMEOUT_US)
        self._inputs(wires, bus)
        self.display = self._screen(palette, bus, lcd, oled)
        self.keypad = self._offer("keypad", _keypad, keypad, bus)
        self.nfc = self._offer("nfc", _nfc, bus)
        self.clock = Esp32Clock(self._try("", Ds3231, bus))
        self.network = network.Station(self.clock)
        self._try("network", self._join_as_built)

    def reset(self) -> None:
        machine.reset()

    def tick(self) -> None:
        self.network.poll()

    def memory(self) -> dict:
        return self._heap.figures()

    def _offer(self, capability: str, make, *arguments, **options):
        """What `make` gives, counted among the capabilities; None when it is not there."""
        made = self._try(capability, make, *arguments, **options)
        if made:
            self.capabilities.add(capability)
        return made

    def _try(self, what: str, make, *arguments, **options):
        """`what` "" is not missed: nothing is logged."""
        try:
            return make(*arguments, **options)
        except (HalError, OSError) as error:
            if what:
                log("board", "no %s: %s" % (what, error))
            return None

    def _fed(self):
        self.capabilities.add("camera")
        return FedCamera()

    def _inputs(self, wires: dict, bus) -> None:
        expander = Pcf8574(bus) if any(isinstance(place, tuple) for place in wires.values()) else None

        def pin(name: str):
            place = wires[name]
            return expander.pin(place[1]) if isinstance(place, tuple) else door.input_pin(place)

        self.exit_button = door.ExitButton(pin("exit"))
        self.door = door.DoorContact(pin("contact"))
        self.tamper = door.TamperSwitch(pin("tamper")) if "tamper" in wires else door.NoTamperSwitch()
        self.fire = door.FireContact(pin("fire")) if "fire" in wires else None

    def _screen(self, palette, bus, lcd, oled):
        screen = None
        if lcd:
            screen = self._offer("display", _lcd, palette, **lcd)
        elif oled is not None:
            screen = self._try("display", Ssd1306, bus, palette, **oled)
        return screen or NoScreen()

    def _join_as_built(self) -> None:
        settings = network.read_settings(self.root)
        if settings.get("ssid"):
            self.network.join(settings["ssid"], settings.get("password", ""), settings.get("ntp", ""))


def _power_up(sequence, sda: int, scl: int) -> None:
    """On the board's inner bus, which the camera's driver takes over afterwards where it is the same."""
    pmu.power_up(I2C(0, sda=Pin(sda), scl=Pin(scl), freq=_I2C_HZ), sequence)


def _keep_clock_channel(xclk: int):
    """The camera's driver takes LEDC channel 0 for the sensor's clock without telling MicroPython, whose first PWM
    would take it too: so the first PWM is on that very pin, and is never touched again."""
    return PWM(Pin(xclk), freq=1_000_000, duty_u16=0) if xclk >= 0 else None


def _lcd(palette, sck: int, mosi: int, dc: int, cs=None, backlight=None, **options):
    # miso=None: the port's own choice would be a pin of the octal PSRAM.
    spi = SPI(1, baudrate=_SPI_HZ, sck=Pin(sck), mosi=Pin(mosi), miso=None)
    select = Pin(cs, Pin.OUT, value=1) if cs is not None else None
    behind = Pin(backlight, Pin.OUT, value=0) if backlight is not None else None
    return St7789(spi, Pin(dc, Pin.OUT, value=0), palette, select, behind, **options)


def _keypad(keypad, bus):
    if keypad == "mpr121":
        if _MPR121 not in bus.scan():
            raise HalError("no MPR121 answers")
        return Mpr121Keypad(bus)
    rows = [Pin(number, Pin.OPEN_DRAIN, value=1) for number in keypad["rows"]]
    matrix = MatrixKeypad(rows, [door.input_pin(number) for number in keypad["columns"]])
    # A key is short beside a stage of the networks: the timer looks meanwhile.
    Timer(_KEYPAD_TIMER).init(mode=Timer.PERIODIC, period=_KEYPAD_MS, callback=matrix.sample)
    return matrix


def _nfc(bus):
    """The address wakes a sleeping reader, which does not acknowledge it the first time."""
    for _ in range(2):
        if _PN532 in bus.scan():
            return Pn532(I2cBus(bus))
        time.sleep_ms(2)
    raise HalError("no PN532 answers")
