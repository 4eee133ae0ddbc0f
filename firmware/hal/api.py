"""What every board offers the app. A `board.py` builds one `Board`; drivers need not inherit from these
classes, only keep their contracts. Nothing here blocks longer than stated, and a peripheral's failure is a
HalError."""

SENSOR_WIDTH = 320
SENSOR_HEIGHT = 240
FRAME_BYTES = SENSOR_WIDTH * SENSOR_HEIGHT

# Where the clock's time comes from.
TIME_UNKNOWN = 0
TIME_RTC = 1
TIME_SET = 2


class Camera:
    def power(self, on: bool) -> None:
        """Off means that the sensor delivers nothing; capture then raises CameraError."""
        raise NotImplementedError

    def expose(self, level: int) -> None:
        """How the sensor's own exposure aims: -2 darker to 2 brighter; nothing where that cannot be set."""
        raise NotImplementedError

    def capture_into(self, buf: bytearray) -> None:
        """Fills `buf` (FRAME_BYTES long, the caller's) with one grey frame, 8 bit, rows from the top.

        Blocks for at most one second; CameraError on failure, and `buf` is then undefined."""
        raise NotImplementedError


class Flash:
    """Raw NOR flash: programming only clears bits, erasing sets a whole block to 0xFF."""

    block_size = 4096
    block_count = 0

    def read(self, block: int, buf: bytearray, offset: int = 0) -> None:
        raise NotImplementedError

    def program(self, block: int, data: bytes, offset: int = 0) -> None:
        """ANDs `data` into the block at any byte offset; must not run past the block's end."""
        raise NotImplementedError

    def erase(self, block: int) -> None:
        raise NotImplementedError


class Keypad:
    def scan(self) -> str:
        """Keys pressed since the last call, oldest first, of "0-9*#"; "" when none. Never blocks."""
        raise NotImplementedError


class Nfc:
    def poll(self):
        """The UID (bytes) of the card in the field, or None. Never blocks longer than one radio exchange."""
        raise NotImplementedError

    def transceive(self, apdu: bytes) -> bytes:
        """The card's answer with its two status bytes; HalError when the card has left the field."""
        raise NotImplementedError


class Display:
    """`fb` is a framebuf.FrameBuffer in GS4_HMSB whose colours index firmware.ui.palette.PALETTE."""

    width = 0
    height = 0
    fb = None

    def show(self) -> None:
        """Puts `fb` on the glass."""
        raise NotImplementedError


class Lock:
    def release(self, on: bool) -> None:
        """True: the door may be opened. A panel without power or in reset does not release."""
        raise NotImplementedError


class Door:
    def closed(self) -> bool:
        raise NotImplementedError


class ExitButton:
    def pressed(self) -> bool:
        raise NotImplementedError


class Tamper:
    def open(self) -> bool:
        """Whether the panel's case is open."""
        raise NotImplementedError


class Fire:
    def alarm(self) -> bool:
        """Whether the building's fire alarm calls for the doors to open. A cut wire reads as an alarm."""
        raise NotImplementedError


class Buzzer:
    def tone(self, name: str) -> None:
        """Starts the tone `name` ("key", "granted", "denied", "alarm", "off") and returns at once."""
        raise NotImplementedError


class Light:
    def show(self, name: str) -> None:
        """Lights up for "ready", "working", "granted", "denied" or "alarm", or goes "off"; returns at once."""
        raise NotImplementedError


class Clock:
    def now(self) -> tuple:
        """(Unix seconds, source): TIME_UNKNOWN when nothing has ever set it, TIME_RTC when a battery-backed
        clock kept it across a restart, TIME_SET since the host or NTP set it in this run."""
        raise NotImplementedError

    def set(self, unix: int) -> None:
        raise NotImplementedError

    def battery_low(self) -> bool:
        """Whether the battery that keeps the time without power is weak; False where there is none to ask."""
        raise NotImplementedError


class Console:
    """The serial port that the link shares with the REPL."""

    repl_open = True

    def read(self) -> bytes:
        """What has arrived, possibly b"". Never blocks."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Sends all of `data` unchanged; blocks while the port's buffer is full."""
        raise NotImplementedError

    def open_repl(self, on: bool, seconds: int = 0) -> None:
        """Whether Ctrl-C interrupts the app and leads to the REPL. On at every start.

        `seconds`: then the board restarts, whatever runs there; 0: never."""
        raise NotImplementedError


class Network:
    def join(self, ssid: str, password: str, ntp: str) -> None:
        """Begins to join and returns; `password` "" for none, `ntp` the IPv4 address to ask the time of, or ""."""
        raise NotImplementedError

    def up(self) -> bool:
        raise NotImplementedError

    def address(self) -> str:
        """The panel's own address, "" while there is none."""
        raise NotImplementedError


class Watchdog:
    def feed(self) -> None:
        """The first call arms it: from then on the panel resets when `timeout_ms` pass without another. A
        board may hold it while the REPL is open, so that maintenance is possible."""
        raise NotImplementedError

    def relax(self) -> None:
        """What comes next may block for seconds: until the next `feed` a board allows a start-up's time."""
        raise NotImplementedError

    timeout_ms = 0


class Board:
    """`capabilities` is a set of "camera", "nfc", "keypad", "display"; the object of an absent one is
    None."""

    name = ""
    capabilities = ()
    # The directory that holds main.py, firmware/ and packs/, without a trailing slash: "" for the
    # filesystem's root.
    root = ""

    camera = None
    flash = None
    keypad = None
    nfc = None
    display = None
    lock = None
    door = None
    exit_button = None
    tamper = None
    fire = None  # where no fire alarm is wired
    lock_back = None  # the second output of a motor lock, a Lock that drives it shut
    buzzer = None
    light = None  # where the board has none
    clock = None
    console = None
    network = None
    watchdog = None

    def has(self, capability: str) -> bool:
        return capability in self.capabilities

    @property
    def has_camera(self) -> bool:
        return self.has("camera")

    @property
    def takes_frames(self) -> bool:
        """No sensor: frames come over the link (hal/fed.py)."""
        return hasattr(self.camera, "feed")

    @property
    def has_nfc(self) -> bool:
        return self.has("nfc")

    @property
    def has_keypad(self) -> bool:
        return self.has("keypad")

    @property
    def has_display(self) -> bool:
        return self.has("display")

    def entropy(self, n: int) -> bytes:
        """`n` bytes fit for keys, from more than one source where one alone is weak."""
        raise NotImplementedError

    def reset(self) -> None:
        """Restarts the panel; does not return."""
        raise NotImplementedError

    def tick(self) -> None:
        """What the board itself does on the side, such as asking for the time; twice a second, never blocks."""

    def memory(self) -> dict:
        """heap_used, heap_free, heap_peak in bytes. The peak is of the calls made so far: call it at quiet
        points, after gc.collect(), because garbage counts as used."""
        raise NotImplementedError
