"""How the PN532 is wired: I2C, SPI or UART, each as

    wake()             out of power-down, whether it was in it or not
    write(frame)
    receive(size)      what the chip has to say, up to `size` bytes, or None when it has nothing; never waits

A bus that fails is a HalError.
"""

from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.base.ticks import sleep_ms

_I2C_ADDRESS = const(0x24)
_I2C_TRIES = const(3)
_READY = const(1)
_SPI_WRITE, _SPI_STATUS, _SPI_READ = const(1), const(2), const(3)
_PREAMBLE_BYTES = const(16)


class I2cBus:
    """`i2c` as machine.I2C, at 400 kHz or below. The chip stretches the clock while it works, so give the controller
    a timeout of at least 50 ms; a transfer that fails all the same is tried again a few times."""

    def __init__(self, i2c, sleep=sleep_ms):
        self._i2c = i2c
        self._sleep = sleep
        self._status = bytearray(1)

    def wake(self) -> None:
        """Its own address wakes the chip, which does not acknowledge it the first time."""
        try:
            self._i2c.readfrom_into(_I2C_ADDRESS, self._status)
        except OSError:
            pass
        self._sleep(2)

    def write(self, frame: bytes) -> None:
        self._try(lambda: self._i2c.writeto(_I2C_ADDRESS, frame))

    def receive(self, size: int):
        """The status byte comes first in every transfer."""
        self._try(lambda: self._i2c.readfrom_into(_I2C_ADDRESS, self._status))
        if not self._status[0] & _READY:
            return None
        buffer = bytearray(size + 1)
        self._try(lambda: self._i2c.readfrom_into(_I2C_ADDRESS, buffer))
        return buffer[1:]

    def _try(self, transfer) -> None:
        for _ in range(_I2C_TRIES):
            try:
                transfer()
                return
            except OSError as error:
                reason = error
                self._sleep(1)
        raise HalError("reader: I2C fails (%s)" % reason)


class SpiBus:
    """`spi` as machine.SPI in mode 0, at 5 MHz or below, most significant bit first; `cs` as machine.Pin, an output.

    The chip sends the least significant bit first; the bytes are turned here, as not every controller can."""

    def __init__(self, spi, cs, sleep=sleep_ms):
        self._spi = spi
        self._cs = cs
        self._sleep = sleep
        self._turn = bytes([sum((n >> bit & 1) << 7 - bit for bit in range(8)) for n in range(256)])
        self._cs(1)

    def wake(self) -> None:
        self._cs(0)
        self._sleep(2)
        self._cs(1)

    def write(self, frame: bytes) -> None:
        self._transfer(_SPI_WRITE, frame, 0)

    def receive(self, size: int):
        if not self._transfer(_SPI_STATUS, b"", 1)[0] & _READY:
            return None
        return self._transfer(_SPI_READ, b"", size)

    def _transfer(self, operation: int, out: bytes, size: int) -> bytearray:
        turn = self._turn
        buffer = bytearray(size)
        self._cs(0)
        try:
            self._spi.write(bytes([turn[operation]]) + bytes([turn[b] for b in out]))
            if size:
                self._spi.readinto(buffer)
        except OSError as error:
            raise HalError("reader: SPI fails (%s)" % error)
        finally:
            self._cs(1)
        for i in range(size):
            buffer[i] = turn[buffer[i]]
        return buffer


class UartBus:
    """`uart` as machine.UART at 115,200 baud 8N1: `write`, `any` and `read`. Bytes that are no frame are skipped."""

    def __init__(self, uart):
        self._uart = uart
        self._got = bytearray()

    def wake(self) -> None:
        """A long preamble, which an awake chip takes for noise."""
        self._got = bytearray()
        self._write(b"\x55\x55" + bytes(_PREAMBLE_BYTES - 2))

    def write(self, frame: bytes) -> None:
        self._got = bytearray()
        self._drain()
        self._write(frame)

    def receive(self, size: int):
        self._got += self._drain()
        start = self._got.find(b"\x00\xff")
        if start < 0:
            self._got = self._got[-1:]  # noise, whose last byte may begin a frame
            return None
        end = self._end(start + 2)
        if end is None or end > len(self._got):
            return None
        frame, self._got = self._got[start:end], self._got[end:]
        return frame

    def _end(self, at: int):
        """Where the frame whose length stands at `at` ends; a length that cannot be is left for parse()."""
        if len(self._got) < at + 2:
            return None
        length, check = self._got[at], self._got[at + 1]
        is_short = (length, check) in ((0, 255), (255, 0)) or (length + check) & 255
        return at + 2 if is_short else at + 3 + length

    def _drain(self) -> bytes:
        try:
            waiting = self._uart.any()
            return self._uart.read(waiting) or b"" if waiting else b""
        except OSError as error:
            raise HalError("reader: serial port fails (%s)" % error)

    def _write(self, data: bytes) -> None:
        try:
            self._uart.write(data)
        except OSError as error:
            raise HalError("reader: serial port fails (%s)" % error)
